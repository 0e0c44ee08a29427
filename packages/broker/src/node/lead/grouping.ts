/**
 * Messages for groups at the leader of their shard: each goes to one member, in log order, and stays until that
 * member has it.
 *
 * ```
 *   GROUP committed ──▶ a member has room ─┬─ QoS 0 ──▶ given ─────────────────────────────▶ GROUPDONE
 *                                          ├─ QoS 1 ──▶ given ──▶ acknowledged ────────────▶ GROUPDONE
 *                                          │               └─ refused, or lost ──▶ again, another member
 *                                          └─ QoS 2 ──▶ BIND ──▶ given, or queued by its shard ──▶ GROUPDONE
 *                                                                  └─ refused ──▶ UNBIND, again
 * ```
 * While no member is online, all messages wait here. A message that is given again passes over members that were
 * given a later one of its topic, until it has waited for ORDER_WAIT_MS: so each member sees a topic in order.
 */
import { shardOf } from '../../placement/hash.ts';
import type { Bound } from '../../session/groups.ts';
import type { Message, Rx2Id } from '../../session/message.ts';
import { Outcome } from '../link/given.ts';
import { type Reply, Status } from '../link/request.ts';
import type { Member } from '../route/groups.ts';
import type { GroupQueueHere } from './giving.ts';
import { GroupEntries } from './group-entries.ts';
import { type Again, LedQueue } from './led-queue.ts';
import type { Lead } from './parts.ts';

/** Entries read from disk at once for one group. */
const READ_ENTRIES = 64;
/** How long a refused message waits for a member that was given no later one of its topic. */
const ORDER_WAIT_MS = 1000;
/** How long the messages of a group are kept that no session subscribes to. */
const EMPTY_MS = 5000;
/** How long a session is passed over whose queue was full. */
const PAUSE_MS = 100;
/** A full queue is looked through for expired messages at most this often. */
const PURGE_MS = 1000;
/** Longest time for which the answer to a publisher is held back. */
const HOLD_MS = 5000;
/** Most passes through the due queues in a row. */
const ROUNDS_MAX = 8;
/** Messages that one GROUPDONE settles before the tick that logs the rest. */
const DONE_MAX = 256;

export class Grouping implements GroupQueueHere {
  readonly #leader: Lead;
  readonly #queues = new Map<string, LedQueue>();
  /** Have something to give now. */
  readonly #due = new Set<LedQueue>();
  /** Have something to give when more is committed. */
  readonly #uncommitted = new Set<LedQueue>();
  #running = false;
  /** Bound to members, and not with them yet: by index and group, what ends that. */
  readonly #reserved = new Map<string, () => void>();
  /** Settled here, to be logged. */
  #done = new Map<string, number[]>();
  #doneCount = 0;
  readonly #entries: GroupEntries;
  /** Raised when the leader stops. */
  #term = 0;

  constructor(leader: Lead) {
    this.#leader = leader;
    this.#entries = new GroupEntries(leader);
  }

  get shard(): number {
    return this.#leader.shard;
  }

  get term(): number {
    return this.#leader.since;
  }

  start(): void {
    const { state } = this.#leader;
    for (const { key, messages } of state.groups.byKey.values()) {
      const q = this.#queue(key);
      const bound: [by: number, index: number][] = [];
      for (const [index, waiting] of messages) {
        if (waiting.bound) bound.push([waiting.bound.by, index]);
        else q.fresh.push(index);
      }
      for (const [, index] of bound.sort(([a], [b]) => a - b)) q.bound.push(index);
      this.#leader.afterCommit(this.#inTerm(() => this.#giveBound(q)));
      this.#uncommitted.add(q);
    }
    this.committed();
  }

  stop(): void {
    this.#term++;
    this.#leader.node.giving.drop(this);
    for (const end of this.#reserved.values()) end();
    this.#reserved.clear();
    this.#queues.clear();
    this.#due.clear();
    this.#uncommitted.clear();
    this.#done = new Map();
    this.#doneCount = 0;
    this.#entries.clear();
  }

  /** `run`, unless the leader has stopped meanwhile. */
  #inTerm(run: () => void): () => void {
    const term = this.#term;
    return () => {
      if (term === this.#term) run();
    };
  }

  #queue(key: string): LedQueue {
    let q = this.#queues.get(key);
    if (!q) {
      q = new LedQueue(key);
      this.#queues.set(key, q);
    }
    return q;
  }

  // ---- in ----------------------------------------------------------------------------------------

