/**
 * SUBSCRIBE of a persistent session, from commit to its last retained message: the route barrier, the
 * answer (SUBACK), then what is retained, page by page at the pace of the client.
 *
 * What is QoS 1 or 2 is logged into the session's queue, a little ahead of what the client has; what is
 * QoS 0 goes to the gateway, batch by batch. What is left to read stands in the session (retaining,
 * retainingAfter): a new leader goes on, and so does the next connection. A live message on a topic
 * makes its older retained copy stale: after the barrier every newer one comes live.
 */
import { TopicTree } from '../../mqtt/topic-tree.ts';
import type { Message } from '../../session/message.ts';
import { messageBytes } from '../../session/message.ts';
import type { Session } from '../../session/session.ts';
import type { RetainedCopy } from '../link/delivery-codec.ts';
import { OK, reply, Status } from '../link/request.ts';
import type { Reading } from '../route/retained-reading.ts';
import { AWAY_WATCHED_TOPICS_MAX, TopicWatch, WATCHED_TOPICS_MAX } from '../route/topic-watch.ts';
import { addWant, type Want, wantOf } from '../route/want.ts';
import { addressOf } from './delivering.ts';
import type { Lead, Respond } from './parts.ts';

/** Bytes of retained messages in a session's queue above which no further ones are queued. */
export const RETAINED_AHEAD_BYTES_MAX = 1024 * 1024;
/** Bytes and messages of one batch of QoS 0 copies. */
const ZERO_BYTES = 64 * 1024;
const ZERO_MESSAGES = 500;
/** Work units of one copy. */
const COPY_UNITS = 10;

interface Copy extends RetainedCopy {
  readonly qos: 0 | 1 | 2;
}

/** A reading under way for the head of what a session's SUBSCRIBEs want. */
interface Job {
  readonly session: Session;
  readonly epoch: number;
  /** The session's `retaining` that this is for. */
  readonly index: number;
  readonly reading: Reading;
  readonly filters: TopicTree<string>;
  /** Taken, and waiting for room in the queue. */
  next: Copy | null;
  zero: RetainedCopy[];
  zeroBytes: number;
  /** The batch that the gateway has not taken yet; 0: none. */
  token: number;
  running: boolean;
}

function copyOf(message: Message, { qos, identifiers }: Want): Copy {
  return { message, qos, identifiers };
}

export class Retaining {
  readonly #leader: Lead;
  readonly #jobs = new Map<Session, Job>();
  /** Readings that have found no room in a queue. */
  readonly #crowded = new Set<Job>();
  /** Newest live messages of sessions that are reading. */
  readonly #watches = new Map<Session, TopicWatch>();
  /** Barriers that a session's readings wait for. */
  readonly #barriers = new Map<Session, number>();

  constructor(leader: Lead) {
    this.#leader = leader;
  }

