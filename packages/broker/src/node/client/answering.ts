/** PUBACK, PUBREC, PUBREL and PUBCOMP from a client: whose exchange they carry on. */
import { ackPacketId, ackReasonCode, parseAck } from '../../mqtt/frame.ts';
import { PacketType } from '../../mqtt/packet.ts';
import { onPubrel } from './incoming.ts';
import type { Client } from './parts.ts';
import { onPubrec, onSettled } from './sending.ts';

export function onAnswer(
  c: Client,
  type: number,
  buf: Uint8Array,
  start: number,
  end: number,
): void {
  const ack = parseAck(buf, start, end, c.version, type);
  if (ack < 0) return c.fail(-ack, 'acknowledgement');
  const packetId = ackPacketId(ack);
  switch (type) {
    case PacketType.Puback:
      return onSettled(c, packetId, 1);
    case PacketType.Pubrec:
      return onPubrec(c, packetId, ackReasonCode(ack));
    case PacketType.Pubcomp:
      return onSettled(c, packetId, 2);
    default:
      return onPubrel(c, packetId);
  }
}
