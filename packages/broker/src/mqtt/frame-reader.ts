/**
 * Frames cut out of the byte stream. PUBLISH and its acknowledgements are read (frame-publish.ts,
 * frame-ack.ts) and written (frame-encode.ts) by hand and without allocation, everything else by codec.ts.
 */
import { PacketType } from './packet.ts';
import { ReasonCode } from './reason-code.ts';

/** Largest packet that MQTT can express: five bytes of fixed header and Remaining Length's maximum. */
const PACKET_BYTES_MAX = 5 + 268_435_455;

/** What {@link FrameReader} finds. Both methods may call `stop` or `pause`. */
export interface FrameSink {
  /**
   * One whole frame. `buf` is valid during the call only, unless {@link FrameReader.owned}.
   *
   * @param type 1 to 15, {@link PacketType}
   * @param flags low four bits of the first byte, already checked against §2.1.3
   * @param start of the variable header
   * @param end of the frame
   * @param frameStart of the fixed header
   */
  onFrame(
    type: number,
    flags: number,
    buf: Uint8Array,
    start: number,
    end: number,
    frameStart: number,
  ): void;
  /** The stream cannot be read any further: 0x81 or 0x95. The reader has stopped. */
  onMalformed(reasonCode: number, why: string): void;
}

/** Fixed-header flags by type [MQTT-2.1.3-1]; PUBLISH has its own, type 0 is forbidden. */
const requiredFlags = Uint8Array.of(255, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0);

/** A kept frame gets room for so many times what has come of it: all at once where that is an eighth. */
const GROWTH = 8;

/** Length of the fixed header that {@link scanHeader} read last; valid until its next call. */
let headerBytes = 0;

/** Results of {@link scanHeader} that are not a length. */
const INCOMPLETE = 0;
const BAD_FLAGS = -1;
const BAD_LENGTH = -2;

/**
 * Length of the frame that starts at `at`, fixed header included, or one of the above.
 *
 * @param mask of the flags that count: MQTT 3.1 sets DUP in repeated SUBSCRIBE, UNSUBSCRIBE and PUBREL
 */
function scanHeader(buf: Uint8Array, at: number, end: number, mask: number): number {
  const first = buf[at]!;
  const type = first >> 4;
  const flags = first & 15;
  if (type === PacketType.Publish ? (flags & 6) === 6 : (flags & mask) !== requiredFlags[type]) {
    return BAD_FLAGS; // QoS 3 [MQTT-3.3.1-4]
  }
  let pos = at + 1;
  let bytes = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    if (pos >= end) return INCOMPLETE;
    const byte = buf[pos++]!;
    bytes |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      headerBytes = pos - at;
      return headerBytes + bytes;
    }
  }
  return BAD_LENGTH;
}

/**
 * Cuts one connection's byte stream into frames, in place.
 *
 * Only a partial frame at the end of a read is copied, into a buffer that grows with the bytes that
 * really came, never far ahead to a length that the peer merely announced. Per connection: seven fields,
 * and at most `maxPacketBytes` while a frame is incomplete.
 */
export class FrameReader {
  readonly #maxPacketBytes: number;
  #tail: Uint8Array | undefined = undefined;
  #tailBytes = 0;
  #stopped = false;
  #paused = false;
  #flagsMask = 15;
  /** The frame that `onFrame` is given has a buffer of its own, which is never written again. */
  owned = false;

  /** @param maxPacketBytes longest frame accepted, fixed header included; longer: 0x95 */
  constructor(maxPacketBytes: number) {
    this.#maxPacketBytes = Math.min(maxPacketBytes, PACKET_BYTES_MAX);
  }

  /** Reads nothing further: the loop ends with the current frame, later bytes are dropped. */
  stop(): void {
    this.#stopped = true;
    this.#tail = undefined;
  }

  /** The client speaks MQTT 3.1, where packets other than PUBLISH may carry DUP. */
  ignoreDup(): void {
    this.#flagsMask = 7;
  }

  /** Reads on no further than the current frame: `feed` returns where it stopped. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  /** Bytes of the incomplete frame that are being kept. */
  get pendingBytes(): number {
    return this.#tail === undefined ? 0 : this.#tailBytes;
  }

  /**
   * Hands every frame that ends in `buffer[start, end)` to `sink`, in order.
   *
   * @returns where the first byte stands that was not taken: `end`, unless the sink paused the reader
   *   or the stream cannot be read any further
   */
  feed(buffer: Uint8Array, start: number, end: number, sink: FrameSink): number {
    let at = start;
    if (this.#tail !== undefined) at = this.#fillTail(this.#tail, buffer, start, end, sink);
    while (at < end && !this.#stopped && !this.#paused) {
      const frameBytes = scanHeader(buffer, at, end, this.#flagsMask);
      if (frameBytes < 0 || frameBytes > this.#maxPacketBytes) {
        this.#refuse(frameBytes, sink);
        return at;
      }
      if (frameBytes === INCOMPLETE || frameBytes > end - at) {
        this.#keepTail(buffer, at, end);
        return end;
      }
      const first = buffer[at]!;
      const next = at + frameBytes;
      sink.onFrame(first >> 4, first & 15, buffer, at + headerBytes, next, at);
      at = next;
    }
    return at;
  }

  #refuse(frameBytes: number, sink: FrameSink): void {
    this.stop();
    if (frameBytes > 0) {
      sink.onMalformed(ReasonCode.PacketTooLarge, `packet of ${frameBytes} bytes`);
    } else {
      const why =
        frameBytes === BAD_FLAGS
          ? 'reserved type or flags of the fixed header'
          : 'Remaining Length longer than four bytes';
      sink.onMalformed(ReasonCode.MalformedPacket, why);
    }
  }

  #keepTail(buffer: Uint8Array, start: number, end: number): void {
    this.#tailBytes = end - start;
    this.#tail = Buffer.allocUnsafeSlow(Math.max(this.#tailBytes, 16));
    this.#tail.set(buffer.subarray(start, end));
  }

  /** Completes the kept frame from the new bytes; returns where the next one starts, or `end`. */
  #fillTail(
    kept: Uint8Array,
    buffer: Uint8Array,
    start: number,
    end: number,
    sink: FrameSink,
  ): number {
    let tail = kept;
    let at = start;
    let frameBytes = scanHeader(tail, 0, this.#tailBytes, this.#flagsMask);
    // A fixed header has at most five bytes and the smallest tail sixteen, so there is room.
    while (frameBytes === INCOMPLETE && at < end) {
      tail[this.#tailBytes++] = buffer[at++]!;
      frameBytes = scanHeader(tail, 0, this.#tailBytes, this.#flagsMask);
    }
    if (frameBytes === INCOMPLETE) return end;
    if (frameBytes < 0 || frameBytes > this.#maxPacketBytes) {
      this.#refuse(frameBytes, sink);
      return end;
    }
    const variableHeader = headerBytes;
    const bytes = Math.min(frameBytes - this.#tailBytes, end - at);
    const filled = this.#tailBytes + bytes;
    if (filled > tail.length) {
      tail = Buffer.allocUnsafeSlow(Math.min(frameBytes, Math.max(filled, GROWTH * tail.length)));
      tail.set(kept.subarray(0, this.#tailBytes));
      this.#tail = tail;
    }
    tail.set(buffer.subarray(at, at + bytes), this.#tailBytes);
    this.#tailBytes = filled;
    if (filled === frameBytes) {
      this.#tail = undefined;
      this.owned = true;
      sink.onFrame(tail[0]! >> 4, tail[0]! & 15, tail, variableHeader, frameBytes, 0);
      this.owned = false;
    }
    return at + bytes;
  }
}
