/**
 * Live messages whose publishers may have gone on without this node.
 *
 * A node that heard nothing from here for a while has given this one up ({@link LiveChannel}), and its
 * publishers may have published since on other ways. What it had sent before is on the link ahead of the
 * LiveGap that says so: were it delivered, it would come after newer messages. So what was under way for
 * long, or follows a silence of the link, waits here until its sender has said that it still waits for it:
 * ```
 *   LivePublish 7, 8 ──▶ LiveAsk 7 ──▶ still awaited: LiveAwaited 7 ──▶ 7 and 8 are delivered
 *                                  └─▶ given up: LiveGap, sent before ──▶ 7 and 8 are dropped
 * ```
 * Beyond a bound the link is reset: its sender sends again what it still waits for, page by page, so that its
 * word comes in between.
 */
import { EVERY_SUBSCRIPTION, type Message, messageBytes } from '../../session/message.ts';
import type { LivePublish } from '../link/link-message.ts';
import { LONG_SILENCE_MS } from '../link/peers.ts';

/** Bytes of one node's messages that wait to be vouched for; beyond, its link is reset. */
const DOUBT_BYTES_MAX = 64 * 1024 * 1024;

interface Doubt {
  readonly waiting: LivePublish[];
  bytes: number;
  askedMs: number;
}

const NONE: readonly LivePublish[] = [];

/** Asks the node whether it still waits for the message of this sequence. */
type Ask = (peer: string, sequence: number) => void;

export class LiveDoubts {
  readonly #doubts = new Map<string, Doubt>();
  readonly #ask: Ask;
  readonly #reset: (peer: string) => void;

  /** @param reset ends the link to a node of which more waits than may */
  constructor(ask: Ask, reset: (peer: string) => void) {
    this.#ask = ask;
    this.#reset = reset;
  }

  /** Nothing of the node had been read for {@link LONG_SILENCE_MS}. */
  onSilence(peer: string): void {
    if (!this.#doubts.has(peer)) this.#doubts.set(peer, { waiting: [], bytes: 0, askedMs: 0 });
  }

  /**
   * @param ageMs how long ago the message was stamped
   * @returns whether it waits here: {@link onAwaited} gives it back, {@link drop} forgets it
   */
  take(peer: string, live: LivePublish, nowMs: number, ageMs: number): boolean {
    let doubt = this.#doubts.get(peer);
    if (!doubt) {
      if (!mayBeGivenUp(live.message, ageMs)) return false;
      doubt = { waiting: [], bytes: 0, askedMs: 0 };
      this.#doubts.set(peer, doubt);
    }
    doubt.waiting.push(live);
    doubt.bytes += messageBytes(live.message);
    if (doubt.bytes > DOUBT_BYTES_MAX) this.#reset(peer);
    else if (doubt.waiting.length === 1) this.#askAbout(peer, doubt, nowMs);
    return true;
  }

  /** @returns what is to be delivered now, in order */
  onAwaited(peer: string, sequence: number, nowMs: number): readonly LivePublish[] {
    const doubt = this.#doubts.get(peer);
    if (doubt?.waiting[0]?.sequence !== sequence) return NONE;
    if (nowMs - doubt.askedMs < LONG_SILENCE_MS) {
      this.#doubts.delete(peer);
      return doubt.waiting;
    }
    // That word is old itself.
    this.#askAbout(peer, doubt, nowMs);
    return NONE;
  }

  /** The node has given up what it had sent, or sends it again on a new link. */
  drop(peer: string): void {
    this.#doubts.delete(peer);
  }

  #askAbout(peer: string, doubt: Doubt, nowMs: number): void {
    doubt.askedMs = nowMs;
    this.#ask(peer, doubt.waiting[0]!.sequence);
  }
}

/** The stamp of a Will does not tell its age. */
function mayBeGivenUp({ hlc }: Message, ageMs: number): boolean {
  return ageMs >= LONG_SILENCE_MS || hlc === EVERY_SUBSCRIPTION;
}
