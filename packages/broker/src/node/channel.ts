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
 */
import type { Reply, Request } from './request.ts';
import { Status } from './request.ts';

interface Pending {
  readonly sequence: number;
  readonly request: Request;
  readonly done: (reply: Reply) => void;
}

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
  /** Earliest time of the next attempt after the leader refused. */
  retryAtMs = 0;

  constructor(shard: number, transmit: Transmit) {
    this.shard = shard;
    this.#transmit = transmit;
  }

  get outstanding(): number {
    return this.#pending.size;
  }

  /** Queues and, when a leader is known, sends. Bounded by what the connections may have open. */
  send(request: Request, done: (reply: Reply) => void): void {
    const sequence = this.reserve(request, done);
    if (this.#open && !this.#resending) this.#send(sequence, request);
  }

  /** Queues without sending: the caller sends it in a frame of its own by {@link claim}. */
  reserve(request: Request, done: (reply: Reply) => void): number {
    const sequence = this.#next++;
    this.#pending.set(sequence, { sequence, request, done });
    return sequence;
  }

  /** For a reserved request: the `prev` to send it with now, or −1 if there is no leader. */
  claim(sequence: number): number {
    if (!this.#open || this.#resending) return -1;
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
    pending.done(reply);
  }

  /** A leader can be reached: sends everything unanswered again, in order. */
  open(): void {
    this.#open = true;
    this.#lastSent = 0;
    // An answer may come at once and ask for more: that waits for its turn at the end, or it would
    // overtake what is still to be sent again and that would be taken for a repetition.
    this.#resending = true;
    for (const p of this.#pending.values()) {
      if (!this.#open) break;
      this.#send(p.sequence, p.request);
    }
    this.#resending = false;
  }

  /** The leader or the link to it is gone. */
  close(): void {
    this.#open = false;
  }

  /** A request would be sent at once. */
  get takes(): boolean {
    return this.#open && !this.#resending;
  }

  get isOpen(): boolean {
    return this.#open;
  }
}
