/**
 * What a shard's log entries mean: sessions, queues, retained messages, open QoS 2 exchanges.
 *
 * Deterministic: equal logs give equal states and equal encodings on every copy. Every decision that
 * needs a clock, a match or a limit was taken by the leader and stands in the operation.
 */
import { Reader, Writer } from '../bytes.ts';
import { bool, f64, list, record, str, varint } from '../fields.ts';
import { isShared } from '../mqtt/topic.ts';
import { TopicIndex } from '../mqtt/topic-index.ts';
import { TopicTree } from '../mqtt/topic-tree.ts';
import type { ShardMachine } from '../shard/host.ts';
import type { Entry } from '../shard/log.ts';
import { GroupQueues, ReturnedMessages } from './groups.ts';
import type { State } from './operation/kind.ts';
import { applyOperation, type Logged, type Origin, readOperation } from './operation.ts';
import { References } from './references.ts';
import { RetainedMessages } from './retained.ts';
import { SeenSet } from './seen.ts';
import type { Session, Subscription } from './session.ts';
import { readQueueBytes, readSession, writeQueueBytes, writeSession } from './session-codec.ts';
import { Sessions } from './sessions.ts';
import { StateBytes, type StateSums } from './state-bytes.ts';
import type { Owed, StateObserver } from './state-observer.ts';

/** What stands in an encoded state as lists of records. */
const owedList = list(
  record<Owed & { index: number }>({ index: varint, messageIndex: varint, will: bool }),
);
const expiryList = list(record({ index: varint, expiresAtMs: f64 }));
const givenList = list(record<{ index: number; group: string }>({ index: varint, group: str }));
const originList = list(record<Origin>({ node: str, bootEpoch: varint, sequence: varint }));

export class ShardState implements ShardMachine, State {
  readonly sessions = new Sessions();
  /** All subscriptions of stored sessions: those at QoS 0 add what they ask for to what others match. */
  readonly tree = new TopicTree<Subscription>();
  /** Filters of those with QoS ≥ 1, counted: what the route of the shard is made of. */
  readonly filters = new Map<string, number>();
  /** Where the filters last changed: equal versions are equal sets of filters. */
  routeVersion = '0';
  readonly retained: RetainedMessages;
  /** Sum of ticks: session age is counted in logged time, so an outage expires no session. */
  clockMs = 0;
  /** Sessions with a deadline: expiry, or a delayed will. */
  readonly dated = new Set<Session>();
  readonly owed = new Map<number, Owed>();
  readonly bytes: StateBytes;
  /** Queued messages that expire: log index → wall-clock milliseconds. */
  readonly expiries = new Map<number, number>();
  readonly enqSeen = new SeenSet();
  readonly retainSeen = new SeenSet();
  readonly groups = new GroupQueues();
  readonly groupSeen = new SeenSet();
  readonly refusedSeen = new SeenSet();
  readonly given = new Map<number, string>();
  readonly returned = new ReturnedMessages();
  readonly origins = new Map<string, Origin>();
  /** Highest clock of an entry: a leader goes on from there, even if its wall clock is behind. */
  hlc = 0;
  observer: StateObserver | null = null;

  readonly references = new References();
  #index = 0;
  #number = '';

  /**
   * @param sums of all states of a node: every change is added there, too
   * @param topics that have retained messages, of all shards of a node
   */
  constructor(sums?: StateSums, topics = new TopicIndex()) {
    this.bytes = new StateBytes(sums);
    this.retained = new RetainedMessages(topics);
  }

  apply(entry: Entry, logged?: unknown): void {
    const { operation, origin } =
      (logged as Logged | undefined) ?? readOperation(new Reader(entry.operation));
    this.#index = entry.index;
    if (entry.hlc > this.hlc) this.hlc = entry.hlc;
    this.#number = `${entry.number.counter}.${entry.number.leader}`;
    if (origin) this.#note(origin);
    if (!applyOperation(this, operation, entry.index)) this.references.free(entry.index);
  }

