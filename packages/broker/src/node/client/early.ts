/**
 * Bytes that a client sends behind its CONNECT before the session is open, or behind another packet that
 * takes a while.
 *
 * A client need not wait for CONNACK [MQTT-3.1.4]. What it sends is kept as it came, so that a packet
 * may be cut anywhere, and read once OPEN is committed.
 */
import type { FrameReader, FrameSink } from '../../mqtt/frame-reader.ts';
import type { ClientSocket } from '../../ports.ts';

/** Bytes read while the session is opened; beyond, the socket is not read until it is open. */
const EARLY_BYTES_MAX = 256 * 1024;
/** A client that goes away later than this after its CONNECT gave up waiting for CONNACK. */
const IMPATIENT_MS = 250;

export class Early {
  /** Time of the CONNECT. */
  readonly sinceMs: number;
  readonly chunks: Uint8Array[] = [];
  /** The client closed its side at this time, −1 if it has not. */
  endedMs = -1;
  #bytes = 0;
  #paused = false;

  constructor(sinceMs: number) {
    this.sinceMs = sinceMs;
  }

  keep(buf: Uint8Array, start: number, end: number, socket: ClientSocket): void {
    this.chunks.push(Buffer.from(buf.subarray(start, end)));
    this.#bytes += end - start;
    if (this.#bytes < EARLY_BYTES_MAX) return;
    this.#paused = true;
    socket.pause();
  }

  /**
   * Reads what was kept.
   *
   * @param held where the rest is to wait, if the sink has paused the reader again
   * @returns false if it has
   */
  read(reader: FrameReader, sink: FrameSink, held: () => Early | null): boolean {
    reader.resume();
    for (const [i, chunk] of this.chunks.entries()) {
      const at = reader.feed(chunk, 0, chunk.length, sink);
      const again = held();
      if (!again) continue;
      this.#handOn(again, [chunk.subarray(at), ...this.chunks.slice(i + 1)]);
      return false;
    }
    return true;
  }

  /** The same bytes, of a client that has its CONNACK and waits for something else. */
  connected(): Early {
    const later = new Early(Number.POSITIVE_INFINITY);
    this.#handOn(later, this.chunks);
    return later;
  }

  #handOn(to: Early, chunks: readonly Uint8Array[]): void {
    to.chunks.push(...chunks);
    to.endedMs = this.endedMs;
    to.#bytes = this.#bytes;
    to.#paused = this.#paused;
  }

  get ended(): boolean {
    return this.endedMs >= 0;
  }

  /**
   * The client left because CONNACK did not come: for all it knows it was never accepted, and a
   * connection that was not accepted has no Will [MQTT-3.1.2-5].
   */
  get gaveUp(): boolean {
    return this.endedMs - this.sinceMs >= IMPATIENT_MS;
  }

  /** The socket was paused for the sake of these bytes. */
  get paused(): boolean {
    return this.#paused;
  }
}
