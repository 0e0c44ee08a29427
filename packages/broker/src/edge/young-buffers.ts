/**
 * Large messages are buffers outside of V8's heap, of which its young generation knows little: a few
 * small objects each, so that nothing is collected before 64 MiB of them are dead. Where the program was
 * started with `--expose-gc`, the young generation is collected after every so many bytes that came.
 */

/** Bytes received or read between two collections: each takes about a millisecond. */
const BETWEEN_BYTES = 16 * 1024 * 1024;

type Collect = (options: { type: 'minor' }) => void;

export class YoungBuffers {
  readonly #collect = (globalThis as { gc?: Collect }).gc;
  #bytes = 0;

  /** So much came from a client, or from the disk. */
  received(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < BETWEEN_BYTES) return;
    this.#bytes = 0;
    this.#collect?.({ type: 'minor' });
  }
}
