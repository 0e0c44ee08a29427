/**
 * Session State of one Client Identifier, as every copy of its shard keeps it.
 *
 * The queue holds references to log entries by position:
 *
 * ```
 *   front                              tail
 *     │ 17 │ ·· │ 21 │ 22 │ 30 │ … │    │       refs (log indexes; ·· settled out of order)
 *       sent, not settled │ never sent
 *                        mark ≥ what may have been sent
 * ```
 *
 * A message keeps its position for as long as it is in the queue, and its Packet Identifier is
 * derived from it, so that any leader resends under the original identifiers [MQTT-4.4.0-1].
 */
import type { SubscriptionRequest } from './operation.ts';

/** A subscription as stored; the same object stands in the shard's topic tree. */
export interface Subscription extends SubscriptionRequest {
  readonly session: Session;
  /** Clock of the SUB that made it: a message driven again is not meant for younger ones. */
  readonly since: number;
}

const SETTLED = -1;
/** Shared by all sessions that have nothing: never written to. */
const EMPTY: number[] = [];
const NONE: readonly string[] = [];
/** Identifiers run from 1 to this; a position's is 1 + position mod it. */
export const PACKET_IDS = 65535;

export function packetIdOf(position: number): number {
  return 1 + (position % PACKET_IDS);
}

export class Session {
  readonly clientId: string;
  /** Index of the OPEN that began the session. */
  readonly birth: number;
  /** Index of the last OPEN. */
  epoch = 0;
  /** Clock of the CONNECT of the last OPEN. */
  openedHlc = 0;
  /** Node of the connection, '' when there is none. */
  gateway = '';
  gatewayEpoch = 0;
  connection = 0;
  /** Session Present of the last OPEN. */
  present = false;
  version = 4;
  expirySeconds = 0;
  /** Shard clock at which the session ends, 0 = no deadline. */
  expiresAtMs = 0;
  /** Index of the OPEN that carries the Will Message, 0 = none. */
  willIndex = 0;
  willDelayMs = 0;
  /** Shard clock at which the will fires, 0 = not pending. */
  willAtMs = 0;

  subscriptions: Map<string, Subscription> | null = null;
  /** Index of a SUB whose retained messages are still being read, 0 = none. */
  retaining = 0;
  /** The filters of that SUB that want them. */
  retainingFilters: readonly string[] = NONE;
  /** Topics before and with this one (in code unit order) are read. */
  retainingAfter = '';

  front = 0;
  /** Messages in the queue that are not settled. */
  pending = 0;
  #refs: number[] = EMPTY;
  #offset = 0;
  /** Positions below may have been sent at some time. */
  mark = 0;
  /** Positions below may have been sent on an earlier connection: DUP is set. */
  dupBelow = 0;
  /** Positions for which PUBREC was received. */
  rel: Set<number> | null = null;
  /** Packet Identifiers of QoS 2 messages received from the client and not released. */
  rx2: Map<number, number> | null = null;

  constructor(clientId: string, birth: number) {
    this.clientId = clientId;
    this.birth = birth;
  }

  /** Whether the session outlives its connection. */
  get persistent(): boolean {
    return this.expirySeconds > 0;
  }

  get connected(): boolean {
    return this.connection !== 0;
  }

  get tail(): number {
    return this.front + this.#refs.length - this.#offset;
  }

  /** Log index of the message at a position, or 0 if settled or out of range. */
  refAt(position: number): number {
    const at = position - this.front;
    if (at < 0) return 0;
    const ref = this.#refs[this.#offset + at];
    return ref === undefined || ref === SETTLED ? 0 : ref;
  }

  push(ref: number): void {
    if (this.#refs === EMPTY) this.#refs = [];
    this.#refs.push(ref);
    this.pending++;
  }

  /** Removes the message at a position. @returns its log index, 0 if there was none */
  settle(position: number): number {
    const ref = this.refAt(position);
    if (ref === 0) return 0;
    this.#refs[this.#offset + position - this.front] = SETTLED;
    this.pending--;
    this.rel?.delete(position);
    while (this.#offset < this.#refs.length && this.#refs[this.#offset] === SETTLED) {
      this.#offset++;
      this.front++;
    }
    if (this.#offset === this.#refs.length) {
      this.#refs = EMPTY;
      this.#offset = 0;
    } else if (this.#offset > 1024 && this.#offset * 2 > this.#refs.length) {
      this.#refs = this.#refs.slice(this.#offset);
      this.#offset = 0;
    }
    return ref;
  }

  /** References in order, 0 for settled positions. */
  *refs(): Generator<number> {
    for (let i = this.#offset; i < this.#refs.length; i++) {
      const ref = this.#refs[i]!;
      yield ref === SETTLED ? 0 : ref;
    }
  }

  restoreRefs(front: number, refs: readonly number[]): void {
    this.front = front;
    this.#offset = 0;
    this.#refs = refs.map((ref) => (ref === 0 ? SETTLED : ref));
    this.pending = refs.filter((ref) => ref !== 0).length;
  }
}