  /** Which of the groups have room for so many bytes more. */
  withRoom(groups: readonly string[], bytes: number): readonly string[] {
    const { limits, counters } = this.#leader.node;
    return groups.filter((key) => {
      const takes = () => {
        const queue = this.#leader.state.groups.get(key);
        if (counters.queuedBytes + bytes > limits.nodeQueueBytes) return false;
        if (!queue) return true;
        if (queue.messages.size >= limits.sessionQueueMessages) return false;
        return queue.bytes + bytes <= limits.sessionQueueBytes;
      };
      if (takes()) return true;
      this.#purge(key);
      return takes();
    });
  }

  /** Takes out of a queue what has expired and is with no member. Only while the replica takes operations. */
  #purge(key: string): void {
    const { state, node } = this.#leader;
    const q = this.#queues.get(key);
    const queue = state.groups.get(key);
    const nowMs = node.env.nowMs();
    if (!q || !queue || state.expiries.size === 0 || nowMs - q.purgedMs < PURGE_MS) return;
    q.purgedMs = nowMs;
    const wallMs = node.env.wallMs();
    const gone = new Set<number>();
    for (const [index, { bound }] of queue.messages)
      if (!bound && !q.sent.has(index) && (state.expiries.get(index) ?? Infinity) <= wallMs)
        gone.add(index);
    if (gone.size === 0) return;
    q.drop(gone);
    for (const index of gone) this.#settle(q, index);
    this.#logDone();
  }

  /** Applied: it may go out once it is committed. */
  add(index: number, groups: readonly string[]): void {
    for (const key of groups) {
      const q = this.#queue(key);
      q.fresh.push(index);
      this.#uncommitted.add(q);
    }
  }

  /** Runs `run` when little enough waits for members that are online, or it takes too long. */
  whenRoom(groups: readonly string[], run: () => void): void {
    const { node } = this.#leader;
    for (const key of groups) {
      const q = this.#queues.get(key);
      if (!q || q.waiting <= node.limits.liveQueueMessages || !node.giving.online(key)) continue;
      q.hold(node.env.nowMs() + HOLD_MS, run);
      return;
    }
    run();
  }

  // ---- out ---------------------------------------------------------------------------------------

  committed(): void {
    if (this.#uncommitted.size === 0) return;
    for (const q of this.#uncommitted) this.#due.add(q);
    this.#uncommitted.clear();
    this.#run();
  }

  /** A member that refuses at once makes its message due again meanwhile. */
  #run(): void {
    if (this.#running) return;
    this.#running = true;
    for (let round = 0; round < ROUNDS_MAX && this.#due.size > 0; round++) {
      const due = [...this.#due];
      this.#due.clear();
      for (const q of due) this.#pump(q);
    }
    for (const q of this.#due) this.#uncommitted.add(q);
    this.#due.clear();
    this.#running = false;
  }

  onRoom(key: string): void {
    const q = this.#queues.get(key);
    if (q) this.#look(q);
  }

  #look(q: LedQueue): void {
    this.#due.add(q);
    this.#run();
  }

  #pump(q: LedQueue): void {
    if (q.reading || !this.#leader.serving) return;
    if (!this.#leader.replica.canPropose) return this.#later(q);
    this.#pumpAgain(q);
    while (!q.reading && q.at < q.fresh.length) {
      const index = q.fresh[q.at]!;
      if (index > this.#leader.replica.commit) return this.#later(q);
      const took = this.#give(q, index, null);
      if (!took) break;
      q.shift();
    }
    if (q.waiting > 0 && !q.reading) this.#leader.node.giving.await(q.key, this);
    this.#release(q);
  }

  /** The next commit, or the tick, looks again. */
  #later(q: LedQueue): void {
    if (q.waiting > 0) this.#uncommitted.add(q);
  }

  #pumpAgain(q: LedQueue): void {
    const { giving } = this.#leader.node;
    if (q.again.length === 0 || !giving.hasRoom(q.key)) return;
    const left: Again[] = [];
    let full = false;
    for (const item of q.takeAgain()) {
      if (!full && !q.reading && this.#give(q, item.index, item)) continue;
      left.push(item);
      full ||= !giving.hasRoom(q.key);
    }
    // What came back meanwhile is there already.
    q.again = left.concat(q.again);
  }

  /** @returns false if no member takes it now, or it must be read first */
  #give(q: LedQueue, index: number, again: Again | null): boolean {
    const { node, state } = this.#leader;
    const { giving, env } = node;
    if (!state.groups.get(q.key)?.messages.has(index)) return true;
    if (!giving.hasRoom(q.key)) return false;
    const logged = this.#entries.get(index);
    if (!logged) {
      this.#read(q, index);
      return false;
    }
    const op = logged.operation;
    if (op.type !== 'group') return true;
    const { message, ingress } = op;
    if (message.expiresAtMs > 0 && message.expiresAtMs <= env.wallMs()) {
      this.#settle(q, index);
      return true;
    }
    const member = this.#choose(q, index, message, ingress, again);
    if (!member) return false;
    q.note(index, message.topic, member);
    const qos = Math.min(message.qos, member.qos);
    if (qos === 0) {
      giving.giveZero(member, q.key, message);
      this.#settle(q, index);
    } else if (qos === 1) giving.giveOne(this, member, q.key, index, message);
    else this.#bind(q, index, member);
    return true;
  }

  #choose(
    q: LedQueue,
    index: number,
    message: Message,
    ingress: string,
    again: Again | null,
  ): Member | null {
    const { giving, env } = this.#leader.node;
    const last = again && q.topics.get(message.topic)?.last;
    if (!last || env.nowMs() - again.sinceMs >= ORDER_WAIT_MS)
      return giving.choose(q.key, message, ingress, () => true);
    return giving.choose(q.key, message, ingress, (m) => (last.get(m) ?? 0) <= index);
  }

  // ---- QoS 2 -------------------------------------------------------------------------------------

  #bind(q: LedQueue, index: number, member: Member): void {
    const { giving } = this.#leader.node;
    const { clientId, persistent } = member;
    const to = persistent ? null : giving.addressOf(member);
    const group = q.key;
    this.#reserved.set(`${index} ${group}`, giving.reserve(member));
    const committed = this.#inTerm(() => {
      q.bound.push(index);
      this.#giveBound(q);
    });
    this.#leader.append({ type: 'bind', group, index, clientId, to }, null, committed);
  }

  /** Gives bound messages to their members, in the order of the BINDs, or asks what became of them. */
  #giveBound(q: LedQueue): void {
    while (!q.readingBound) {
      const index = q.bound[0];
      if (index === undefined) return;
      const bound = this.#leader.state.groups.get(q.key)?.messages.get(index)?.bound;
      const message = bound && this.#message(index);
      if (bound && !message) return this.#readBound(q, index);
      q.bound.shift();
      if (bound && message) this.#giveTo(q, index, bound, message);
    }
  }

  #giveTo(q: LedQueue, index: number, bound: Bound, message: Message): void {
    const { shard, node, state } = this.#leader;
    const { shardCount } = node;
    if (!q.sent.has(index)) q.sent.set(index, '');
    // Identities of their own: not those of messages received at QoS 2 in the same shard.
    const low = state.groups.lowestBind(bound.by);
    const id = { shard: shardCount + shard, index: bound.by, low };
    if (bound.to) {
      node.giving.giveBound(this, bound.to, q.key, index, id, message);
      return this.#unreserve(q, index);
    }
    this.#giveStored(q, index, bound.clientId, id, message);
  }

  #giveStored(q: LedQueue, index: number, clientId: string, rx2: Rx2Id, message: Message): void {
    const { node } = this.#leader;
    const member = node.giving.groups.get(q.key)?.members.find((m) => m.clientId === clientId);
    const window = member?.window ?? node.limits.inflightMessages;
    const term = this.#term;
    node.router
      .channel(shardOf(clientId, node.shardCount))
      .send({ type: 'give', clientId, group: q.key, window, rx2, message }, ({ status }: Reply) => {
        if (term !== this.#term) return;
        this.#unreserve(q, index);
        if (status === Status.Ok) return this.#settle(q, index);
        if (member && status === Status.QuotaExceeded)
          member.pausedUntilMs = node.env.nowMs() + PAUSE_MS;
        this.#unbind(q, index);
      });
  }

  #unreserve(q: LedQueue, index: number): void {
    const key = `${index} ${q.key}`;
    const end = this.#reserved.get(key);
    this.#reserved.delete(key);
    end?.();
  }

  #readBound(q: LedQueue, index: number): void {
    q.readingBound = true;
    this.#entries.read(
      index,
      [],
      () => -1,
      this.#inTerm(() => {
        q.readingBound = false;
        this.#giveBound(q);
      }),
    );
  }

  #unbind(q: LedQueue, index: number): void {
    const group = q.key;
    this.#leader.appendOwn(
      () => ({ type: 'unbind', group, index }),
      this.#inTerm(() => this.#again(q, index)),
    );
  }

  // ---- what comes back -----------------------------------------------------------------------------

  onGiven(key: string, index: number, outcome: Outcome): void {
    const q = this.#queues.get(key);
    const waiting = this.#leader.state.groups.get(key)?.messages.get(index);
    if (!q || !waiting) return;
    const { counters } = this.#leader.node;
    switch (outcome) {
      case Outcome.Gone:
        counters.sharedReturned++;
        if (waiting.bound) return this.#unbind(q, index);
        return this.#again(q, index);
      case Outcome.Discarded:
        counters.sharedDiscarded++;
        break;
      case Outcome.Ended:
        counters.sharedEnded++;
        break;
      default:
        break;
    }
    this.#settle(q, index);
  }

  onLost(lost: readonly (readonly [key: string, index: number])[]): void {
    const running = this.#running;
    // All come back before any goes out: else each would look through those before it.
    this.#running = true;
    for (const [key, index] of lost) this.onGiven(key, index, Outcome.Gone);
    this.#running = running;
    this.#run();
  }

  onBusy(key: string, index: number, member: Member | null): void {
    const q = this.#queues.get(key);
    if (member) q?.refused(index, member);
    const waits = this.#leader.state.groups.get(key)?.messages.has(index);
    if (q && waits) this.#again(q, index, this.#leader.node.env.nowMs());
  }

  /** @param sinceMs when its member refused; a member that is gone had it, and waits for no order */
  #again(q: LedQueue, index: number, sinceMs = Number.NEGATIVE_INFINITY): void {
    q.again.push({ index, sinceMs });
    this.#look(q);
  }

  #settle(q: LedQueue, index: number): void {
    q.forget(index);
    this.#entries.forget(index);
    const indexes = this.#done.get(q.key);
    if (indexes) indexes.push(index);
    else this.#done.set(q.key, [index]);
    if (++this.#doneCount >= DONE_MAX) this.#logDone();
  }

  #logDone(): void {
    if (this.#doneCount === 0) return;
    const items = [...this.#done].map(([group, indexes]) => ({ group, indexes }));
    this.#done = new Map();
    this.#doneCount = 0;
    this.#leader.appendOwn(() => ({ type: 'groupdone', items }));
  }

  #release(q: LedQueue): void {
    if (q.held.length === 0) return;
    const { env, limits } = this.#leader.node;
    q.release(q.waiting <= limits.liveQueueMessages / 2, env.nowMs());
  }

  tick(nowMs: number): void {
    for (const q of this.#queues.values()) {
      this.#discardIfEmpty(q, nowMs);
      this.#release(q);
      if (q.waiting > 0) this.#uncommitted.add(q);
      else if (q.sent.size === 0 && q.held.length === 0 && !this.#leader.state.groups.get(q.key))
        this.#queues.delete(q.key);
    }
    this.#logDone();
    this.committed();
  }

  /** The last subscription of the group has ended, and with it the Shared Subscription (§4.8.2). */
  #discardIfEmpty(q: LedQueue, nowMs: number): void {
    const { giving, counters, grants } = this.#leader.node;
    if (q.waiting === 0 || giving.groups.get(q.key) || !grants.routable(nowMs)) q.emptyMs = 0;
    else if (q.emptyMs === 0) q.emptyMs = nowMs;
    if (q.emptyMs === 0 || nowMs - q.emptyMs < EMPTY_MS) return;
    q.emptyMs = 0;
    for (const index of q.takeWaiting()) {
      counters.sharedDropped++;
      this.#settle(q, index);
    }
  }

  // ---- messages of the log -------------------------------------------------------------------------

  #message(index: number): Message | null {
    const op = this.#entries.get(index)?.operation;
    return op?.type === 'group' ? op.message : null;
  }

  /** Reads the entry, and those that come next. */
  #read(q: LedQueue, first: number): void {
    const nowMs = this.#leader.node.env.nowMs();
    // What was read and found no member is not read again before time goes on.
    if (q.readMs === nowMs && q.readFirst >= first) return;
    q.readMs = nowMs;
    q.readFirst = first;
    const { messages } = this.#leader.state.groups.get(q.key)!;
    const next = q.fresh.slice(q.at, q.at + READ_ENTRIES);
    q.reading = true;
    this.#entries.read(
      first,
      next,
      (index) => messages.get(index)?.bytes ?? -1,
      this.#inTerm(() => {
        q.reading = false;
        this.#look(q);
      }),
    );
  }
}
