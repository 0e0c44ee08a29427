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
 * A message keeps its position once it may have been sent, and its Packet Identifier is derived from it,
 * so that any leader resends under the original identifiers [MQTT-4.4.0-1]. Where the identifier of the
 * next position is still in use, a SKIP moves all that was never sent one on.
 *
 * A message that is never acknowledged would keep the front for ever, and with it a place for each that
 * was settled since. So once most places are settled the oldest messages become stragglers, by identifier.
 */
import type { SubscriptionRequest } from './subscription.ts';

/** A subscription as stored; the same object stands in the shard's topic tree. */
export interface Subscription extends SubscriptionRequest {
  readonly session: Session;
  /** Clock of the SUB that made it: a message driven again is not meant for younger ones. */
  readonly since: number;
}

/** Session Expiry Interval that means "never" (§3.1.2.11.2). */
export const NEVER_EXPIRES = 0xffffffff;

/** Below this many places the settled ones are not counted. */
const SPARSE_SPAN = 1024;

/** A message older than the front. */
export interface Straggler {
  readonly position: number;
  readonly ref: number;
  readonly bytes: number;
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
  /** Who opened it last; '' for a client without a name. */
  user = '';
  expirySeconds = 0;
  /** Shard clock at which the session ends, 0 = no deadline. */
  expiresAtMs = 0;
  /** Index of the OPEN that carries the Will Message, 0 = none. */
  willIndex = 0;
  willDelayMs = 0;
  /** Shard clock at which the will fires, 0 = not pending. */
  willAtMs = 0;
  /** The server ended the connection, and the client has time to be back before its Will is sent. */
  graced = false;

  subscriptions: Map<string, Subscription> | null = null;
  /** Names the reading of retained messages under way: the index that began it; 0 = none. */
  retaining = 0;
  /** The filters that they are read for. */
  retainingFilters: readonly string[] = NONE;
  /** Topics before and with this one (in code unit order) are read. */
  retainingAfter = '';
  /** The filters of later SUBs, to be read when that is finished. */
  retainingNext: Set<string> | null = null;

  /** Below are stragglers only. */
  front = 0;
  /** Messages in the queue that are not settled, and their bytes. */
  pending = 0;
  bytes = 0;
  #refs: number[] = EMPTY;
  /** Bytes of the message at each place of `#refs`, 0 for a settled one. */
  #sizes: number[] = EMPTY;
  #offset = 0;
  /** By Packet Identifier, in the order of their positions. */
  #stragglers: Map<number, Straggler> | null = null;
  /** Where delivery stands on the leader, and what is not settled from there on. Not replicated. */
  next = 0;
  ahead = 0;
  aheadBytes = 0;
  /** Positions below may have been sent at some time. */
  mark = 0;
  /** Positions below may have been sent on an earlier connection: DUP is set. */
  dupBelow = 0;
  /** Positions for which PUBREC was received. */
  pubrecs: Set<number> | null = null;
  /** Packet Identifiers of QoS 2 messages received from the client, without a PUBREL yet. */
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

  /** The will is sent, or is not to be sent. */
  forgetWill(): void {
    this.willIndex = 0;
    this.willAtMs = 0;
    this.graced = false;
  }

  get tail(): number {
    return this.front + this.#refs.length - this.#offset;
  }

