/**
 * What a shard's log entries mean: sessions, queues, retained messages, open QoS 2 exchanges.
 *
 * Deterministic: equal logs give equal states and equal encodings on every copy. Every decision that
 * needs a clock, a match or a limit was taken by the leader and stands in the operation.
 */
import { Reader, Writer } from '../bytes.ts';
import { TopicIndex } from '../mqtt/topic-index.ts';
import { TopicTree } from '../mqtt/topic-tree.ts';
import type { ShardMachine } from '../shard/host.ts';
import type { Entry } from '../shard/log.ts';
import { messageBytes } from './message-bytes.ts';
import {
  type AckItem,
  type Logged,
  NEVER_EXPIRES,
  type Operation,
  type Origin,
  readOperation,
} from './operation.ts';
import { References } from './references.ts';
import { RetainedMessages } from './retained.ts';
import { resumeRetained, retainedRead, wantRetained } from './retaining-state.ts';
import { SeenSet } from './seen.ts';
import { Session, type Subscription } from './session.ts';
import { readQueueBytes, readSession, writeQueueBytes, writeSession } from './session-codec.ts';
import { Sessions } from './sessions.ts';
import { StateBytes, type StateSums } from './state-bytes.ts';
import type { Owed, StateObserver } from './state-observer.ts';

/** Positions that a new connection may be sent before the next ASSIGN commits. */
export const ASSIGN_AHEAD = 1024;

export class ShardState implements ShardMachine {
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
  readonly origins = new Map<string, Origin>();
  /** Highest clock of an entry: a leader goes on from there, whatever its wall clock says. */
  hlc = 0;
  observer: StateObserver | null = null;

  readonly #references = new References();
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
    if (!this.#run(operation, entry.index)) this.#references.free(entry.index);
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

  /** @returns whether something refers to the entry from now on */
  #run(op: Operation, index: number): boolean {
    switch (op.type) {
      case 'open':
        return this.#open(op, index);
      case 'close':
        this.#close(op, index);
        return false;
      case 'sub':
        this.#subscribe(op, index);
        return false;
      case 'unsub':
        this.#unsubscribe(op);
        return false;
      case 'enq':
        return this.#enqueue(op, index);
      case 'retained-done': {
        const s = this.sessions.get(op.clientId);
        if (s?.birth === op.birth && s.retaining === op.index) retainedRead(s, index);
        return false;
      }
      case 'ack':
        for (const item of op.items) this.#acknowledge(item);
        return false;
      case 'assign':
        this.#assign(op);
        return false;
      case 'skip':
        this.#skip(op);
        return false;
      case 'rx2':
        return this.#receive(op, index);
      case 'rx2done': {
        const s = this.#current(op.clientId, op.epoch);
        s?.rx2?.delete(op.packetId);
        if (s?.rx2?.size === 0) s.rx2 = null;
        return false;
      }
      case 'enqd':
        for (const i of op.indexes) this.#settleOwed(i);
        return false;
      case 'will': {
        const s = this.sessions.get(op.clientId);
        if (s?.birth === op.birth && s.willIndex !== 0 && !s.connected) this.#fireWill(s, index);
        return false;
      }
      case 'retain':
        return this.#retain(op, index);
      case 'tick':
        this.clockMs += op.elapsedMs;
        return false;
      case 'expire': {
        const s = this.sessions.get(op.clientId);
        if (s?.birth === op.birth && !s.connected) this.#end(s, index);
        return false;
      }
    }
  }

