/** PUBLISH from a client: decision 1 of its way, by QoS and kind of session; and its PUBREL. */
import {
  decodePublishProperties,
  encodeAck,
  encodePublishProperties,
  PublishView,
  parsePublish,
} from '../mqtt/frame.ts';
import { PacketType } from '../mqtt/packet.ts';
import { MalformedPacket } from '../mqtt/packet-error.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { exceedsLevels } from '../mqtt/topic.ts';
import type { Message } from '../session/operation.ts';
import { AckOrder } from './ack-order.ts';
import type { Connection } from './connection.ts';

const view = new PublishView();
const NO_BYTES = new Uint8Array(0);

export function onPublish(
  c: Connection,
  flags: number,
  buf: Uint8Array,
  start: number,
  end: number,
): void {
  const bad = parsePublish(buf, start, end, flags, c.version, view);
  if (bad !== 0) return c.fail(bad, 'PUBLISH');
  const { qos, packetId } = view;
  const { gateway } = c;
  gateway.counters.publishesReceived[qos]++;
  let message: Message | null;
  try {
    message = messageOf(c, buf);
  } catch (e) {
    if (!(e instanceof MalformedPacket)) throw e;
    return c.fail(e.reasonCode, e.message);
  }
  if (!message) return c.fail(ReasonCode.TopicAliasInvalid, 'unknown topic alias');
  if (exceedsLevels(message.topic, gateway.limits.topicLevels)) return refuse(c, qos, packetId);
  if (qos === 0) return gateway.publishZero(message);
  if (qos === 1) return acknowledge(c, PacketType.Puback, packetId, message);
  if (c.persistent) return receive(c, packetId, message);
  c.received ??= new Set();
  if (c.received.has(packetId)) {
    // Taken before and not released: answered again, not published again [MQTT-4.3.3-10].
    return c.write(encodeAck(PacketType.Pubrec, packetId, c.version));
  }
  c.received.add(packetId);
  acknowledge(c, PacketType.Pubrec, packetId, message);
}

/** Copies what must outlive the read buffer; resolves aliases. */
function messageOf(c: Connection, buf: Uint8Array): Message | null {
  const { gateway } = c;
  let { topic } = view;
  let expiresAtMs = 0;
  let properties = NO_BYTES as Uint8Array;
  if (view.propsEnd > view.propsStart) {
    const props = decodePublishProperties(buf, view.propsStart, view.propsEnd);
    const { topicAlias, messageExpiryInterval, ...own } = props;
    if (topicAlias !== undefined) {
      if (topicAlias > gateway.limits.topicAliases) return null;
      c.aliases ??= new Map();
      if (topic !== '') c.aliases.set(topicAlias, topic);
      else topic = c.aliases.get(topicAlias) ?? '';
    }
    if (messageExpiryInterval !== undefined)
      expiresAtMs = gateway.wallMs() + messageExpiryInterval * 1000;
    properties = encodePublishProperties(own);
  }
  if (topic === '') return null;
  const payload = Buffer.allocUnsafe(view.payloadEnd - view.payloadStart);
  payload.set(buf.subarray(view.payloadStart, view.payloadEnd));
  return {
    topic,
    payload,
    qos: view.qos,
    retain: view.retain,
    hlc: gateway.hlc(),
    expiresAtMs,
    properties,
    publisher: c.clientId,
  };
}

/** A topic of too many levels. Where no acknowledgement can say so, the connection ends. */
function refuse(c: Connection, qos: 0 | 1 | 2, packetId: number): void {
  const reasonCode = ReasonCode.TopicNameInvalid;
  if (qos === 0 || c.version < 5) return c.fail(reasonCode, 'more topic levels than the limit');
  c.gateway.counters.publishesRefused++;
  c.acks ??= new AckOrder();
  const type = qos === 1 ? PacketType.Puback : PacketType.Pubrec;
  const frame = encodeAck(type, packetId, c.version, reasonCode);
  c.acks.fill(c.acks.take(), frame, (due) => c.write(due));
}

/** Publishes, and acknowledges in order once every copy has it. */
function acknowledge(c: Connection, type: number, packetId: number, message: Message): void {
  c.publishing();
  c.acks ??= new AckOrder();
  const slot = c.acks.take();
  const wanted = () => c.isOpen;
  c.gateway.publish(message, wanted, (reasonCode) => {
    c.published();
    if (!c.isOpen) return;
    if (reasonCode >= 0x80) c.gateway.counters.publishesRefused++;
    if (reasonCode >= 0x80 && type === PacketType.Pubrec) c.received?.delete(packetId);
    const code = c.version === 5 ? reasonCode : 0;
    c.acks!.fill(slot, encodeAck(type, packetId, c.version, code), (frame) => c.write(frame));
  });
}

/** QoS 2 of a persistent session: RX2 in its shard; PUBREC once every copy of every target has it. */
function receive(c: Connection, packetId: number, message: Message): void {
  c.publishing();
  c.acks ??= new AckOrder();
  const slot = c.acks.take();
  const wanted = () => c.isOpen;
  c.gateway.receive(c.clientId, c.epoch, packetId, message, wanted, (ok) => {
    c.published();
    if (!c.isOpen) return;
    if (!ok) return c.fenced();
    const frame = encodeAck(PacketType.Pubrec, packetId, c.version);
    c.acks!.fill(slot, frame, (due) => c.write(due));
  });
}

/** PUBREL: the Packet Identifier may be used for another message. */
export function onPubrel(c: Connection, packetId: number): void {
  if (!c.persistent) {
    const known = c.received?.delete(packetId) ?? false;
    return pubcomp(c, packetId, known);
  }
  c.gateway.releaseReceived(c.clientId, c.epoch, packetId, (ok) => {
    if (ok) pubcomp(c, packetId, true);
    else c.fenced();
  });
}

function pubcomp(c: Connection, packetId: number, known: boolean): void {
  if (!c.isOpen) return;
  const code = known ? 0 : ReasonCode.PacketIdentifierNotFound;
  c.write(encodeAck(PacketType.Pubcomp, packetId, c.version, c.version === 5 ? code : 0));
}
