/**
 * The fast path: cutting frames out of the byte stream, PUBLISH and its acknowledgements, by hand
 * and without allocation. Everything else goes through codec.ts.
 */

import { PropertyOf, readProperties } from './codec-property.ts';
import { asciiString, PacketReader, utf8String } from './codec-reader.ts';
import type { ProtocolVersion } from './packet.ts';
import { PacketType } from './packet.ts';
import { MalformedPacket } from './packet-error.ts';
import { ReasonCode } from './reason-code.ts';
import { TOPIC_LEVELS_MAX } from './topic.ts';

export { decodePublishProperties, encodePublishProperties } from './codec-property.ts';
export {
  encodeAck,
  encodePublish,
  PINGRESP,
  patchDup,
  patchPacketId,
} from './frame-encode.ts';

/** Largest packet that MQTT can express: five bytes of fixed header and Remaining Length's maximum. */
export const PACKET_BYTES_MAX = 5 + 268_435_455;

/** What {@link FrameReader} finds. Both methods may call {@link FrameReader.stop}. */
export interface FrameSink {
  /**
   * One whole frame. `buf` is valid during the call only.
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

/** Length of the fixed header that {@link scanHeader} read last; valid until its next call. */
let headerBytes = 0;

/** Results of {@link scanHeader} that are not a length. */
const INCOMPLETE = 0;
const BAD_FLAGS = -1;
const BAD_LENGTH = -2;

/** Length of the frame that starts at `at`, fixed header included, or one of the above. */
function scanHeader(buf: Uint8Array, at: number, end: number): number {
  const first = buf[at]!;
  const type = first >> 4;
  const flags = first & 15;
  if (type === PacketType.Publish ? (flags & 6) === 6 : flags !== requiredFlags[type]) {
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
 * really came, never ahead to a length that the peer merely announced. Per connection: four fields,
 * and at most `maxPacketBytes` while a frame is incomplete.
 */
export class FrameReader {
  private readonly maxPacketBytes: number;
  private tail: Uint8Array | undefined = undefined;
  private tailBytes = 0;
  private stopped = false;

  /** @param maxPacketBytes longest frame accepted, fixed header included; longer: 0x95 */
  constructor(maxPacketBytes: number) {
    this.maxPacketBytes = Math.min(maxPacketBytes, PACKET_BYTES_MAX);
  }

  /** Reads nothing further: the loop ends with the current frame, later bytes are dropped. */
  stop(): void {
    this.stopped = true;
    this.tail = undefined;
  }

  /** Bytes of the incomplete frame that are being kept. */
  get pendingBytes(): number {
    return this.tail === undefined ? 0 : this.tailBytes;
  }

  /** Hands every frame that ends in `buffer[start, end)` to `sink`, in order. */
  feed(buffer: Uint8Array, start: number, end: number, sink: FrameSink): void {
    let at = start;
    if (this.tail !== undefined) at = this.fillTail(this.tail, buffer, start, end, sink);
    while (at < end && !this.stopped) {
      const frameBytes = scanHeader(buffer, at, end);
      if (frameBytes < 0 || frameBytes > this.maxPacketBytes) {
        this.refuse(frameBytes, sink);
        return;
      }
      if (frameBytes === INCOMPLETE || frameBytes > end - at) {
        this.keepTail(buffer, at, end);
        return;
      }
      const first = buffer[at]!;
      const next = at + frameBytes;
      sink.onFrame(first >> 4, first & 15, buffer, at + headerBytes, next, at);
      at = next;
    }
  }

  private refuse(frameBytes: number, sink: FrameSink): void {
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

  private keepTail(buffer: Uint8Array, start: number, end: number): void {
    this.tailBytes = end - start;
    this.tail = Buffer.allocUnsafeSlow(Math.max(this.tailBytes, 16));
    this.tail.set(buffer.subarray(start, end));
  }

  /** Completes the kept frame from the new bytes; returns where the next one starts, or `end`. */
  private fillTail(
    kept: Uint8Array,
    buffer: Uint8Array,
    start: number,
    end: number,
    sink: FrameSink,
  ): number {
    let tail = kept;
    let at = start;
    let frameBytes = scanHeader(tail, 0, this.tailBytes);
    // A fixed header has at most five bytes and the smallest tail sixteen, so there is room.
    while (frameBytes === INCOMPLETE && at < end) {
      tail[this.tailBytes++] = buffer[at++]!;
      frameBytes = scanHeader(tail, 0, this.tailBytes);
    }
    if (frameBytes === INCOMPLETE) return end;
    if (frameBytes < 0 || frameBytes > this.maxPacketBytes) {
      this.refuse(frameBytes, sink);
      return end;
    }
    const variableHeader = headerBytes;
    const bytes = Math.min(frameBytes - this.tailBytes, end - at);
    const filled = this.tailBytes + bytes;
    if (filled > tail.length) {
      tail = Buffer.allocUnsafeSlow(Math.min(frameBytes, Math.max(filled, 2 * tail.length)));
      tail.set(kept.subarray(0, this.tailBytes));
      this.tail = tail;
    }
    tail.set(buffer.subarray(at, at + bytes), this.tailBytes);
    this.tailBytes = filled;
    if (filled === frameBytes) {
      this.tail = undefined;
      sink.onFrame(tail[0]! >> 4, tail[0]! & 15, tail, variableHeader, frameBytes, 0);
    }
    return at + bytes;
  }
}

/** Where the parts of a PUBLISH lie. One object serves every packet of a process. */
export class PublishView {
  /** Empty only in MQTT 5, where a Topic Alias must then be among the properties. */
  topic = '';
  /** 0 for QoS 0. */
  packetId = 0;
  qos: 0 | 1 | 2 = 0;
  dup = false;
  retain = false;
  topicStart = 0;
  topicEnd = 0;
  /** Behind the property length; equal to `propsEnd` if there are none. */
  propsStart = 0;
  propsEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;
}

/**
 * Reads a PUBLISH but for its properties, which {@link decodePublishProperties} reads on demand.
 *
 * @param start of the variable header
 * @param out filled if the result is 0, otherwise undefined in content
 * @returns 0, or the Reason Code to close with: 0x81 Malformed Packet, 0x82 Protocol Error,
 *   0x90 Topic Name invalid
 */
export function parsePublish(
  buf: Uint8Array,
  start: number,
  end: number,
  flags: number,
  version: ProtocolVersion,
  out: PublishView,
): number {
  if (end - start < 2) return ReasonCode.MalformedPacket;
  const topicStart = start + 2;
  const topicEnd = topicStart + ((buf[start]! << 8) | buf[start + 1]!);
  if (topicEnd > end) return ReasonCode.MalformedPacket;
  const bad = readTopic(buf, topicStart, topicEnd, out);
  if (bad !== 0) return bad;
  const qos = (flags >> 1) & 3;
  // [MQTT-3.3.1-4]; [MQTT-3.3.1-2]: no DUP with QoS 0
  if (qos === 3 || (qos === 0 && (flags & 8) !== 0)) return ReasonCode.MalformedPacket;
  let at = topicEnd;
  out.packetId = 0;
  if (qos > 0) {
    if (end - at < 2) return ReasonCode.MalformedPacket;
    out.packetId = (buf[at]! << 8) | buf[at + 1]!;
    if (out.packetId === 0) return ReasonCode.ProtocolError; // [MQTT-2.2.1-3]
    at += 2;
  }
  out.propsStart = at;
  if (version === 5) {
    const propsStart = propertiesStart(buf, at, end);
    if (propsStart < 0) return ReasonCode.MalformedPacket;
    out.propsStart = propsStart;
    at = propsStart + propertiesBytes;
  }
  // An empty Topic Name takes a Topic Alias [MQTT-4.7.3-1], so it takes properties.
  if (topicEnd === topicStart && at === out.propsStart) return ReasonCode.ProtocolError;
  out.qos = qos as 0 | 1 | 2;
  out.dup = (flags & 8) !== 0;
  out.retain = (flags & 1) !== 0;
  out.topicStart = topicStart;
  out.topicEnd = topicEnd;
  out.propsEnd = at;
  out.payloadStart = at;
  out.payloadEnd = end;
  return 0;
}

/** Per byte: what it means within a Topic Name. Classes are collected by OR. */
const NUL = 1;
const WILDCARD = 2;
const BEYOND_ASCII = 4;
const topicByte = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === 0) return NUL;
  if (byte === 35 || byte === 43) return WILDCARD; // # +
  return byte >= 0x80 ? BEYOND_ASCII : 0;
});

/** Checks the Topic Name's bytes in one pass and sets `out.topic`. */
function readTopic(buf: Uint8Array, start: number, end: number, out: PublishView): number {
  let classes = 0;
  for (let i = start; i < end; i++) classes |= topicByte[buf[i]!]!;
  if ((classes & NUL) !== 0) return ReasonCode.MalformedPacket; // [MQTT-1.5.4-2]
  if ((classes & WILDCARD) !== 0) return ReasonCode.TopicNameInvalid; // [MQTT-3.3.2-2]
  if (end - start >= TOPIC_LEVELS_MAX && slashes(buf, start, end) >= TOPIC_LEVELS_MAX) {
    return ReasonCode.TopicNameInvalid;
  }
  if ((classes & BEYOND_ASCII) === 0) {
    out.topic = asciiString(buf, start, end);
    return 0;
  }
  const topic = utf8String(buf, start, end);
  if (topic === undefined) return ReasonCode.MalformedPacket; // [MQTT-1.5.4-1]
  out.topic = topic;
  return 0;
}

function slashes(buf: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let i = start; i < end; i++) if (buf[i] === 47) count++;
  return count;
}

