/**
 * QoS 1 and 2 messages for live sessions on another node: in order, acknowledged, sent again on a new
 * link, done when the node's process is gone, since its live sessions went with it.
 *
 * A process that hangs keeps its connections, and publishers must not wait for it until it goes on:
 * ```
 *   open ── nothing answered for 1.5 s, or membership calls it faulty ──▶ given up: no destination
 *     ▲                                                                    │ LiveGap on the link
 *     └──────────────── it acknowledges the LiveGap ◀──────────────────────┘
 * ```
 * LiveGap names the topics of what the node was not sent, with the channel's sequence numbers and so
 * before any newer message. The node ends the live connections that miss something: their clients
 * connect again, and no connection goes on with a gap.
 */
import type { Writer } from '../../bytes.ts';
import type { Message, Rx2Id } from '../../session/message.ts';
import { LinkMessage } from '../link/link-message.ts';
import type { Publisher } from './client-port.ts';
import { Gap } from './live-gap.ts';

/** A node that answers nothing for this long while live messages wait for it is given up. */
const LIVE_ANSWER_MS = 1500;
/** What one tick counts at the most: a node that did not look itself does not accuse. */
const LOOK_MS = 100;

interface LiveMessage {
  readonly message: Message;
  readonly rx2: Rx2Id | null;
  /** Told when the message waits for a slow client there. */
  readonly publisher: Publisher;
  readonly done: () => void;
}

type Pending = LiveMessage | Gap;

export class LiveChannel {
  #next = 1;
  /** Up to here everything has been sent on this link; what is above waits for room. */
  #sent = 0;
  readonly #pending = new Map<number, Pending>();
  /** How long nothing has been answered while something was pending. */
  #silentMs = 0;
  /** How long nothing at all has come from the node, pending or not. */
  #unheardMs = 0;
  #lookedMs = Number.POSITIVE_INFINITY;
  /** What the node was not sent, while it is given up. */
  #gap: Gap | null = null;
  /** Sequence of the LiveGap under way, and how much of the gap it tells. */
  #told = 0;
  #toldCount = 0;

  get outstanding(): number {
    return this.#pending.size;
  }

  get givenUp(): boolean {
    return this.#gap !== null;
  }

  send(w: Writer | null, pending: LiveMessage): void {
    if (this.#gap) {
      this.#gap.add(pending.message);
      return pending.done();
    }
    const sequence = this.#next++;
    if (this.#pending.size === 0) this.#silentMs = this.#unheardMs;
    this.#pending.set(sequence, pending);
    this.#write(w, sequence, pending);
  }

  /** Sends it, unless one before it still waits. */
  #write(w: Writer | null, sequence: number, pending: Pending): void {
    if (!w || this.#sent !== sequence - 1) return;
    this.#sent = sequence;
    write(w, sequence, pending);
  }

  /** A new link to the same process. @param full there is no room for more; {@link resume} follows */
  resend(w: Writer | null, full: () => boolean = () => false): void {
    this.#sent = 0;
    this.resume(w, full);
    this.#tell(w);
  }

  /** There may be room again for what waits. */
  resume(w: Writer | null, full: () => boolean): void {
    if (!w || this.#sent >= this.#next - 1) return;
    for (const [sequence, pending] of this.#pending) {
      if (sequence <= this.#sent) continue;
      if (full()) return;
      this.#sent = sequence;
      write(w, sequence, pending);
    }
    this.#sent = this.#next - 1;
  }

  onAck(sequence: number, w: Writer | null): void {
    this.#silentMs = 0;
    const pending = this.#pending.get(sequence);
    if (pending) {
      this.#pending.delete(sequence);
      if (!(pending instanceof Gap)) pending.done();
    } else if (this.#gap && sequence === this.#told) {
      const gap = this.#gap;
      this.#gap = null;
      if (gap.count === this.#toldCount) return;
      // What was left out since goes ahead of everything that is sent from now on.
      const next = this.#next++;
      this.#pending.set(next, gap);
      this.#write(w, next, gap);
    }
  }

  /** The message is there and waits for a slow client, which its publisher is to wait for. */
  onHeld(sequence: number): void {
    this.#silentMs = 0;
    const pending = this.#pending.get(sequence);
    if (pending && !(pending instanceof Gap)) pending.publisher.slowed();
  }

  /** The node has the message, or more, and asks before it delivers. @returns whether it is still awaited */
  onAsk(): boolean {
    this.#silentMs = 0;
    return this.#gap === null;
  }

  /**
   * @param heardMs when anything came from the node last: one that was silent before is not given 1.5 s more
   * @param moves the node takes what it is sent, and the messages may be among what still waits here
   * @returns whether the node was given up just now
   */
  tick(nowMs: number, heardMs: number, to: () => Writer | null, moves = false): boolean {
    const stepMs = Math.max(0, Math.min(LOOK_MS, nowMs - this.#lookedMs));
    this.#unheardMs = heardMs >= this.#lookedMs ? 0 : this.#unheardMs + stepMs;
    if (this.#pending.size > 0 && !moves) this.#silentMs += stepMs;
    this.#lookedMs = nowMs;
    if (this.#pending.size === 0 || this.#silentMs < LIVE_ANSWER_MS) return false;
    this.giveUp(to());
    return true;
  }

  /** The node is no destination until it answers; publishers that wait for it wait no longer. */
  giveUp(w: Writer | null): void {
    if (this.#gap) return;
    const gap = new Gap();
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of all) {
      if (pending instanceof Gap) gap.addAll(pending);
      else gap.add(pending.message);
    }
    this.#gap = gap;
    this.#tell(w);
    for (const pending of all) if (!(pending instanceof Gap)) pending.done();
  }

  /** What the node wants is not known any more. @param published how much has been until now */
  forget(published: number): void {
    this.giveUp(null);
    this.#gap!.forget(published);
  }

  /** What the node wants is known again, by a new link. */
  learn(published: number, hlc: number, w: Writer | null): void {
    if (!this.#gap?.forgotten) return;
    this.#gap.learn(published, hlc);
    this.#tell(w);
  }

  #tell(w: Writer | null): void {
    if (!w || !this.#gap || this.#gap.forgotten) return;
    this.#told = this.#next++;
    this.#sent = this.#told;
    this.#toldCount = this.#gap.count;
    LinkMessage.LiveGap.write(w, this.#told, this.#gap.missed);
  }

  /** The other process has ended, and its live sessions with it. */
  abandon(): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    this.#gap = null;
    for (const pending of all) if (!(pending instanceof Gap)) pending.done();
  }
}

function write(w: Writer, sequence: number, pending: Pending): void {
  if (pending instanceof Gap) return LinkMessage.LiveGap.write(w, sequence, pending.missed);
  LinkMessage.LivePublish.write(w, { sequence, rx2: pending.rx2, message: pending.message });
}
