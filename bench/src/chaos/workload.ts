import { setTimeout as pause } from 'node:timers/promises';
import type { Prng } from '@shoal/swim/sim';
import type { Checker } from './checker.ts';
import type { History } from './history.ts';
import { Publisher } from './publisher.ts';
import { Subscriber, type SubscriberOptions } from './subscriber.ts';
import type { Endpoint } from './wire.ts';

export interface WorkloadOptions {
  readonly history: History;
  readonly checker: Checker;
  readonly random: Prng;
  readonly endpoints: () => readonly Endpoint[];
  readonly publishers: number;
  readonly subscribers: number;
  /** Messages a second, all publishers together. */
  readonly rate: number;
  /** Keeps the Client Identifiers of one run apart from those of others on the same broker. */
  readonly label?: string;
}

const TOPICS = 8;
const CHANGING = 'chaos/changing';

/** Publishers and hopping subscribers, in a mix of protocol versions, QoS and ways to subscribe. */
export class Workload {
  readonly publishers: readonly Publisher[];
  readonly subscribers: readonly Subscriber[];
  readonly #options: WorkloadOptions;
  #ticker: NodeJS.Timeout | undefined;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    const { history, random, endpoints, label = 'chaos' } = options;
    const topics = Array.from({ length: TOPICS }, (_, i) => `chaos/t/${i}`);
    this.publishers = Array.from(
      { length: options.publishers },
      (_, i) =>
        new Publisher({
          clientId: `${label}-pub-${i}`,
          version: i % 2 === 0 ? 5 : 4,
          history,
          random: random.fork(`pub-${i}`),
          endpoints,
          topics: [...topics, CHANGING],
          rate: options.rate / options.publishers,
        }),
    );
    this.subscribers = Array.from(
      { length: options.subscribers },
      (_, i) =>
        new Subscriber({
          ...subscriberPlan(i, topics),
          clientId: `${label}-sub-${i}`,
          history,
          random: random.fork(`sub-${i}`),
          endpoints,
        }),
    );
  }

  /** Subscribes everybody, then begins to publish and to hop. */
  async start(): Promise<void> {
    await Promise.all(this.subscribers.map((subscriber) => subscriber.start()));
    for (const subscriber of this.subscribers) subscriber.startHopping();
    for (const publisher of this.publishers) publisher.start();
    this.#ticker = setInterval(() => {
      const nowMs = performance.now();
      for (const publisher of this.publishers) publisher.tick(nowMs);
    }, 4);
  }

  /** Publishes sent and not acknowledged at this instant. */
  get inFlight(): number {
    return this.publishers.reduce((sum, { client }) => sum + client.inFlight, 0);
  }

  /** The same, of publishers connected to `node`. */
  inFlightAt(node: string): number {
    const there = this.publishers.filter(({ client }) => client.node === node);
    return there.reduce((sum, { client }) => sum + client.inFlight, 0);
  }

  /**
   * Stops publishing, lets every acknowledgement and delivery come, and says whether all came.
   * Gives up once nothing has moved for `idleMs`.
   */
  async drain(idleMs: number): Promise<{ settled: boolean; missing: number }> {
    for (const publisher of this.publishers) publisher.pause();
    for (const subscriber of this.subscribers) subscriber.settle();
    let lastProgress = -1;
    let lastMovedMs = performance.now();
    for (;;) {
      const settled = this.publishers.every((publisher) => publisher.settled);
      const { count: missing } = this.#options.checker.missing(0);
      if (settled && missing === 0) return { settled, missing };
      const progress = this.#progress();
      if (progress !== lastProgress) {
        lastProgress = progress;
        lastMovedMs = performance.now();
      }
      if (performance.now() - lastMovedMs > idleMs) return { settled, missing };
      await pause(50);
    }
  }

  /** Grows or shrinks with every acknowledgement and delivery, and with nothing else. */
  #progress(): number {
    const { ackedQos1, ackedQos2, deliveredQos1, deliveredQos2, repeatsQos1 } =
      this.#options.checker.figures;
    const owed = this.publishers.reduce((sum, { client }) => sum + client.state.outstanding, 0);
    return ackedQos1 + ackedQos2 + deliveredQos1 + deliveredQos2 + repeatsQos1 - owed;
  }

  /**
   * Lets every subscriber return once more through another node, and listens for a while: what was
   * delivered already must not come again.
   */
  async linger(listenMs: number): Promise<void> {
    await Promise.all(this.subscribers.map(({ roamer }) => roamer.hop('graceful', 0)));
    await pause(listenMs);
  }

  /** Goes on after a drain. */
  resume(): void {
    for (const publisher of this.publishers) publisher.resume();
    for (const subscriber of this.subscribers) subscriber.startHopping();
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    await Promise.all([
      ...this.publishers.map((publisher) => publisher.roamer.stop()),
      ...this.subscribers.map((subscriber) => subscriber.stop()),
    ]);
  }
}

type Plan = Pick<
  SubscriberOptions,
  'version' | 'receiveMaximum' | 'ackDelayMsMax' | 'wanted' | 'changing'
>;

/** Four ways to subscribe, in turn; filters of one session never overlap. */
function subscriberPlan(i: number, topics: readonly string[]): Plan {
  const half = (odd: number): readonly string[] => topics.filter((_, t) => t % 2 === odd);
  const exact = (names: readonly string[]): Plan['wanted'] =>
    names.map((filter) => ({ filter, qos: 2 }));
  const changing = { filter: CHANGING, qos: 2 } as const;
  switch (i % 4) {
    case 0:
      return { version: 5, ackDelayMsMax: 0, wanted: [{ filter: 'chaos/#', qos: 2 }] };
    case 1:
      return {
        version: 4,
        ackDelayMsMax: 20,
        wanted: [{ filter: 'chaos/t/+', qos: 1 }],
        changing,
      };
    case 2:
      return { version: 4, ackDelayMsMax: 5, wanted: exact(half(0)), changing };
    default:
      return { version: 5, receiveMaximum: 20, ackDelayMsMax: 5, wanted: exact(half(1)), changing };
  }
}