  #note(origin: Origin): void {
    const held = this.origins.get(origin.node);
    if (
      !held ||
      origin.bootEpoch > held.bootEpoch ||
      (origin.bootEpoch === held.bootEpoch && origin.sequence > held.sequence)
    )
      this.origins.set(origin.node, origin);
  }

  current(clientId: string, epoch: number): Session | null {
    const s = this.sessions.get(clientId);
    return s?.epoch === epoch ? s : null;
  }

  addSubscription(sub: Subscription): void {
    // Members of groups are chosen by the shards of the groups.
    if (!isShared(sub.filter)) this.tree.add(sub.filter, sub);
    if (sub.qos === 0) return;
    const count = this.filters.get(sub.filter) ?? 0;
    this.filters.set(sub.filter, count + 1);
    if (count === 0) this.#routeChanged(sub.filter, true);
  }

  removeSubscription(sub: Subscription): void {
    if (!isShared(sub.filter)) this.tree.remove(sub.filter, sub);
    if (sub.qos === 0) return;
    const count = (this.filters.get(sub.filter) ?? 1) - 1;
    if (count > 0) {
      this.filters.set(sub.filter, count);
      return;
    }
    this.filters.delete(sub.filter);
    this.#routeChanged(sub.filter, false);
  }

  #routeChanged(filter: string, added: boolean): void {
    this.routeVersion = `${this.#number}.${this.#index}`;
    this.observer?.onFilter(filter, added);
  }

  unqueue(ref: number, bytes: number): void {
    if (ref === 0 || !this.references.release(ref)) return;
    this.bytes.addQueued(-bytes);
    this.expiries.delete(ref);
    this.given.delete(ref);
  }

  giveBack(ref: number, bytes: number, group: string): void {
    const number = this.returned.add({ group, messageIndex: ref, bytes });
    this.observer?.onReturned(number);
  }

  owe(index: number, owed: Owed): void {
    this.owed.set(index, owed);
    this.observer?.onOwed(index, owed);
  }

  settleOwed(index: number): void {
    const owed = this.owed.get(index);
    if (!owed) return;
    this.owed.delete(index);
    this.references.release(owed.messageIndex);
  }

  // ---- ShardMachine ----------------------------------------------------------------------------

  takeFreed(): number[] {
    return this.references.takeFreed();
  }

  /** Every reference to a log entry. */
  *#referred(): Generator<number> {
    for (const s of this.sessions.values()) {
      yield* s.unsettled();
      if (s.willIndex !== 0) yield s.willIndex;
    }
    yield* this.retained.indexes();
    for (const owed of this.owed.values()) yield owed.messageIndex;
    for (const [index] of this.groups.messages()) yield index;
    for (const { messageIndex } of this.returned.byNumber.values()) yield messageIndex;
  }

  liveIndexes(): number[] {
    return [...new Set(this.#referred())].sort((a, b) => a - b);
  }

  encode(): Uint8Array {
    const w = new Writer(4096);
    w.varint(this.#index);
    w.f64(this.hlc);
    w.str(this.routeVersion);
    w.varint(this.clockMs);
    w.list([...this.sessions.values()], writeSession);
    this.retained.write(w);
    owedList.write(
      w,
      [...this.owed].map(([index, owed]) => ({ index, ...owed })),
    );
    expiryList.write(
      w,
      [...this.expiries].map(([index, expiresAtMs]) => ({ index, expiresAtMs })),
    );
    this.enqSeen.write(w);
    this.retainSeen.write(w);
    originList.write(w, [...this.origins.values()]);
    for (const s of this.sessions.values()) writeQueueBytes(w, s);
    this.groups.write(w);
    this.groupSeen.write(w);
    this.refusedSeen.write(w);
    givenList.write(
      w,
      [...this.given].map(([index, group]) => ({ index, group })),
    );
    this.returned.write(w);
    return w.take();
  }

  restore(state: Uint8Array): void {
    this.reset();
    const r = new Reader(state);
    this.#index = r.varint();
    this.hlc = r.f64();
    const routeVersion = r.str();
    this.clockMs = r.varint();
    for (const s of r.list(readSession)) {
      this.sessions.set(s.clientId, s);
      if (s.expiresAtMs > 0 || s.willAtMs > 0) this.dated.add(s);
      for (const sub of s.subscriptions?.values() ?? []) this.addSubscription(sub);
    }
    this.routeVersion = routeVersion;
    this.retained.read(r);
    for (const { index, messageIndex, will } of owedList.read(r))
      this.owed.set(index, { messageIndex, will });
    for (const { index, expiresAtMs } of expiryList.read(r)) this.expiries.set(index, expiresAtMs);
    this.enqSeen.read(r);
    this.retainSeen.read(r);
    for (const origin of originList.read(r)) this.origins.set(origin.node, origin);
    // The state of an earlier version ends here, or behind the queues.
    if (!r.done) for (const s of this.sessions.values()) readQueueBytes(r, s);
    if (!r.done) this.#restoreGroups(r);
    this.references.count(this.#referred());
    this.bytes.addQueues(this.sessions.values(), this.#groupBytes());
  }

  #restoreGroups(r: Reader): void {
    this.groups.read(r);
    this.groupSeen.read(r);
    this.refusedSeen.read(r);
    for (const { index, group } of givenList.read(r)) this.given.set(index, group);
    this.returned.read(r);
  }

  /** Log index and bytes of what waits for groups, or is on its way back to them. */
  *#groupBytes(): Generator<readonly [index: number, bytes: number]> {
    yield* this.groups.messages();
    for (const { messageIndex, bytes } of this.returned.byNumber.values())
      yield [messageIndex, bytes];
  }

  reset(): void {
    this.bytes.reset();
    this.sessions.clear();
    this.dated.clear();
    this.tree.clear();
    this.filters.clear();
    this.routeVersion = '0';
    this.retained.clear();
    this.clockMs = 0;
    this.owed.clear();
    this.expiries.clear();
    this.enqSeen.clear();
    this.retainSeen.clear();
    this.groups.clear();
    this.groupSeen.clear();
    this.refusedSeen.clear();
    this.given.clear();
    this.returned.clear();
    this.origins.clear();
    this.references.clear();
    this.#index = 0;
    this.hlc = 0;
  }
}