  #current(clientId: string, epoch: number): Session | null {
    const s = this.sessions.get(clientId);
    return s?.epoch === epoch ? s : null;
  }

  // ---- sessions --------------------------------------------------------------------------------

  #open(op: Operation & { type: 'open' }, index: number): boolean {
    let s = this.sessions.get(op.clientId);
    if (s?.connected) this.observer?.onClosed(s);
    if (s) this.#takeOver(s, op, index);
    if (s && (op.cleanStart || !s.persistent)) {
      this.#end(s, index);
      s = undefined;
    }
    const present = s !== undefined;
    if (!s) {
      s = new Session(op.clientId, index);
      this.sessions.set(op.clientId, s);
    }
    this.dated.delete(s);
    s.epoch = index;
    s.openedHlc = op.hlc;
    s.gateway = op.gateway;
    s.gatewayEpoch = op.gatewayEpoch;
    s.connection = op.connection;
    s.present = present;
    s.version = op.version;
    s.expirySeconds = op.expirySeconds;
    s.expiresAtMs = 0;
    resumeRetained(s);
    const sent = op.sentUpto >= 0 ? Math.min(op.sentUpto, s.mark) : s.mark;
    s.dupBelow = Math.min(s.tail, Math.max(s.dupBelow, sent));
    s.mark = s.tail + ASSIGN_AHEAD;
    if (!op.will) return false;
    s.willIndex = index;
    s.willDelayMs = op.will.delaySeconds * 1000;
    return true;
  }

  /**
   * The will of the connection or pause before: a resume within the delay cancels it, and so does any
   * connection of a client that a stopping server sent away; otherwise it is sent [MQTT-3.1.3-9, §3.1.3.2.2].
   */
  #takeOver(s: Session, op: Operation & { type: 'open' }, index: number): void {
    if (s.willIndex === 0) return;
    const resumes = !op.cleanStart && s.persistent && s.willDelayMs > 0;
    if (resumes || s.graced) this.#dropWill(s);
    else this.#fireWill(s, index);
  }

  #close(op: Operation & { type: 'close' }, index: number): void {
    this.clockMs += op.elapsedMs;
    const s = this.#current(op.clientId, op.epoch);
    if (!s?.connected) return;
    s.connection = 0;
    s.gateway = '';
    this.observer?.onClosed(s);
    if (op.sentUpto >= 0) s.mark = Math.min(s.mark, Math.max(op.sentUpto, s.dupBelow));
    if (op.expirySeconds >= 0) s.expirySeconds = op.expirySeconds;
    if (s.willIndex !== 0) this.#holdWill(s, op, index);
    if (s.persistent) {
      if (s.expirySeconds !== NEVER_EXPIRES) s.expiresAtMs = this.clockMs + s.expirySeconds * 1000;
    } else if (s.graced) s.expiresAtMs = s.willAtMs;
    else return this.#end(s, index);
    if (s.expiresAtMs > 0 || s.willAtMs > 0) this.dated.add(s);
  }

  /** The connection has ended: its Will is dropped, sent, or held for its delay. */
  #holdWill(s: Session, op: Operation & { type: 'close' }, index: number): void {
    if (!op.abnormal) return this.#dropWill(s);
    const delayMs = s.persistent ? s.willDelayMs : 0;
    s.graced = op.graceMs > delayMs;
    const heldMs = Math.max(delayMs, op.graceMs);
    if (heldMs === 0) this.#fireWill(s, index);
    else s.willAtMs = this.clockMs + heldMs;
  }

  /** The session is over: its will is sent if pending, everything it refers to is released. */
  #end(s: Session, index: number): void {
    if (s.willIndex !== 0) this.#fireWill(s, index);
    for (let p = s.first; p < s.tail; p = s.unsettledFrom(p + 1))
      this.#unqueue(s.refAt(p), s.bytesAt(p));
    for (const sub of s.subscriptions?.values() ?? []) {
      this.bytes.addFilter(-sub.filter.length);
      this.#forget(sub);
    }
    this.sessions.delete(s.clientId);
    this.dated.delete(s);
    this.observer?.onEnded(s);
  }

  #dropWill(s: Session): void {
    this.#references.release(s.willIndex);
    s.forgetWill();
  }

  /** From now on the shard's leader owes the Will Message; `index` gives it its identity. */
  #fireWill(s: Session, index: number): void {
    // Two wills may fire in one entry only if a session ends that has one: it has but one.
    this.#owe(index, { messageIndex: s.willIndex, will: true });
    s.forgetWill();
  }

  #owe(index: number, owed: Owed): void {
    this.owed.set(index, owed);
    this.observer?.onOwed(index, owed);
  }

  #settleOwed(index: number): void {
    const owed = this.owed.get(index);
    if (!owed) return;
    this.owed.delete(index);
    this.#references.release(owed.messageIndex);
  }

  // ---- subscriptions ---------------------------------------------------------------------------

  #subscribe(op: Operation & { type: 'sub' }, index: number): void {
    const s = this.#current(op.clientId, op.epoch);
    if (!s) return;
    s.subscriptions ??= new Map();
    const wanting: string[] = [];
    for (const request of op.subscriptions) {
      const old = s.subscriptions.get(request.filter);
      const sub: Subscription = { ...request, session: s, since: old?.since ?? this.hlc };
      if (!old) this.bytes.addFilter(request.filter.length);
      // Add before remove, so that a replaced subscription never leaves the route.
      s.subscriptions.set(request.filter, sub);
      this.#remember(sub);
      if (old) this.#forget(old);
      if (request.retainHandling === 0 || (request.retainHandling === 1 && !old))
        wanting.push(request.filter);
    }
    wantRetained(s, wanting, index);
  }

  #unsubscribe(op: Operation & { type: 'unsub' }): void {
    const s = this.#current(op.clientId, op.epoch);
    for (const filter of op.filters) {
      const sub = s?.subscriptions?.get(filter);
      if (!s || !sub) continue;
      s.subscriptions!.delete(filter);
      this.bytes.addFilter(-filter.length);
      this.#forget(sub);
    }
    if (s?.subscriptions?.size === 0) s.subscriptions = null;
  }

  #remember(sub: Subscription): void {
    this.tree.add(sub.filter, sub);
    if (sub.qos === 0) return;
    const count = this.filters.get(sub.filter) ?? 0;
    this.filters.set(sub.filter, count + 1);
    if (count === 0) this.#routeChanged(sub.filter, true);
  }

  #forget(sub: Subscription): void {
    this.tree.remove(sub.filter, sub);
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

  // ---- queues ----------------------------------------------------------------------------------

  #enqueue(op: Operation & { type: 'enq' }, index: number): boolean {
    if (op.rx2) this.enqSeen.add(op.rx2);
    let references = 0;
    const bytes = messageBytes(op.message);
    for (const target of op.targets) {
      const s = this.sessions.of(target);
      if (!s) continue;
      s.push(index, bytes);
      references++;
      if (op.retained) s.retainingAfter = op.message.topic;
      this.observer?.onQueued(s);
    }
    if (references > 1) this.#references.share(index, references);
    if (references === 0) return false;
    this.bytes.addQueued(bytes);
    if (op.message.expiresAtMs > 0) this.expiries.set(index, op.message.expiresAtMs);
    return true;
  }

  /** A message leaves a queue; it may have come there before, or not. */
  #unqueue(ref: number, bytes: number): void {
    if (ref === 0 || !this.#references.release(ref)) return;
    this.bytes.addQueued(-bytes);
    this.expiries.delete(ref);
  }

  #acknowledge(item: AckItem): void {
    const s = this.#current(item.clientId, item.epoch);
    if (!s) return;
    if (item.kind === 'rel') {
      if (s.refAt(item.position) === 0) return;
      s.rel ??= new Set();
      s.rel.add(item.position);
      return;
    }
    const bytes = s.bytesAt(item.position);
    this.#unqueue(s.settle(item.position), bytes);
    if (s.rel?.size === 0) s.rel = null;
  }

  #skip(op: Operation & { type: 'skip' }): void {
    this.#current(op.clientId, op.epoch)?.skip(op.position, op.count);
  }

  #assign(op: Operation & { type: 'assign' }): void {
    const s = this.#current(op.clientId, op.epoch);
    if (s && op.upto > s.mark) s.mark = op.upto;
  }

  // ---- QoS 2 from clients, retained messages ---------------------------------------------------

  #receive(op: Operation & { type: 'rx2' }, index: number): boolean {
    const s = this.#current(op.clientId, op.epoch);
    if (!s || s.rx2?.has(op.packetId)) return false;
    s.rx2 ??= new Map();
    s.rx2.set(op.packetId, index);
    this.#owe(index, { messageIndex: index, will: false });
    return true;
  }

  #retain(op: Operation & { type: 'retain' }, index: number): boolean {
    if (op.rx2) this.retainSeen.add(op.rx2);
    const { topic, payload, hlc, expiresAtMs } = op.message;
    const kept = payload.length > 0; // [MQTT-3.3.1-6]
    const { retained } = this;
    let old: number;
    if (kept) old = retained.set(topic, index, hlc, expiresAtMs);
    else old = expiresAtMs > 0 ? retained.expire(topic, hlc) : retained.delete(topic, hlc);
    if (old !== 0) this.#references.release(old);
    return kept;
  }

  // ---- ShardMachine ----------------------------------------------------------------------------

  takeFreed(): number[] {
    return this.#references.takeFreed();
  }

  /** Every reference to a log entry. */
  *#referred(): Generator<number> {
    for (const s of this.sessions.values()) {
      yield* s.unsettled();
      if (s.willIndex !== 0) yield s.willIndex;
    }
    yield* this.retained.indexes();
    for (const owed of this.owed.values()) yield owed.messageIndex;
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
    w.list([...this.owed], (o, [index, owed]) => {
      o.varint(index);
      o.varint(owed.messageIndex);
      o.bool(owed.will);
    });
    w.list([...this.expiries], (o, [index, expiresAtMs]) => {
      o.varint(index);
      o.f64(expiresAtMs);
    });
    this.enqSeen.write(w);
    this.retainSeen.write(w);
    w.list([...this.origins.values()], (o, origin) => {
      o.str(origin.node);
      o.varint(origin.bootEpoch);
      o.varint(origin.sequence);
    });
    for (const s of this.sessions.values()) writeQueueBytes(w, s);
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
      for (const sub of s.subscriptions?.values() ?? []) this.#remember(sub);
    }
    this.routeVersion = routeVersion;
    this.retained.read(r);
    for (const [index, owed] of r.list(
      (i) => [i.varint(), { messageIndex: i.varint(), will: i.bool() }] as const,
    ))
      this.owed.set(index, owed);
    for (const [index, expiresAtMs] of r.list((i) => [i.varint(), i.f64()] as const))
      this.expiries.set(index, expiresAtMs);
    this.enqSeen.read(r);
    this.retainSeen.read(r);
    for (const origin of r.list((i) => ({
      node: i.str(),
      bootEpoch: i.varint(),
      sequence: i.varint(),
    })))
      this.origins.set(origin.node, origin);
    // The state of an earlier version ends here.
    if (!r.done) for (const s of this.sessions.values()) readQueueBytes(r, s);
    this.#references.count(this.#referred());
    this.bytes.addQueues(this.sessions.values());
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
    this.origins.clear();
    this.#references.clear();
    this.#index = 0;
    this.hlc = 0;
  }
}