  /** Lowest position that is not settled, or the tail. */
  get first(): number {
    if (this.#stragglers) for (const { position } of this.#stragglers.values()) return position;
    return this.front;
  }

  /** Lowest position from `position` on that is not settled, or the tail. */
  unsettledFrom(position: number): number {
    if (position < this.front && this.#stragglers)
      for (const straggler of this.#stragglers.values())
        if (straggler.position >= position) return straggler.position;
    let at = Math.max(0, position - this.front);
    const places = this.#refs.length - this.#offset;
    while (at < places && this.#refs[this.#offset + at] === SETTLED) at++;
    return this.front + at;
  }

  #straggler(position: number): Straggler | undefined {
    const straggler = this.#stragglers?.get(packetIdOf(position));
    return straggler?.position === position ? straggler : undefined;
  }

  /** Log index of the message at a position, or 0 if settled or out of range. */
  refAt(position: number): number {
    const at = position - this.front;
    if (at < 0) return this.#straggler(position)?.ref ?? 0;
    const ref = this.#refs[this.#offset + at];
    return ref === undefined || ref === SETTLED ? 0 : ref;
  }

  /** Bytes of the message at a position, 0 if there is none. */
  bytesAt(position: number): number {
    const at = position - this.front;
    if (at < 0) return this.#straggler(position)?.bytes ?? 0;
    return this.#sizes[this.#offset + at] ?? 0;
  }

  /** Whether an older message that is not settled has this position's Packet Identifier. */
  identifierInUse(position: number): boolean {
    if (this.#stragglers?.has(packetIdOf(position)) && position >= this.front) return true;
    for (let p = position - PACKET_IDS; p >= this.front; p -= PACKET_IDS)
      if (this.refAt(p) !== 0) return true;
    return false;
  }

  push(ref: number, bytes = 0): void {
    if (this.#refs === EMPTY) {
      this.#refs = [];
      this.#sizes = [];
    }
    this.#refs.push(ref);
    this.#sizes.push(bytes);
    this.pending++;
    this.bytes += bytes;
    this.ahead++;
    this.aheadBytes += bytes;
  }

  /** Removes the message at a position. @returns its log index, 0 if there was none */
  settle(position: number): number {
    const ref = this.refAt(position);
    if (ref === 0) return 0;
    const bytes = this.bytesAt(position);
    this.pending--;
    this.bytes -= bytes;
    if (position >= this.next) {
      this.ahead--;
      this.aheadBytes -= bytes;
    }
    this.pubrecs?.delete(position);
    if (position < this.front) {
      this.#stragglers!.delete(packetIdOf(position));
      if (this.#stragglers!.size === 0) this.#stragglers = null;
      return ref;
    }
    const at = this.#offset + position - this.front;
    this.#refs[at] = SETTLED;
    this.#sizes[at] = 0;
    this.#tidy();
    return ref;
  }

  #tidy(): void {
    this.#passSettled();
    // The same on every copy: it depends on what is in the queue and on nothing else.
    for (;;) {
      const span = this.#refs.length - this.#offset;
      const dense = this.pending - (this.#stragglers?.size ?? 0);
      if (span <= SPARSE_SPAN || dense * 2 > span || !this.#leaveBehind()) break;
    }
    if (this.#offset === this.#refs.length) {
      this.#refs = EMPTY;
      this.#sizes = EMPTY;
      this.#offset = 0;
    } else if (this.#offset > 1024 && this.#offset * 2 > this.#refs.length) {
      this.#refs = this.#refs.slice(this.#offset);
      this.#sizes = this.#sizes.slice(this.#offset);
      this.#offset = 0;
    }
  }

  #passSettled(): void {
    while (this.#offset < this.#refs.length && this.#refs[this.#offset] === SETTLED) {
      this.#offset++;
      this.front++;
    }
  }

  /** The message at the front becomes a straggler. @returns false if its identifier has one */
  #leaveBehind(): boolean {
    const position = this.front;
    const packetId = packetIdOf(position);
    if (this.#stragglers?.has(packetId)) return false;
    const [ref, bytes] = [this.#refs[this.#offset]!, this.#sizes[this.#offset]!];
    this.#stragglers ??= new Map();
    this.#stragglers.set(packetId, { position, ref, bytes });
    this.#offset++;
    this.front++;
    this.#passSettled();
    return true;
  }

  /** Messages from `position` on, never sent, move by `count` positions. */
  skip(position: number, count: number): void {
    if (position < this.front || position >= this.tail) return;
    const at = this.#offset + position - this.front;
    if (at === this.#offset) {
      this.front += count;
    } else {
      this.#refs.splice(at, 0, ...new Array<number>(count).fill(SETTLED));
      this.#sizes.splice(at, 0, ...new Array<number>(count).fill(0));
    }
    if (this.next > position) this.next += count;
    // What may have been sent ends here, even if ASSIGN granted more.
    if (this.dupBelow > position) this.dupBelow = position;
  }

  // ---- delivery on the leader --------------------------------------------------------------------

  /** Everything is to be sent again. */
  rewind(): void {
    this.next = this.first;
    this.ahead = this.pending;
    this.aheadBytes = this.bytes;
  }

  /** The message at `next`, if there is one, is under way; delivery goes on behind it. */
  advance(): void {
    if (this.refAt(this.next) !== 0) {
      this.ahead--;
      this.aheadBytes -= this.bytesAt(this.next);
    }
    this.next++;
  }

  // ---- all of it -----------------------------------------------------------------------------------

  /** Log indexes of all messages, the oldest first. */
  *unsettled(): Generator<number> {
    for (const { ref } of this.#stragglers?.values() ?? []) yield ref;
    for (const ref of this.refs()) if (ref !== 0) yield ref;
  }

  get stragglers(): readonly Straggler[] {
    return [...(this.#stragglers?.values() ?? [])];
  }

  /** References from the front on, in order, 0 for settled positions. */
  *refs(): Generator<number> {
    for (let i = this.#offset; i < this.#refs.length; i++) {
      const ref = this.#refs[i]!;
      yield ref === SETTLED ? 0 : ref;
    }
  }

  restoreRefs(front: number, refs: readonly number[]): void {
    this.front = front;
    this.#offset = 0;
    if (refs.length === 0) return;
    this.#refs = refs.map((ref) => (ref === 0 ? SETTLED : ref));
    this.#sizes = refs.map(() => 0);
    this.pending = refs.filter((ref) => ref !== 0).length;
    this.rewind();
  }

  /** @param sizes of the messages from the front on that are not settled */
  restoreSizes(sizes: readonly number[], stragglers: readonly Straggler[]): void {
    let next = 0;
    for (let i = 0; i < this.#refs.length; i++)
      if (this.#refs[i] !== SETTLED) this.#sizes[i] = sizes[next++] ?? 0;
    this.bytes = this.#sizes.reduce((sum, bytes) => sum + bytes, 0);
    if (stragglers.length > 0) {
      this.#stragglers = new Map(stragglers.map((each) => [packetIdOf(each.position), each]));
      this.pending += stragglers.length;
      for (const { bytes } of stragglers) this.bytes += bytes;
    }
    this.rewind();
  }
}
