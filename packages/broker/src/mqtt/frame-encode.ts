import { variableBytes, writeVariable } from './codec-property.ts';
import type { ProtocolVersion } from './packet.ts';
import { PacketType } from './packet.ts';

/** The answer to every PINGREQ. Shared: never write to it. */
export const PINGRESP: Uint8Array = Uint8Array.of(0xd0, 0);

/**
 * Encodes a PUBLISH in one allocation of exactly its size; with `apart` the payload is left out, to be
 * written behind it.
 *
 * With QoS 0 and `packetId` aside, the bytes of one message to many clients of one version are the
 * same: encode once, write the same buffer everywhere.
 */
export function encodePublish(o: {
  version: ProtocolVersion;
  topic: string;
  payload: Uint8Array;
  qos: number;
  retain: boolean;
  dup: boolean;
  /** 1 to 65,535; ignored for QoS 0. */
  packetId: number;
  /** Encoded properties without their length; ignored before MQTT 5. */
  properties?: Uint8Array | undefined;
  apart?: boolean | undefined;
}): Uint8Array {
  const { topic, payload, qos, apart = false } = o;
  const topicBytes = Buffer.byteLength(topic);
  const properties = o.version === 5 ? o.properties : undefined;
  const propsBytes = properties === undefined ? 0 : properties.length;
  let bytes = 2 + topicBytes + payload.length;
  if (qos > 0) bytes += 2;
  if (o.version === 5) bytes += variableBytes(propsBytes) + propsBytes;

  const here = apart ? bytes - payload.length : bytes;
  const frame = Buffer.allocUnsafe(1 + variableBytes(bytes) + here);
  frame[0] = (PacketType.Publish << 4) | (o.dup ? 8 : 0) | (qos << 1) | (o.retain ? 1 : 0);
  let at = writeVariable(frame, bytes, 1);
  frame[at++] = topicBytes >> 8;
  frame[at++] = topicBytes & 0xff;
  if (topicBytes === topic.length) frame.write(topic, at, 'latin1');
  else frame.write(topic, at, 'utf8');
  at += topicBytes;
  if (qos > 0) {
    frame[at++] = o.packetId >> 8;
    frame[at++] = o.packetId & 0xff;
  }
  if (o.version === 5) {
    at = writeVariable(frame, propsBytes, at);
    if (properties !== undefined) {
      frame.set(properties, at);
      at += propsBytes;
    }
  }
  if (!apart) frame.set(payload, at);
  return frame;
}

/** Sets the Packet Identifier of an encoded PUBLISH of QoS 1 or 2, in place. */
export function patchPacketId(frame: Uint8Array, packetId: number): void {
  const at = packetIdOffset(frame);
  frame[at] = packetId >> 8;
  frame[at + 1] = packetId & 0xff;
}

/** Sets the DUP flag of an encoded PUBLISH, in place: it is sent again [MQTT-3.3.1-1]. */
export function patchDup(frame: Uint8Array): void {
  frame[0] = frame[0]! | 8;
}

/** Behind the fixed header and the Topic Name. */
function packetIdOffset(frame: Uint8Array): number {
  let at = 1;
  while (frame[at]! >= 0x80) at++;
  at++;
  return at + 2 + ((frame[at]! << 8) | frame[at + 1]!);
}

/** Acknowledgements are cut from this: a third of the time and half the memory of an array each. */
const ACKS_BYTES = 4096;
let acks = new Uint8Array(ACKS_BYTES);
let acksAt = 0;

/**
 * Encodes a PUBACK, PUBREC, PUBREL or PUBCOMP: four bytes for Success, where MQTT 5 may leave the
 * Reason Code out (§3.4.2.1), five otherwise. Before MQTT 5 there is no Reason Code to send.
 */
export function encodeAck(
  type: number,
  packetId: number,
  version: ProtocolVersion,
  reasonCode = 0,
): Uint8Array {
  const bytes = version < 5 || reasonCode === 0 ? 4 : 5;
  if (acksAt + bytes > ACKS_BYTES) {
    acks = new Uint8Array(ACKS_BYTES);
    acksAt = 0;
  }
  const frame = new Uint8Array(acks.buffer, acksAt, bytes);
  acksAt += bytes;
  frame[0] = (type << 4) | (type === PacketType.Pubrel ? 2 : 0); // [MQTT-3.6.1-1]
  frame[1] = bytes - 2;
  frame[2] = packetId >> 8;
  frame[3] = packetId & 0xff;
  if (bytes === 5) frame[4] = reasonCode;
  return frame;
}
