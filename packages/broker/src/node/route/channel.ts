/**
 * Requests from this node to the leader of one shard: in order, each appended once.
 *
 * Every request has a sequence number per (node, boot epoch, shard). The leader takes one only if it
 * has seen the one sent before it, and logs the number with the operation, so that after a failover,
 * a lost link or a lost answer everything unanswered is sent again and what was appended is known.
 *
 * ```
 *   answered │ unanswered, sent │ unanswered, no leader known
 *            └── sent again to a new leader or on a new link, first with prev = 0
 * ```
 * What is sent follows the room on the way to the leader: the rest waits here, in order.
 */
import { BytesError } from '../../bytes.ts';
import type { SubscriptionRequest } from '../../session/subscription.ts';
import type { Reply, Request } from '../link/request.ts';
import { Status } from '../link/request.ts';

interface Pending {
  readonly sequence: number;
  readonly request: Request;
  readonly done: (reply: Reply) => void;
  /** Subscriptions of an answer to OPEN that came before its end. */
  pages: SubscriptionRequest[] | null;
}

/** Subscriptions in one answer to OPEN: more than a session may have. */
const OPENED_SUBSCRIPTIONS_MAX = 2_000_000;

/** Sends one request to the shard's leader. `prev` is the one sent before it to the same leader. */
export type Transmit = (shard: number, sequence: number, prev: number, request: Request) => void;

export class ShardChannel {
  readonly shard: number;
  readonly #transmit: Transmit;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  /** Last sequence sent to the present leader; 0 = none yet. */
  #lastSent = 0;
  #open = false;
  #resending = false;
  /** Not everything has been sent to the present leader: where to go on. */
  #rest: Iterator<Pending> | null = null;
  readonly #full: (shard: number) => boolean;
  /** Earliest time of the next attempt after the leader refused. */
  retryAtMs = 0;

  /** @param full there is no room on the way to the shard's leader: {@link resume} follows */
  constructor(shard: number, transmit: Transmit, full: (shard: number) => boolean = () => false) {
    this.shard = shard;
    this.#transmit = transmit;
    this.#full = full;
  }

  get outstanding(): number {
    return this.#pending.size;
  }

  /** Queues and, when a leader is known, sends. Bounded by what the connections may have open. */
  send(request: Request, done: (reply: Reply) => void): void {
    const sequence = this.reserve(request, done);
    if (!this.takes) return;
    if (this.#full(this.shard)) this.#waitAt(sequence);
    else this.#send(sequence, request);
  }

  /** All before this request has been sent to the present leader. */
  #waitAt(sequence: number): void {
    const rest = this.#pending.values();
    // The requests are in order, and those answered are not among them.
    for (let p = rest.next(); !p.done; p = rest.next()) {
      if (p.value.sequence < sequence) continue;
      this.#rest = after(p.value, rest);
      return;
    }
  }

  /** Queues without sending: the caller sends it in a frame of its own by {@link claim}. */
  reserve(request: Request, done: (reply: Reply) => void): number {
    const sequence = this.#next++;
    this.#pending.set(sequence, { sequence, request, done, pages: null });
    return sequence;
  }

  /** For a reserved request: the `prev` to send it with now, or −1 if it is sent later. */
  claim(sequence: number): number {
    if (!this.takes) return -1;
    const prev = this.#lastSent;
    this.#lastSent = sequence;
    return prev;
  }

  #send(sequence: number, request: Request): void {
    const prev = this.#lastSent;
    this.#lastSent = sequence;
    this.#transmit(this.shard, sequence, prev, request);
  }

  onReply(sequence: number, reply: Reply, nowMs: number): void {
    const pending = this.#pending.get(sequence);
    if (!pending) return;
    if (reply.status === Status.Gap || reply.status === Status.NotLeader) {
      this.close();
      this.retryAtMs = nowMs + 50;
      return;
    }
    this.#pending.delete(sequence);
    pending.done(whole(reply, pending.pages));
  }

  /** A part of the answer to an OPEN; its reply follows. */
  onSubscriptions(sequence: number, page: readonly SubscriptionRequest[]): void {
    const pending = this.#pending.get(sequence);
    if (pending?.request.type !== 'open') return;
    pending.pages ??= [];
    if (pending.pages.length + page.length > OPENED_SUBSCRIPTIONS_MAX)
      throw new BytesError('too many subscriptions in one session');
    for (const subscription of page) pending.pages.push(subscription);
  }

  /** A leader can be reached: sends everything unanswered again, in order. */
  open(): void {
    this.#open = true;
    this.#lastSent = 0;
    this.#rest = this.#pending.values();
    this.resume();
  }

  /** There may be room again on the way to the leader. */
  resume(): void {
    if (!this.#open || this.#resending || this.#rest === null) return;
    // An answer may come at once and ask for more: that waits for its turn at the end, or it would
    // overtake what is still to be sent again and that would be taken for a repetition.
    this.#resending = true;
    while (this.#open && this.#rest !== null && !this.#full(this.shard)) {
      const p: IteratorResult<Pending> = this.#rest.next();
      if (p.done) {
        this.#rest = null;
        break;
      }
      // Its answer begins anew.
      p.value.pages = null;
      this.#send(p.value.sequence, p.value.request);
    }
    this.#resending = false;
  }

  /** The leader or the link to it is gone. */
  close(): void {
    this.#open = false;
    this.#rest = null;
  }

  /** A request would be sent at once, if there is room for it. */
  get takes(): boolean {
    return this.#open && !this.#resending && this.#rest === null;
  }

  get isOpen(): boolean {
    return this.#open;
  }
}

function whole(reply: Reply, before: readonly SubscriptionRequest[] | null): Reply {
  const { status, opened } = reply;
  if (!before || !opened) return reply;
  return { status, opened: { ...opened, subscriptions: before.concat(opened.subscriptions) } };
}

/** The first, then what the iterator gives, also what is added meanwhile. */
function* after(first: Pending, rest: Iterator<Pending>): Generator<Pending> {
  yield first;
  for (let p = rest.next(); !p.done; p = rest.next()) yield p.value;
}
