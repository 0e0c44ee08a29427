import type { Prng } from '@shoal/swim/sim';
import { ChaosClient } from './client.ts';
import type { History } from './history.ts';
import { type LeaveHow, Roamer } from './roamer.ts';
import type { Endpoint } from './wire.ts';

const HOW_TO_LEAVE: readonly LeaveHow[] = ['graceful', 'graceful', 'abrupt', 'reset', 'abandon'];

export interface Wanted {
  readonly filter: string;
  readonly qos: 1 | 2;
}

export interface SubscriberOptions {
  readonly clientId: string;
  readonly version: 4 | 5;
  readonly receiveMaximum?: number;
  readonly ackDelayMsMax: number;
  readonly history: History;
  readonly random: Prng;
  readonly endpoints: () => readonly Endpoint[];
  readonly wanted: readonly Wanted[];
  /** A subscription that comes and goes while the rest stays. */
  readonly changing?: Wanted;
}

/**
 * A persistent session that never stays long: it reads for a while, leaves (politely, by dropping the
 * connection, or by resetting it), and goes on at another node.
 */
export class Subscriber {
  readonly client: ChaosClient;
  readonly roamer: Roamer;
  readonly #options: SubscriberOptions;
  /** Filters whose SUBACK has come. */
  readonly #subscribed = new Set<string>();
  readonly #ready = Promise.withResolvers<void>();
  #hopTimer: NodeJS.Timeout | undefined;
  #hopping = false;
  #hasChanging = false;
  hops = 0;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    const { clientId, version, history, random, ackDelayMsMax, receiveMaximum } = options;
    this.client = new ChaosClient({
      clientId,
      version,
      history,
      random: () => random.next(),
      ackDelayMsMax,
      ...(receiveMaximum === undefined ? {} : { receiveMaximum }),
    });
    this.roamer = new Roamer({
      client: this.client,
      random,
      endpoints: options.endpoints,
      onConnected: (present) => this.#onConnected(present),
    });
  }

  /** Resolves once every wanted subscription has been acknowledged. */
  start(): Promise<void> {
    this.roamer.start();
    return this.#ready.promise;
  }

  /** From now on it hops, staying and being away for up to about 3 s each. */
  startHopping(): void {
    this.#hopping = true;
    this.#planHop();
  }

  /** Comes back and stays connected, to read what is left. */
  settle(): void {
    this.#hopping = false;
    clearTimeout(this.#hopTimer);
    this.roamer.hurry();
  }

  async stop(): Promise<void> {
    this.settle();
    await this.roamer.stop();
  }

  async #onConnected(present: boolean): Promise<void> {
    if (!present) {
      this.#subscribed.clear();
      this.#hasChanging = false;
    }
    for (const { filter, qos } of this.#options.wanted) {
      if (this.#subscribed.has(filter)) continue;
      const granted = await this.client.subscribe(filter, qos);
      if (granted === undefined) return;
      this.#subscribed.add(filter);
    }
    this.#ready.resolve();
    if (this.#options.random.chance(0.3)) await this.#change();
  }

  async #change(): Promise<void> {
    const { changing } = this.#options;
    if (!changing) return;
    if (this.#hasChanging) {
      // Whatever becomes of the UNSUBSCRIBE, nothing sent after it is owed.
      this.#hasChanging = false;
      await this.client.unsubscribe(changing.filter);
    } else {
      this.#hasChanging =
        (await this.client.subscribe(changing.filter, changing.qos)) !== undefined;
    }
  }

  #planHop(): void {
    const { random } = this.#options;
    this.#hopTimer = setTimeout(() => void this.#hop(), random.between(200, 3_000));
  }

  async #hop(): Promise<void> {
    const { random } = this.#options;
    const how = random.pick(HOW_TO_LEAVE);
    const awayMs = random.chance(0.5) ? 0 : random.between(0, 3_000);
    this.hops++;
    await this.roamer.hop(how, awayMs);
    if (this.#hopping) this.#planHop();
  }
}
