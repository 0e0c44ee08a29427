/**
 * The leader's side of one shard: requests in, operations logged, answers when committed.
 *
 * A request passes: order check (one per node, without gaps) → what it means now → log → commit →
 * effect (answer, delivery, route, kick). While a view changes under the same leader requests wait;
 * when another leads they are forgotten here and sent again there.
 */

import { assertNever } from '../../assert-never.ts';
import type { Writer } from '../../bytes.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { Message, Rx2Id } from '../../session/message.ts';
import { messageBytes } from '../../session/message.ts';
import {
  type Logged,
  type Operation,
  type Origin,
  writeOperation,
} from '../../session/operation.ts';
import type { Recipient } from '../../session/recipient.ts';
import type { Session } from '../../session/session.ts';
import type { ShardState } from '../../session/shard-state.ts';
import type { Owed, StateObserver } from '../../session/state-observer.ts';
import type { Replica } from '../../shard/replica.ts';
import { OK, type Reply, type Request, reply, Status } from '../link/request.ts';
import { Complaints } from './complaints.ts';
import { Deadlines } from './deadlines.ts';
import { addressOf, Delivering } from './delivering.ts';
import { Expiring } from './expiring.ts';
import { GiveAnswers } from './give-answers.ts';
import { give, toGroups } from './group-requests.ts';
import { Grouping } from './grouping.ts';
import type { LeadPort } from './lead-port.ts';
import { LongHeld } from './long-held.ts';
import { matchStored } from './matching.ts';
import { Opening } from './opening.ts';
import { Owing } from './owing.ts';
import type { Lead, Respond } from './parts.ts';
import { pubrel, receive } from './qos2-requests.ts';
import { Retaining } from './retaining.ts';
import { Returning } from './returning.ts';
import { RouteChanges } from './route-changes.ts';

/** Where a node's requests to this shard stand. */
interface Source {
  bootEpoch: number;
  lastSeen: number;
}

interface Waiter {
  readonly index: number;
  /** When the entry was appended, −1 for one that waits for what others appended. */
  readonly atMs: number;
  readonly run: () => void;
}

/** Requests that wait while a view of the same leader is being formed. */
const PAUSED_MAX = 100_000;

export class ShardLeader implements Lead, StateObserver {
  readonly shard: number;
  readonly replica: Replica;
  readonly state: ShardState;
  readonly node: LeadPort;
  readonly delivering: Delivering;
  readonly owing: Owing;
  readonly retaining: Retaining;
  readonly deadlines: Deadlines;
  readonly opening: Opening;
  readonly grouping: Grouping;
  readonly returning: Returning;
  readonly #longHeld: LongHeld;
  readonly giveAnswers = new GiveAnswers();
  /** Counts the times this node began to serve the shard; gateways send anew when it changes. */
  since = 0;
  serving = false;
  readonly #complaints: Complaints;
  readonly #expiring: Expiring;
  readonly #sources = new Map<string, Source>();
  #waiters: Waiter[] = [];
  #paused: (() => void)[] = [];
  readonly #routeChanges: RouteChanges;
  /** What was just logged, decoded; dropped after two ticks. */
  #recent = new Map<number, Logged>();
  #older = new Map<number, Logged>();

  constructor(replica: Replica, state: ShardState, node: LeadPort) {
    this.shard = replica.shard;
    this.replica = replica;
    this.state = state;
    this.node = node;
    this.#routeChanges = new RouteChanges(this.shard, node);
    this.delivering = new Delivering(this);
    this.owing = new Owing(this);
    this.retaining = new Retaining(this);
    this.deadlines = new Deadlines(this);
    this.opening = new Opening(this);
    this.grouping = new Grouping(this);
    this.returning = new Returning(this);
    this.#longHeld = new LongHeld(this);
    this.#complaints = new Complaints(node.env);
    this.#expiring = new Expiring(this);
  }

  // ---- leadership ------------------------------------------------------------------------------

  /** The view is established. `again`: under the same leader as before, so nothing was lost. */
  onEstablished(again: boolean): void {
    if (again && this.serving) {
      const paused = this.#paused;
      this.#paused = [];
      for (const run of paused) run();
      this.retaining.resume();
      return;
    }
    this.serving = true;
    this.since = this.replica.view.number.counter;
    this.state.observer = this;
    this.node.clock.observe(this.state.hlc);
    this.#sources.clear();
    for (const o of this.state.origins.values())
      this.#sources.set(o.node, { bootEpoch: o.bootEpoch, lastSeen: o.sequence });
    this.node.routes.setShard(this.shard, this.state.routeVersion, this.state.filters.keys());
    this.owing.start();
    this.retaining.start();
    this.deadlines.start();
    this.delivering.start();
    this.grouping.start();
    this.returning.start();
  }

