/**
 * `$SYS`: what a node says of itself, to its own clients.
 *
 * The values are nobody's messages: no shard keeps them and no other node hears of them. A subscriber gets
 * all that it asks for at its SUBSCRIBE, as if they were retained, and what has changed at each interval, at
 * QoS 0 whatever it asks. While nobody subscribes, only the load averages are kept.
 */
import type { Counters } from '../../counters.ts';
import { TopicTree } from '../../mqtt/topic-tree.ts';
import type { Message } from '../../session/message.ts';
import type { SubscriptionRequest } from '../../session/subscription.ts';
import { addWant, type Want, wantOf } from '../route/want.ts';
import type { Client } from './parts.ts';
import { sendZero } from './sending.ts';
import { Load } from './sys-load.ts';
import { LOADS, type SysFacts, sysValues } from './sys-topics.ts';

/** What {@link Sys} needs of its node. */
export interface SysPort {
  readonly counters: Counters;
  readonly clock: { next(): number };
  readonly live: { deliver(message: Message): unknown };
  nowMs(): number;
}

/** Who knows the values; asked only while somebody subscribes. */
export interface SysHost {
  facts(): SysFacts;
}

const NO_BYTES = new Uint8Array(0);

export class Sys {
  /** Null: there are no values. */
  host: SysHost | null = null;
  readonly #port: SysPort;
  readonly #intervalMs: number;
  readonly #loads = new Map(Object.keys(LOADS).map((name) => [name, new Load()]));
  /** As last looked at, by topic. */
  readonly #values = new Map<string, string>();
  /** They are of an earlier interval: nobody has subscribed since. */
  #stale = true;
  #sampledMs: number;
  /** Of connections of this node. */
  #subscriptions = 0;

  /** @param intervalSeconds 0 for no values */
  constructor(intervalSeconds: number, port: SysPort) {
    this.#port = port;
    this.#intervalMs = intervalSeconds * 1000;
    this.#sampledMs = port.nowMs();
  }

  /** @param change of the number of subscriptions to topics of `$SYS` on this node */
  count(change: number): void {
    this.#subscriptions += change;
  }

  tick(nowMs: number): void {
    const elapsedMs = nowMs - this.#sampledMs;
    if (this.#intervalMs === 0 || elapsedMs < this.#intervalMs) return;
    this.#sampledMs = nowMs;
    const { counters, live } = this.#port;
    for (const [name, load] of this.#loads) load.sample(LOADS[name]!(counters), elapsedMs);
    this.#stale = this.#subscriptions === 0;
    if (this.#stale) return;
    for (const message of this.#look()) live.deliver(message);
  }

  /** Each topic once, however many filters ask for it. */
  send(c: Client, wanted: readonly SubscriptionRequest[]): void {
    if (this.#intervalMs === 0) return;
    if (this.#stale) this.#look();
    const tree = new TopicTree<SubscriptionRequest>();
    for (const s of wanted) tree.add(s.filter, s);
    for (const [topic, value] of this.#values) {
      const message = this.#message(topic, value);
      const wants: Want[] = [];
      tree.match(topic, (s) => {
        if (wants[0]) addWant(wants[0], s, message);
        else wants.push(wantOf(s, message));
      });
      for (const { identifiers } of wants) sendZero(c, message, true, identifiers, { frames: [] });
    }
  }

  /** Looks at all values. @returns those that have changed */
  #look(): Message[] {
    const changed: Message[] = [];
    if (!this.host) return changed;
    this.#stale = false;
    for (const [topic, value] of sysValues(this.host.facts(), this.#loads)) {
      if (this.#values.get(topic) === value) continue;
      this.#values.set(topic, value);
      changed.push(this.#message(topic, value));
    }
    return changed;
  }

  #message(topic: string, value: string): Message {
    return {
      topic,
      payload: Buffer.from(value),
      qos: 0,
      retain: true,
      hlc: this.#port.clock.next(),
      expiresAtMs: 0,
      properties: NO_BYTES,
      publisher: '',
    };
  }
}
