import { Actor, type ActorEnv } from './actors.ts';
import type { ProtocolVersion } from './wire.ts';

/** Subscriptions that a racer holds at once; the oldest ends when another begins. */
const RACES_MAX = 30;
/** Mean time between two races. */
const RACE_EVERY_MS = 250;

/**
 * A client of one node, wherever others go: publishes when a {@link Racer} has its SUBACK, though its
 * node may be cut off just then.
 */
export class Herald extends Actor {
  readonly #node: string;

  constructor(env: ActorEnv, o: { node: string; version: ProtocolVersion }) {
    super(env, { clientId: `herald-${o.node}`, version: o.version, persistent: false });
    this.#node = o.node;
  }

  override unfinished(): string | undefined {
    return undefined;
  }

  /** A client has just been told that it is subscribed to this topic. */
  tell(topic: string, qos: number): void {
    this.client.outbox.publish({ topic, qos, retain: false, deletion: false, padding: 0 });
  }

  protected override onConnected(): void {}

  protected override pickNode(): string {
    return this.#node;
  }
}

/**
 * Subscribes to one fresh topic after another. At each SUBACK a {@link Herald} at every node publishes
 * to it at once, which is after the SUBACK in real time: all that is acknowledged must arrive.
 */
export class Racer extends Actor {
  readonly #heralds: readonly Herald[];
  readonly #qos: number;
  #races = 0;
  #told = new Set<string>();
  #held: string[] = [];

  constructor(
    env: ActorEnv,
    o: { name: string; version: ProtocolVersion; qos: number; heralds: readonly Herald[] },
  ) {
    super(env, { clientId: o.name, version: o.version, persistent: true });
    this.#heralds = o.heralds;
    this.#qos = o.qos;
  }

  override unfinished(): string | undefined {
    if (!this.client.connected) return `${this.name} is not connected`;
    if (!this.client.idle || this.client.inbox.open > 0) return `${this.name} has requests open`;
    return undefined;
  }

  protected override onConnected(): void {
    this.#raceLater();
  }

  protected override onPhase(): void {
    if (this.client.connected) this.#raceLater();
    else if (this.phase === 'settle') this.reconnectAfter(0);
  }

  #raceLater(): void {
    if (this.phase !== 'drill') return;
    this.afterTurn(this.around(RACE_EVERY_MS), () => {
      if (this.phase !== 'drill') return;
      this.#race();
      this.#raceLater();
    });
  }

  #race(): void {
    // One at a time: what is not answered yet is asked again after a reconnection only.
    if (!this.client.idle) return;
    const topic = `q/${this.name}/${this.#races++}`;
    this.#held.push(topic);
    this.client.subscribe([{ filter: topic, qos: this.#qos }]);
    if (this.#held.length > RACES_MAX) this.client.unsubscribe([this.#held.shift()!]);
  }

  protected override onSubscribed(): void {
    for (const { filter, ackedAtMs } of this.client.session?.subscriptions ?? []) {
      if (ackedAtMs === undefined || this.#told.has(filter)) continue;
      this.#told.add(filter);
      for (const herald of this.#heralds) herald.tell(filter, this.random.pick([1, 1, 1, 2]));
    }
  }
}
