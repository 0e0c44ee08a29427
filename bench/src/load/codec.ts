/**
 * The few MQTT 3.1.1 packets that the load generator speaks, written and read by hand.
 *
 * The generator must be cheaper than the brokers that it measures, so there is no packet object:
 * a PUBLISH is a template whose identifier and timestamp are overwritten in place, and incoming
 * packets are visited inside the read buffer.
 */

export const PacketType = {
  CONNECT: 1,
  CONNACK: 2,
  PUBLISH: 3,
  PUBACK: 4,
  PUBREC: 5,
  PUBREL: 6,
  PUBCOMP: 7,
  SUBSCRIBE: 8,
  SUBACK: 9,
  DISCONNECT: 14,
} as const;

export type Qos = 0 | 1 | 2;

/** Keep-alive of every connection, in seconds: longer than any measurement, so no client pings. */
const KEEP_ALIVE_S = 600;

/** Called once for each complete packet; the bytes are valid during the call only. */
export interface PacketVisitor {
  /**
   * @param type a {@link PacketType}
   * @param flags low four bits of the first byte
   * @param start index of the first byte after the fixed header
   * @param end index after the packet's last byte
   */
  onPacket(type: number, flags: number, bytes: Buffer, start: number, end: number): void;
}

/**
 * Visits the complete packets in bytes[start, end).
 *
 * @returns index of the first byte that is not part of a complete packet (= end if none is left)
 * @throws RangeError if a Remaining Length has more than four bytes [MQTT-2.2.3]
 */
export function visitPackets(
  bytes: Buffer,
  start: number,
  end: number,
  visitor: PacketVisitor,
): number {
  let at = start;
  while (end - at >= 2) {
    let length = 0;
    let shift = 0;
    let cursor = at + 1;
    let byte: number;
    do {
      if (cursor === end) return at;
      if (shift === 28) throw new RangeError('remaining length of more than four bytes');
      byte = bytes[cursor] as number;
      length |= (byte & 0x7f) << shift;
      shift += 7;
      cursor++;
    } while (byte >= 0x80);
    if (end - cursor < length) return at;
    const first = bytes[at] as number;
    at = cursor + length;
    visitor.onPacket(first >> 4, first & 0x0f, bytes, cursor, at);
  }
  return at;
}

/** A PUBLISH to be sent again and again with other identifiers and timestamps. */
export interface PublishTemplate {
  readonly bytes: Buffer;
  /** Where the two bytes of the Packet Identifier are; -1 for QoS 0. */
  readonly packetIdAt: number;
  readonly payloadAt: number;
}

/** @param payload at least 8 bytes: the first 8 are overwritten with the time of sending */
export function publishTemplate(topic: string, qos: Qos, payload: Buffer): PublishTemplate {
  const name = field(topic);
  const idBytes = qos === 0 ? 0 : 2;
  const bytes = packet((PacketType.PUBLISH << 4) | (qos << 1), [
    name,
    Buffer.alloc(idBytes),
    payload,
  ]);
  const payloadAt = bytes.length - payload.length;
  return { bytes, packetIdAt: qos === 0 ? -1 : payloadAt - 2, payloadAt };
}

/** A retained PUBLISH at QoS 1. @param packetId 1 to 65,535 */
export function encodeRetained(topic: string, packetId: number, payload: Buffer): Buffer {
  const id = Buffer.alloc(2);
  id.writeUInt16BE(packetId);
  return packet((PacketType.PUBLISH << 4) | 3, [field(topic), id, payload]);
}

export function encodeConnect(clientId: string, cleanSession: boolean): Buffer {
  const header = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, cleanSession ? 2 : 0, 0, 0]);
  header.writeUInt16BE(KEEP_ALIVE_S, 8);
  return packet(PacketType.CONNECT << 4, [header, field(clientId)]);
}

export function encodeSubscribe(packetId: number, filter: string, qos: Qos): Buffer {
  const id = Buffer.alloc(2);
  id.writeUInt16BE(packetId);
  return packet((PacketType.SUBSCRIBE << 4) | 2, [id, field(filter), Buffer.from([qos])]);
}

export function encodeDisconnect(): Buffer {
  return Buffer.from([PacketType.DISCONNECT << 4, 0]);
}

/** Writes PUBACK, PUBREC, PUBREL or PUBCOMP (four bytes) at `at`. */
export function writeAck(bytes: Buffer, at: number, type: number, packetId: number): void {
  bytes[at] = (type << 4) | (type === PacketType.PUBREL ? 2 : 0); // [MQTT-3.6.1-1]
  bytes[at + 1] = 2;
  bytes[at + 2] = packetId >> 8;
  bytes[at + 3] = packetId & 0xff;
}

function field(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function packet(firstByte: number, parts: readonly Buffer[]): Buffer {
  const header = [firstByte];
  let rest = parts.reduce((sum, part) => sum + part.length, 0);
  do {
    const low = rest & 0x7f;
    rest >>= 7;
    header.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return Buffer.concat([Buffer.from(header), ...parts]);
}