  onDeposed(): void {
    if (!this.serving) return;
    this.serving = false;
    this.state.observer = null;
    this.#waiters = [];
    this.#paused = [];
    this.#routeChanges.clear();
    this.#recent.clear();
    this.#older.clear();
    this.delivering.stop();
    this.owing.stop();
    this.opening.stop();
    this.retaining.stop();
    this.grouping.stop();
    this.returning.stop();
    this.giveAnswers.stop();
  }

  // ---- logging ---------------------------------------------------------------------------------

  /** Logs an operation and runs `committed` once it is. Only while the replica takes operations. */
  append(operation: Operation, origin: Origin | null, committed: () => void): number {
    const logged: Logged = { operation, origin };
    const index = this.replica.appending.propose(
      this.node.clock.next(),
      (w: Writer) => writeOperation(w, operation, origin),
      logged,
    );
    if (operation.type === 'enq' || operation.type === 'group') this.#recent.set(index, logged);
    else if ('clientId' in operation && this.state.owed.get(index)?.will)
      this.opening.onWill(operation.clientId, index);
    this.#waiters.push({ index, atMs: this.node.env.nowMs(), run: committed });
    return index;
  }

  /** Logs something of the leader's own, now or when the view change under way is over. */
  appendOwn(operation: () => Operation | null, committed: () => void = () => {}): void {
    this.whenOpen(() => {
      const op = operation();
      if (op) this.append(op, null, committed);
    });
  }