/** What {@link propertiesStart} found last; valid until its next call. */
let propertiesBytes = 0;

/** Reads a property length; returns the offset behind it, or -1 if it does not fit. */
function propertiesStart(buf: Uint8Array, start: number, end: number): number {
  let bytes = 0;
  let at = start;
  for (let shift = 0; shift < 28 && at < end; shift += 7) {
    const byte = buf[at++]!;
    bytes |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      propertiesBytes = bytes;
      return bytes <= end - at ? at : -1;
    }
  }
  return -1;
}

/** Reason Codes of the acknowledgements (§3.4.2.1, §3.5.2.1, §3.6.2.1, §3.7.2.1). */
const publishAckCodes: ReadonlySet<number> = new Set([
  ReasonCode.Success,
  ReasonCode.NoMatchingSubscribers,
  ReasonCode.UnspecifiedError,
  ReasonCode.ImplementationSpecificError,
  ReasonCode.NotAuthorized,
  ReasonCode.TopicNameInvalid,
  ReasonCode.PacketIdentifierInUse,
  ReasonCode.QuotaExceeded,
  ReasonCode.PayloadFormatInvalid,
]);

/**
 * Reads a PUBACK, PUBREC, PUBREL or PUBCOMP without allocating.
 *
 * @param start of the variable header
 * @param type of the packet; if given, a Reason Code that it may not carry is 0x82
 * @returns packet id + 65536 × Reason Code ({@link ackPacketId}, {@link ackReasonCode}); or the
 *   negated Reason Code to close with
 */
