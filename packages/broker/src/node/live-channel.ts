/**
 * QoS 1 and 2 messages for live sessions on another node: in order, acknowledged, sent again on a new
 * link, done when the node's process is gone, since its live sessions went with it.
 *
 * A process that hangs keeps its connections, and nobody may wait for it for as long as it hangs:
 * ```
 *   open ── nothing answered for 1.5 s, or membership calls it faulty ──▶ given up: no destination
 *     ▲                                                                    │ LiveGap on the link
 *     └──────────────── it acknowledges the LiveGap ◀──────────────────────┘
 * ```
 * LiveGap names the topics of what the node was not sent, with the channel's sequence numbers and so
 * before any newer message. The node ends the live connections that miss something: their clients
 * connect again, and no connection goes on with a gap.
 */
import type { Reader, Writer } from '../bytes.ts';
import {
  type Message,
  type Rx2Id,
  readMessage,
  readRx2Id,
  writeMessage,
  writeRx2Id,
} from '../session/operation.ts';
import { SeenSet } from '../session/seen.ts';
import { Gap, type MissedMessages, readGap, writeGap } from './live-gap.ts';
import { Wire } from './wire.ts';

/** A node that answers nothing for this long while live messages wait for it is given up. */
const LIVE_ANSWER_MS = 1500;
/** What one tick counts at the most: a node that did not look itself does not accuse. */
const LOOK_MS = 100;

interface Pending {
  readonly what: { readonly message: Message; readonly rx2: Rx2Id | null } | Gap;
  readonly done: () => void;
}

const nothing = () => {};

export class LiveChannel {
  #next = 1;
  /** Up to here everything has been sent on this link; what is above waits for room. */
  #sent = 0;
  readonly #pending = new Map<number, Pending>();
  /** How long nothing has been answered while something was pending. */
  #silentMs = 0;
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

  send(w: Writer | null, message: Message, rx2: Rx2Id | null, done: () => void): void {
    if (this.#gap) {
      this.#gap.add(message);
      return done();
    }
    const sequence = this.#next++;
    const pending = { what: { message, rx2 }, done };
    if (this.#pending.size === 0) this.#silentMs = 0;
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
      pending.done();
    } else if (this.#gap && sequence === this.#told) {
      const gap = this.#gap;
      this.#gap = null;
      if (gap.count === this.#toldCount) return;
      // What was left out since goes ahead of everything that is sent from now on.
      const last = { what: gap, done: nothing };
      const next = this.#next++;
      this.#pending.set(next, last);
      this.#write(w, next, last);
    }
  }

  /**
   * @param moves the node takes what it is sent, and the messages may be among what still waits here
   * @returns whether the node was given up just now
   */
  tick(nowMs: number, to: () => Writer | null, moves = false): boolean {
    if (this.#pending.size > 0 && !moves)
      this.#silentMs += Math.max(0, Math.min(LOOK_MS, nowMs - this.#lookedMs));
    this.#lookedMs = nowMs;
    if (this.#pending.size === 0 || this.#silentMs < LIVE_ANSWER_MS) return false;
    this.giveUp(to());
    return true;
  }

  /** The node is no destination until it answers; whoever waits for it waits no longer. */
  giveUp(w: Writer | null): void {
    if (this.#gap) return;
    const gap = new Gap();
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { what } of all) {
      if (what instanceof Gap) gap.addAll(what);
      else gap.add(what.message);
    }
    this.#gap = gap;
    this.#tell(w);
    for (const { done } of all) done();
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
    writeGap(w, this.#told, this.#gap);
  }

  /** The other process has ended, and its live sessions with it. */
  abandon(): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    this.#gap = null;
    for (const { done } of all) done();
  }
}

function write(w: Writer, sequence: number, { what }: Pending): void {
  if (what instanceof Gap) return writeGap(w, sequence, what);
  w.u8(Wire.LivePublish);
  w.varint(sequence);
  writeRx2Id(w, what.rx2);
  writeMessage(w, what.message);
}

/** What this node has taken from others for its live sessions. */
export class LiveReceived {
  readonly #sources = new Map<string, { bootEpoch: number; lastSeen: number }>();
  readonly #seen = new SeenSet();

  /** @returns the sequence to acknowledge */
  take(peer: string, bootEpoch: number, r: Reader, deliver: (message: Message) => void): number {
    const sequence = r.varint();
    const rx2 = readRx2Id(r);
    const message = readMessage(r);
    if (this.#isNew(peer, bootEpoch, sequence)) this.once(rx2, () => deliver(message));
    return sequence;
  }

  /** @returns the sequence to acknowledge */
  takeGap(
    peer: string,
    bootEpoch: number,
    r: Reader,
    end: (missed: MissedMessages) => void,
  ): number {
    const sequence = r.varint();
    const missed = readGap(r);
    if (this.#isNew(peer, bootEpoch, sequence)) end(missed);
    return sequence;
  }

  #isNew(peer: string, bootEpoch: number, sequence: number): boolean {
    let source = this.#sources.get(peer);
    if (!source || source.bootEpoch !== bootEpoch) {
      source = { bootEpoch, lastSeen: 0 };
      this.#sources.set(peer, source);
    }
    if (sequence <= source.lastSeen) return false;
    source.lastSeen = sequence;
    return true;
  }

  /** Runs `deliver` unless this QoS 2 message was delivered here before. */
  once(rx2: Rx2Id | null, deliver: () => void): void {
    if (rx2) {
      if (this.#seen.has(rx2)) return;
      this.#seen.add(rx2);
    }
    deliver();
  }
}