  /** Runs `run` when the replica takes operations: now, or when the view change under way is over. */
  whenOpen(run: () => void): void {
    if (this.replica.canPropose) run();
    else if (this.serving && this.#paused.length < PAUSED_MAX) this.#paused.push(run);
  }

  /** Runs `run` when everything logged so far is committed. */
  afterCommit(run: () => void): void {
    const index = this.replica.log.end;
    if (index <= this.replica.commit) run();
    else this.#waiters.push({ index, atMs: -1, run });
  }

  onCommitted(): void {
    const { commit } = this.replica;
    this.#routeChanges.committed(commit);
    let n = 0;
    while (n < this.#waiters.length && this.#waiters[n]!.index <= commit) n++;
    if (n > 0) {
      const due = this.#waiters.splice(0, n);
      const { counters } = this.node;
      const nowMs = this.node.env.nowMs();
      for (const { atMs, run } of due) {
        if (atMs >= 0) {
          counters.entriesCommitted++;
          counters.commitLatency.observe(nowMs - atMs);
        }
        run();
      }
    }
    this.delivering.run();
    this.grouping.committed();
  }

  // ---- StateObserver ---------------------------------------------------------------------------

  onFilter(filter: string, added: boolean): void {
    // Called while the entry at the log's end is applied.
    const version = this.state.routeVersion;
    this.#routeChanges.add({ index: this.replica.log.end, filter, added, version });
  }

  onQueued(session: Session): void {
    this.delivering.queued(session);
  }

  onOwed(index: number, owed: Owed): void {
    this.owing.add(index, owed);
  }

  onGrouped(index: number, groups: readonly string[]): void {
    this.grouping.add(index, groups);
  }

  onReturned(number: number): void {
    this.returning.add(number);
  }

  onClosed(session: Session): void {
    this.retaining.closed(session);
  }

  onEnded(session: Session): void {
    this.retaining.ended(session);
    this.giveAnswers.ended(session);
    this.delivering.ended(session);
  }

  // ---- requests --------------------------------------------------------------------------------

  /** One request of a node; `prev` is the one it sent before to this leader, 0 for none. */
  handle(origin: Origin, prev: number, request: Request, respond: Respond): void {
    if (!this.serving || this.#paused.length >= PAUSED_MAX) return respond(reply(Status.NotLeader));
    this.whenOpen(() => this.#inOrder(origin, prev, request, respond));
  }

  #inOrder(origin: Origin, prev: number, request: Request, respond: Respond): void {
    let source = this.#sources.get(origin.node);
    if (!source || source.bootEpoch < origin.bootEpoch) {
      source = { bootEpoch: origin.bootEpoch, lastSeen: 0 };
      this.#sources.set(origin.node, source);
    }
    if (source.bootEpoch > origin.bootEpoch) return;
    if (prev > source.lastSeen) return respond(reply(Status.Gap));
    if (origin.sequence <= source.lastSeen) return this.#again(request, respond);
    source.lastSeen = origin.sequence;
    this.#take(origin, request, respond);
  }

  #take(origin: Origin, q: Request, respond: Respond): void {
    switch (q.type) {
      case 'publish':
        return this.#publish(origin, q.message, q.rx2, respond);
      case 'group':
        return toGroups(this, origin, q, respond);
      case 'give':
        return give(this, origin, q, respond);
      case 'open':
        return this.opening.open(origin, q, false, respond);
      case 'insist':
        return this.opening.open(origin, q.open, true, respond);
      case 'attach':
        return this.#attach(q.clientId, q.epoch, respond);
      case 'delete':
        return this.#delete(q.clientId, respond);
      case 'retain':
        return this.#retain(origin, q, respond);
      case 'rx2':
        return receive(this, origin, q, respond);
      case 'ack':
        this.append(q, origin, () => respond(OK));
        for (const { clientId, kind } of q.items) {
          this.node.env.trace?.(kind);
          this.delivering.settled(clientId);
          this.giveAnswers.settled(this.state.sessions.get(clientId));
          this.retaining.settled(clientId);
        }
        return;
      case 'sub':
        if (!this.live(q.clientId, q.epoch)) return respond(reply(Status.NoSession));
        this.node.env.trace?.('sub');
        this.append(q, origin, () => this.retaining.subscribed(q.clientId, q.epoch, respond));
        return;
      case 'rx2done':
        return pubrel(this, origin, q, respond);
      case 'unsub':
        if (!this.live(q.clientId, q.epoch)) return respond(reply(Status.NoSession));
        this.append(q, origin, () => respond(OK));
        return;
      case 'close': {
        const elapsedMs = this.deadlines.takeElapsed();
        // Its client is elsewhere already, and was before the server ended this connection.
        const graceMs = this.opening.yields(q.clientId, q.epoch) ? 0 : q.graceMs;
        this.append({ ...q, graceMs, elapsedMs }, origin, () => respond(OK));
        this.opening.onClosed(q.clientId);
        return;
      }
      default:
        assertNever(q);
    }
  }

  /** The session if the connection that has this epoch still owns it. */
  live(clientId: string, epoch: number): Session | null {
    const s = this.state.sessions.get(clientId);
    return s?.epoch === epoch && s.connected ? s : null;
  }

  /** Taken before, by this leader or an earlier one: answers what the state says, once committed. */
  #again(q: Request, respond: Respond): void {
    switch (q.type) {
      case 'open':
        return this.opening.again(q, respond);
      case 'insist':
        return this.opening.again(q.open, respond);
      case 'attach':
        return this.#attach(q.clientId, q.epoch, respond);
      case 'rx2': {
        const s = this.live(q.clientId, q.epoch);
        const index = s?.rx2?.get(q.packetId);
        if (!s) return respond(reply(Status.NoSession));
        // Its gateway has no answer yet, so no PUBREL has ended the exchange: it was refused.
        if (index === undefined)
          return this.afterCommit(() => respond(reply(Status.QuotaExceeded)));
        return this.owing.whenDone(index, (refused) =>
          respond(refused ? reply(Status.QuotaExceeded) : OK),
        );
      }
      case 'sub':
        return this.afterCommit(() => this.retaining.subscribed(q.clientId, q.epoch, respond));
      case 'publish':
        // It may have matched nothing, which only a leader that still is one knows.
        return this.afterCommit(() => this.underLease(OK, respond));
      case 'group':
        return this.afterCommit(() => this.underLease(OK, respond));
      case 'give': {
        // Taken or refused, and nothing else: the log says which.
        const taken = this.state.enqSeen.has(q.rx2);
        return this.afterCommit(() => respond(taken ? OK : reply(Status.NoSession)));
      }
      case 'ack':
      case 'unsub':
      case 'close':
      case 'delete':
      case 'retain':
      case 'rx2done':
        return this.afterCommit(() => respond(OK));
      default:
        assertNever(q);
    }
  }

  /** Answers what no entry of the log vouches for. */
  underLease(answer: Reply, respond: Respond): void {
    const { leases } = this.node;
    if (!leases.confirm(this.replica, this.node.env.nowMs(), () => respond(answer)))
      respond(reply(Status.NotLeader));
  }

  #attach(clientId: string, epoch: number, respond: Respond): void {
    const s = this.live(clientId, epoch);
    this.afterCommit(() => respond(s ? OK : reply(Status.NoSession)));
    if (!s) return;
    this.delivering.attach(s);
    this.retaining.attached(s);
  }