export function parseAck(
  buf: Uint8Array,
  start: number,
  end: number,
  version: ProtocolVersion,
  type?: number,
): number {
  const bytes = end - start;
  if (bytes < 2 || (version < 5 && bytes !== 2)) return -ReasonCode.MalformedPacket;
  const packetId = (buf[start]! << 8) | buf[start + 1]!;
  if (packetId === 0) return -ReasonCode.ProtocolError; // [MQTT-2.2.1-3]
  if (bytes === 2) return packetId;
  const reasonCode = buf[start + 2]!;
  if (type !== undefined && !mayCarry(type, reasonCode)) return -ReasonCode.ProtocolError;
  if (bytes > 3) {
    const bad = checkAckProperties(buf, start + 3, end);
    if (bad !== 0) return -bad;
  }
  return packetId + reasonCode * 65_536;
}

export function ackPacketId(ack: number): number {
  return ack & 0xffff;
}

export function ackReasonCode(ack: number): number {
  return ack >>> 16;
}

function mayCarry(type: number, reasonCode: number): boolean {
  if (type === PacketType.Puback || type === PacketType.Pubrec) {
    return publishAckCodes.has(reasonCode);
  }
  return reasonCode === ReasonCode.Success || reasonCode === ReasonCode.PacketIdentifierNotFound;
}

/** Reason String and User Properties of an acknowledgement: rare, and only checked. */
function checkAckProperties(buf: Uint8Array, start: number, end: number): number {
  if (end - start === 1 && buf[start] === 0) return 0;
  try {
    const reader = new PacketReader(buf, start, end);
    readProperties(reader, PropertyOf.Acknowledgement);
    reader.expectEnd();
    return 0;
  } catch (error) {
    if (error instanceof MalformedPacket) return error.reasonCode;
    throw error;
  }
}
