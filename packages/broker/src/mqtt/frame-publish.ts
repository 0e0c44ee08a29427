import { asciiString, utf8String } from './codec-reader.ts';
import type { ProtocolVersion } from './packet.ts';
import { ReasonCode } from './reason-code.ts';

/** Where the parts of a PUBLISH lie. One object serves every packet of a process. */
export class PublishFields {
  /** Empty only in MQTT 5, where a Topic Alias must then be among the properties. */
  topic = '';
  /** The Topic Name may have control characters or non-characters: look whether it has. */
  mayBeOdd = false;
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
  out: PublishFields,
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
const CONTROL = 8;
const topicByte = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === 0) return NUL;
  if (byte === 35 || byte === 43) return WILDCARD; // # +
  if (byte < 0x20 || byte === 0x7f) return CONTROL;
  return byte >= 0x80 ? BEYOND_ASCII : 0;
});

/** Checks the Topic Name's bytes in one pass and sets `out.topic`. */
function readTopic(buf: Uint8Array, start: number, end: number, out: PublishFields): number {
  let classes = 0;
  for (let i = start; i < end; i++) classes |= topicByte[buf[i]!]!;
  if ((classes & NUL) !== 0) return ReasonCode.MalformedPacket; // [MQTT-1.5.4-2]
  if ((classes & WILDCARD) !== 0) return ReasonCode.TopicNameInvalid; // [MQTT-3.3.2-2]
  out.mayBeOdd = (classes & (CONTROL | BEYOND_ASCII)) !== 0;
  if ((classes & BEYOND_ASCII) === 0) {
    out.topic = asciiString(buf, start, end);
    return 0;
  }
  const topic = utf8String(buf, start, end);
  if (topic === undefined) return ReasonCode.MalformedPacket; // [MQTT-1.5.4-1]
  out.topic = topic;
  return 0;
}

/** What {@link propertiesStart} found last; valid until its next call. */
let propertiesBytes = 0;

/** Reads a property length; returns the offset behind it, or -1 if it does not fit or is not the shortest. */
function propertiesStart(buf: Uint8Array, start: number, end: number): number {
  let bytes = 0;
  let at = start;
  for (let shift = 0; shift < 28 && at < end; shift += 7) {
    const byte = buf[at++]!;
    bytes |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (byte === 0 && shift > 0) return -1; // [MQTT-1.5.5-1]
      propertiesBytes = bytes;
      return bytes <= end - at ? at : -1;
    }
  }
  return -1;
}