  #delete(clientId: string, respond: Respond): void {
    const s = this.state.sessions.get(clientId);
    if (!s) return respond(reply(Status.NoSession));
    if (s.connected) {
      const { epoch } = s;
      const address = addressOf(s);
      const close = { type: 'close', clientId, epoch, abnormal: true, graceMs: 0 } as const;
      const elapsedMs = this.deadlines.takeElapsed();
      this.append({ ...close, expirySeconds: -1, sentUpto: -1, elapsedMs }, null, () =>
        this.node.connections.kick(address, ReasonCode.AdministrativeAction, null),
      );
    }
    if (!this.state.sessions.has(clientId)) return this.afterCommit(() => respond(OK));
    this.append({ type: 'expire', clientId, birth: s.birth }, null, () => respond(OK));
  }

  // ---- publish ---------------------------------------------------------------------------------

  #publish(origin: Origin, message: Message, rx2: Rx2Id | null, respond: Respond): void {
    if (rx2 && this.state.enqSeen.has(rx2)) return this.afterCommit(() => respond(OK));
    const { recipients, refused } = this.#match(message);
    if (refused > 0) this.node.counters.queueRefused += refused;
    if (recipients.length === 0) {
      const answer = refused > 0 ? reply(Status.QuotaExceeded) : OK;
      return this.underLease(answer, respond);
    }
    this.node.env.trace?.('enq');
    this.append({ type: 'enq', rx2, message, recipients, retained: false }, origin, () =>
      respond(OK),
    );
  }

  /** Recipients among the stored sessions, and how many have no room. */
  #match(message: Message): { recipients: Recipient[]; refused: number } {
    const recipients: Recipient[] = [];
    let refused = 0;
    const bytes = messageBytes(message);
    for (const [s, recipient] of matchStored(this.state, message)) {
      if (!this.takes(s, bytes)) this.#expiring.purge(s);
      if (!this.takes(s, bytes)) {
        refused++;
        const { clientId, pending } = s;
        const fields = { clientId, messages: pending, bytes: s.bytes };
        this.#complaints.warn(clientId, 'queue of the session is full, message refused', fields);
        continue;
      }
      recipients.push(recipient);
      this.retaining.sawLive(s, message);
    }
    return { recipients, refused };
  }

  /** The session's queue, and the node's, have room for so many bytes more. */
  takes(s: Session, bytes: number): boolean {
    const { counters, limits } = this.node;
    return (
      s.pending < limits.sessionQueueMessages &&
      s.bytes + bytes <= limits.sessionQueueBytes &&
      counters.queuedBytes + bytes <= limits.nodeQueueBytes
    );
  }

  #retain(origin: Origin, q: Operation & { type: 'retain' }, respond: Respond): void {
    if (q.rx2 && this.state.retainSeen.has(q.rx2)) return this.afterCommit(() => respond(OK));
    const { topic, payload, hlc } = q.message;
    // A copy that a gateway held, while its client published that one and newer ones elsewhere.
    if (hlc < this.state.retained.hlcOf(topic)) return this.afterCommit(() => respond(OK));
    const adds = payload.length > 0 && !this.state.retained.has(topic);
    const most = this.node.limits.retainedMessagesPerShard;
    if (adds && this.state.retained.size >= most) this.#expiring.purgeRetained();
    if (adds && this.state.retained.size >= most) {
      this.node.counters.retainedRefused++;
      const fields = { shard: this.shard, messages: this.state.retained.size };
      this.#complaints.warn('', 'shard retains as many messages as it may, one refused', fields);
      return respond(reply(Status.QuotaExceeded));
    }
    this.node.env.trace?.('retain');
    // An empty payload clears the topic for good: its Message Expiry Interval does not count.
    const message = payload.length > 0 ? q.message : { ...q.message, expiresAtMs: 0 };
    this.append({ ...q, message }, origin, () => respond(OK));
  }

  /** All queues that matched are full: PUBREC says so, which ends the exchange [MQTT-4.3.3-9]. */
  onRefused(index: number, clientId: string, packetId: number): void {
    this.appendOwn(() => {
      const s = this.state.sessions.get(clientId);
      if (s?.rx2?.get(packetId) !== index) return null;
      return { type: 'rx2done', clientId, epoch: s.epoch, packetId };
    });
  }

  // ---- time ------------------------------------------------------------------------------------

  /** An operation logged a moment ago, so that delivering it need not decode it. */
  recent(index: number): Logged | undefined {
    return this.#recent.get(index) ?? this.#older.get(index);
  }

  tick(nowMs: number): void {
    if (!this.serving) return;
    if (this.#recent.size > 0 || this.#older.size > 0) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.deadlines.tick(nowMs);
    this.#expiring.tick(nowMs);
    this.retaining.tick();
    this.owing.tick();
    this.opening.tick(nowMs);
    this.grouping.tick(nowMs);
    this.returning.tick();
    this.#longHeld.tick(nowMs);
    this.giveAnswers.tick();
    this.delivering.run();
  }
}
