import type { ListenerRules } from '../../ports.ts';
import { YoungBuffers } from '../young-buffers.ts';
import { PLAIN_STREAM, type StreamKind } from './byte-stream.ts';

/** Most bytes that one write concatenates, and the most a blocked connection pins beyond its own. */
export const WRITE_BYTES_MAX = 65_536;

/** Small turns use a small scratch, so that a blocked connection pins no more than it must. */
export const SMALL_WRITE_BYTES_MAX = 4_096;

/** A connection with something to send. */
interface Flushable {
  flush(): void;
}

/**
 * What the connections of one listener share: the list of those with something to send, flushed
 * once per turn, and the scratch buffers that their chunks are concatenated in.
 */
export class TurnFlush {
  #dirty: Flushable[] = [];
  #spare: Flushable[] = [];
  #scheduled = false;
  readonly #flushNow = (): void => this.flush();
  #small: Buffer = Buffer.allocUnsafeSlow(SMALL_WRITE_BYTES_MAX);
  #large: Buffer = Buffer.allocUnsafeSlow(WRITE_BYTES_MAX);
  readonly closeSecondsMax: number;
  readonly answersWrites: boolean;
  readonly rules: ListenerRules | undefined;
  readonly #copies: boolean;
  readonly young = new YoungBuffers();
  readonly #onPending: (changeBytes: number) => void;

  /** @param onPending called with every change of the bytes that sockets have not taken yet */
  constructor(
    closeSecondsMax: number,
    onPending: (changeBytes: number) => void = () => {},
    kind: StreamKind = PLAIN_STREAM,
    rules: ListenerRules | undefined = undefined,
  ) {
    this.rules = rules;
    this.closeSecondsMax = closeSecondsMax;
    this.#onPending = onPending;
    this.answersWrites = kind.answersWrites;
    this.#copies = kind.copies;
  }

  pendingChanged(changeBytes: number): void {
    this.#onPending(changeBytes);
  }

  schedule(connection: Flushable): void {
    this.#dirty.push(connection);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flushNow);
  }

  /**
   * Flushes every connection that asked before this call. What a handler writes meanwhile goes with
   * the next flush, so that two handlers cannot keep each other going for ever.
   */
  flush(): void {
    this.#scheduled = false;
    const batch = this.#dirty;
    this.#dirty = this.#spare;
    this.#spare = batch;
    for (const connection of batch) connection.flush();
    batch.length = 0;
  }

  /** A scratch of at least `bytes`, to be filled from 0. */
  scratch(bytes: number): Buffer {
    return bytes <= SMALL_WRITE_BYTES_MAX ? this.#small : this.#large;
  }

  /** The kernel did not take all of `scratch` at once: it belongs to that write now, unless that has copied it. */
  giveAway(scratch: Buffer): void {
    if (this.#copies) return;
    const fresh = Buffer.allocUnsafeSlow(scratch.length);
    if (scratch === this.#small) this.#small = fresh;
    else this.#large = fresh;
  }
}