  start(): void {
    for (const s of this.#leader.state.sessions.values())
      if (s.retaining !== 0 && s.connected) this.connected(s);
  }

  stop(): void {
    for (const { reading } of this.#jobs.values()) reading.end();
    this.#jobs.clear();
    this.#crowded.clear();
    for (const watch of this.#watches.values()) watch.clear();
    this.#watches.clear();
    this.#barriers.clear();
  }

  sawLive(s: Session, message: Message): void {
    if (s.retaining === 0) return;
    const job = this.#jobs.get(s);
    if (job && s.retainingNext === null && message.topic < job.reading.cursor) return;
    let watch = this.#watches.get(s);
    if (!watch) {
      watch = new TopicWatch(this.#leader.node.watched);
      this.#watches.set(s, watch);
    }
    watch.saw(message, s.connected ? WATCHED_TOPICS_MAX : AWAY_WATCHED_TOPICS_MAX);
  }

  /** The SUB is committed (perhaps long ago): answers once everything before SUBACK is done. */
  subscribed(clientId: string, epoch: number, respond: Respond): void {
    const s = this.#leader.live(clientId, epoch);
    if (!s) return respond(reply(Status.NoSession));
    this.#afterBarrier(s, () => respond(OK));
  }

  /** The session has a new connection, or a new leader, and perhaps something left to read. */
  connected(s: Session): void {
    if (s.retaining !== 0) this.#afterBarrier(s, () => {});
  }

  /** The connection has ended: the next one goes on. */
  closed(s: Session): void {
    this.#jobs.get(s)?.reading.end();
    this.#jobs.delete(s);
    const watch = this.#watches.get(s);
    if (watch && watch.size > AWAY_WATCHED_TOPICS_MAX) this.#forget(s);
  }

  /** The session is over. */
  ended(s: Session): void {
    this.closed(s);
    this.#forget(s);
  }

  #forget(s: Session): void {
    this.#watches.get(s)?.clear();
    this.#watches.delete(s);
  }

  /** The queue has become shorter. */
  settled(clientId: string): void {
    if (this.#jobs.size === 0) return;
    const s = this.#leader.state.sessions.get(clientId);
    const job = s && this.#jobs.get(s);
    if (job) this.#wake(job);
  }

  /** The view change under way is over: operations are taken again. */
  resume(): void {
    for (const job of this.#jobs.values()) this.#wake(job);
  }

  /** The gateway has a new link or asks anew: what it may not have had is sent again. */
  attached(s: Session): void {
    const job = this.#jobs.get(s);
    if (job && job.token !== 0) this.#sendZero(job, job.token);
  }

  #afterBarrier(s: Session, done: () => void): void {
    this.#barriers.set(s, (this.#barriers.get(s) ?? 0) + 1);
    const { node, since } = this.#leader;
    node.grants.barrier(node.env.nowMs(), () => {
      // What nodes acknowledged is not what they know of the shard if it has another leader by now.
      if (!this.#leader.serving || this.#leader.since !== since) return;
      const left = (this.#barriers.get(s) ?? 1) - 1;
      if (left > 0) this.#barriers.set(s, left);
      else this.#barriers.delete(s);
      done();
      this.#begin(s);
    });
  }

  // ---- reading ---------------------------------------------------------------------------------

  #begin(s: Session): void {
    if (!this.#holds(s) || s.retaining === 0 || !s.connected) return;
    if (this.#jobs.has(s) || this.#barriers.has(s)) return;
    const filters = new TopicTree<string>();
    for (const filter of s.retainingFilters) filters.add(filter, filter);
    const { node } = this.#leader;
    const job: Job = {
      session: s,
      epoch: s.epoch,
      index: s.retaining,
      reading: node.queries.read(s.retainingFilters, s.retainingAfter, () => this.#wake(job)),
      filters,
      next: null,
      zero: [],
      zeroBytes: 0,
      token: 0,
      running: false,
    };
    this.#jobs.set(s, job);
    this.#wake(job);
  }

  /** The session is still in the shard's state, which a snapshot may have replaced since. */
  #holds(s: Session): boolean {
    return this.#leader.serving && this.#leader.state.sessions.get(s.clientId) === s;
  }

  #wake(job: Job): void {
    if (job.running) return;
    job.running = true;
    this.#leader.node.work.start((units) => {
      job.running = this.#run(job, units);
      return !job.running;
    });
  }

  /** One slice. @returns whether there is more to do now */
  #run(job: Job, units: number): boolean {
    const { session: s, reading } = job;
    if (this.#jobs.get(s) !== job || !this.#holds(s)) {
      reading.end();
      return false;
    }
    for (let left = units; left > 0; left -= COPY_UNITS) {
      if (job.token !== 0 || !this.#leader.replica.canPropose) return false;
      if (!job.next) {
        const message = reading.take();
        job.next = message && this.#wanted(job, message);
        if (message && !job.next) continue;
      }
      const copy = job.next;
      if (copy && this.#hasRoom(job, copy)) {
        job.next = null;
        this.#copy(job, copy);
        continue;
      }
      if (job.zero.length === 0) {
        if (copy) this.#crowded.add(job);
        else if (reading.finished) this.#done(job);
        return false;
      }
      // A gateway on this node may have room for it at once.
      this.#sendZero(job, this.#leader.node.clock.next());
    }
    return true;
  }

  /** The client gets them as it takes them: the queue is not filled with what the store holds anyway. */
  #hasRoom(job: Job, { message, qos }: Copy): boolean {
    if (qos === 0) return job.zeroBytes < ZERO_BYTES && job.zero.length < ZERO_MESSAGES;
    const { session: s } = job;
    if (!this.#leader.takes(s, messageBytes(message))) return false;
    if (s.pending === 0) return true;
    const messages = 2 * this.#leader.node.limits.inflightMessages;
    return s.pending < messages && s.bytes < RETAINED_AHEAD_BYTES_MAX;
  }

  /** The queues of other sessions may have become shorter. */
  tick(): void {
    if (this.#crowded.size === 0) return;
    const crowded = [...this.#crowded];
    this.#crowded.clear();
    for (const job of crowded) this.#wake(job);
  }

  /** At the highest QoS of the filters that asked for it and are still subscribed; null: not wanted. */
  #wanted({ session: s, filters }: Job, message: Message): Copy | null {
    const { node } = this.#leader;
    if (message.expiresAtMs > 0 && message.expiresAtMs <= node.env.wallMs()) return null;
    let want: Want | null = null;
    filters.match(message.topic, (filter) => {
      const sub = s.subscriptions?.get(filter);
      if (!sub) return;
      if (want) addWant(want, sub, message);
      else want = wantOf(sub, message);
    });
    return want && copyOf(message, want);
  }

  #copy(job: Job, { message, qos, identifiers }: Copy): void {
    const { clientId, birth } = job.session;
    if (this.#watches.get(job.session)?.outdates(message)) return;
    if (qos === 0) {
      job.zero.push({ message, identifiers });
      job.zeroBytes += messageBytes(message);
      return;
    }
    const recipient = { clientId, birth, qos, retain: true, identifiers };
    const op = {
      type: 'enq',
      rx2: null,
      message,
      recipients: [recipient],
      retained: true,
    } as const;
    this.#leader.append(op, null, () => {});
  }

  /** A batch of QoS 0 copies: the gateway says when its client has them. */
  #sendZero(job: Job, token: number): void {
    job.token = token;
    const { session: s } = job;
    this.#leader.node.connections.sendRetained(addressOf(s), {
      token,
      items: job.zero,
      last: false,
    });
  }

  /** The gateway has sent a batch. */
  onTaken(clientId: string, token: number): void {
    const s = this.#leader.state.sessions.get(clientId);
    const job = s && this.#jobs.get(s);
    if (job?.token !== token) return;
    job.token = 0;
    job.zero = [];
    job.zeroBytes = 0;
    this.#wake(job);
  }

  #done(job: Job): void {
    const { session: s, index } = job;
    const { clientId, birth } = s;
    this.#jobs.delete(s);
    this.#leader.append({ type: 'retained-done', clientId, birth, index }, null, () => {});
    if (s.retaining !== 0) return this.#begin(s);
    this.#forget(s);
    this.#leader.node.connections.sendRetained(addressOf(s), { token: 0, items: [], last: true });
  }
}
