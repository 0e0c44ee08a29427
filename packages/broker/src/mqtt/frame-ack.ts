import { PropertyOf, readProperties } from './codec-property.ts';
import { PacketReader } from './codec-reader.ts';
import type { ProtocolVersion } from './packet.ts';
import { PacketType } from './packet.ts';
import { MalformedPacket } from './packet-error.ts';
import { ReasonCode } from './reason-code.ts';

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
