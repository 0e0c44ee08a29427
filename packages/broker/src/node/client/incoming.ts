/** PUBLISH from a client: decision 1 of its way, by QoS and kind of session; and acknowledgements from it. */

import { TextRule } from '../../config-text-rule.ts';
import { decodePublishProperties, encodePublishProperties } from '../../mqtt/codec-property.ts';
import { isPlain, isUtf8 } from '../../mqtt/codec-reader.ts';
import { ackPacketId, ackReasonCode, parseAck } from '../../mqtt/frame-ack.ts';
import { encodeAck } from '../../mqtt/frame-encode.ts';
import { PublishFields, parsePublish } from '../../mqtt/frame-publish.ts';
import { PacketType } from '../../mqtt/packet.ts';
import { MalformedPacket } from '../../mqtt/packet-error.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import { exceedsLevels, isReserved } from '../../mqtt/topic.ts';
import { matching } from '../../mqtt/topic-tree.ts';
import type { Message } from '../../session/message.ts';
import { messageBytes } from '../../session/message.ts';
import { Status } from '../link/request.ts';
import type { Publisher } from '../route/client-port.ts';
import { AckOrder, type AckSlot } from './ack-order.ts';
import { Aliases } from './aliases.ts';
import type { Client, Received } from './parts.ts';
import { answer, begin, finish, noteRefusal, REQUEST_BYTES, slow } from './reading.ts';
import { APART_BYTES } from './send-window.ts';
import { onPubrec, onSettled } from './sending.ts';
import type { ServerOptions } from './server-options.ts';

const fields = new PublishFields();
const NO_BYTES = new Uint8Array(0);
/** Why a message is refused. */
const REFUSED: Readonly<Record<number, string>> = {
  [ReasonCode.TopicNameInvalid]: 'more topic levels than the limit',
  [ReasonCode.QuotaExceeded]: 'payload larger than the limit',
  [ReasonCode.PayloadFormatInvalid]: 'payload is not UTF-8 as its publisher says',
};
/** A message for which fewer levels of filters were looked at costs no unit of work. */
const COSTLY_STEPS = 1000;
/** Levels looked at that are one unit of work. */
const STEPS_PER_UNIT = 16;

export function onPublish(
  c: Client,
  flags: number,
  buf: Uint8Array,
  start: number,
  end: number,
): void {
  const before = matching.steps;
  publish(c, flags, buf, start, end);
  pace(c, matching.steps - before);
}

function publish(c: Client, flags: number, buf: Uint8Array, start: number, end: number): void {
  const bad = parsePublish(buf, start, end, flags, c.version, fields);
  if (bad !== 0) return c.fail(bad, 'PUBLISH');
  const { qos, packetId } = fields;
  const { options, port } = c;
  port.counters.publishesReceived[qos]++;
  port.counters.payloadBytesReceived += fields.payloadEnd - fields.payloadStart;
  if (qos > options.maximumQos) return c.fail(ReasonCode.QoSNotSupported, `PUBLISH of QoS ${qos}`);
  if (fields.retain && !options.retainAvailable)
    return c.fail(ReasonCode.RetainNotSupported, 'PUBLISH with RETAIN');
  if (fields.mayBeOdd && options.text !== TextRule.Any && !isPlain(fields.topic))
    return c.fail(ReasonCode.MalformedPacket, 'Topic Name with control or non-characters');
  let message: Message;
  try {
    message = messageOf(c, buf);
  } catch (e) {
    if (!(e instanceof MalformedPacket)) throw e;
    return c.fail(e.reasonCode, e.message);
  }
  const refusal = check(options, message) || denied(c, message);
  if (refusal !== 0) return refuse(c, qos, packetId, refusal);
  if (qos === 0) return port.router.publishZero(message);
  if (qos === 1) return publishOne(c, packetId, message);
  publishTwo(c, packetId, message);
}

/** @returns 0, or the Reason Code to refuse the message with */
function check(options: ServerOptions, { topic, payload, properties }: Message): number {
  if (exceedsLevels(topic, options.topicLevels)) return ReasonCode.TopicNameInvalid;
  if (isReserved(topic)) return ReasonCode.NotAuthorized;
  if (payload.length > options.payloadBytes) return ReasonCode.QuotaExceeded;
  // The Payload Format Indicator is encoded first.
  const isText = options.checkPayloadFormat && properties[0] === 1 && properties[1] === 1;
  return isText && !isUtf8(payload) ? ReasonCode.PayloadFormatInvalid : 0;
}

function denied({ rights, port }: Client, { topic, qos, retain }: Message): number {
  if (rights === null || rights.mayPublish(topic, qos, retain)) return 0;
  port.counters.authorizationFailures++;
  return ReasonCode.NotAuthorized;
}

/**
 * A PUBLISH may cost more than its bytes: a client whose publishes have used up a turn is read on in the next
 * one, behind others that wait so. Heartbeats and other clients come between.
 *
 * @param steps what matching has cost
 */
function pace(c: Client, steps: number): void {
  if (steps < COSTLY_STEPS || !c.isOpen) return;
  const { work } = c.port;
  work.spend(Math.ceil(steps / STEPS_PER_UNIT));
  if (!work.exhausted) return;
  c.hold();
  c.clients.line.add(() => {
    c.unhold();
    return true;
  });
}

/**
 * Copies what must outlive the read buffer; resolves aliases.
 *
 * @throws MalformedPacket, also for an alias above the maximum (0x94) and one that stands for nothing (0x82)
 */
function messageOf(c: Client, buf: Uint8Array): Message {
  const { options, port } = c;
  let { topic } = fields;
  let expiresAtMs = 0;
  let properties = NO_BYTES as Uint8Array;
  if (fields.propsEnd > fields.propsStart) {
    const props = decodePublishProperties(buf, fields.propsStart, fields.propsEnd, options.text);
    const { topicAlias, messageExpiryInterval, ...own } = props;
    if (topicAlias !== undefined) {
      if (topicAlias > options.topicAliasMaximum)
        throw new MalformedPacket(ReasonCode.TopicAliasInvalid, 'Topic Alias above the maximum'); // [MQTT-3.3.2-9]
      c.aliases ??= new Aliases(port.counters);
      if (topic !== '') c.aliases.set(topicAlias, topic);
      else topic = c.aliases.get(topicAlias) ?? '';
    }
    if (messageExpiryInterval !== undefined)
      expiresAtMs = port.env.wallMs() + messageExpiryInterval * 1000;
    properties = encodePublishProperties(own);
  }
  if (topic === '') throw new MalformedPacket(ReasonCode.ProtocolError, 'unknown Topic Alias'); // §3.3.2.3.4
  let payload = buf.subarray(fields.payloadStart, fields.payloadEnd);
  if (!c.reader.owned || payload.length < APART_BYTES) {
    const copy = Buffer.allocUnsafe(payload.length);
    copy.set(payload);
    payload = copy;
  }
  return {
    topic,
    payload,
    qos: fields.qos,
    retain: fields.retain,
    hlc: port.clock.next(),
    expiresAtMs,
    properties,
    publisher: c.clientId,
  };
}

/**
 * A message that may not be published. Before MQTT 5 no acknowledgement can say so, and there is none at QoS 0:
 * it ends the connection. One on a topic that is the server's own is acknowledged [MQTT-3.3.5-2 of 3.1.1].
 */
function refuse(c: Client, qos: 0 | 1 | 2, packetId: number, reasonCode: number): void {
  const { counters } = c.port;
  const silent = reasonCode === ReasonCode.NotAuthorized;
  if (!silent && (qos === 0 || c.version < 5))
    return c.fail(
      reasonCode === ReasonCode.QuotaExceeded ? ReasonCode.PacketTooLarge : reasonCode,
      REFUSED[reasonCode] ?? '',
    );
  counters.publishesRefused++;
  noteRefusal(c, reasonCode);
  if (qos === 0) return;
  const code = c.version === 5 ? reasonCode : 0;
  const type = qos === 1 ? PacketType.Puback : PacketType.Pubrec;
  answerInOrder(c, takeSlot(c), encodeAck(type, packetId, c.version, code));
}

/** The next place among the acknowledgements. */
function takeSlot(c: Client): AckSlot {
  c.acks ??= new AckOrder();
  return c.acks.take();
}

function answerInOrder(c: Client, slot: AckSlot, frame: Uint8Array): void {
  c.acks!.fill(slot, frame, (due) => answer(c, due));
}

/** QoS 1: PUBACK, in the order of the publishes, once every copy of every target has the message. */
function publishOne(c: Client, packetId: number, message: Message): void {
  const bytes = messageBytes(message);
  begin(c, bytes);
  c.port.router.publish(message, null, new Acknowledging(c, packetId, bytes));
}

class Acknowledging implements Publisher {
  readonly #c: Client;
  readonly #packetId: number;
  readonly #bytes: number;
  readonly #slot: AckSlot;

  constructor(c: Client, packetId: number, bytes: number) {
    this.#c = c;
    this.#packetId = packetId;
    this.#bytes = bytes;
    this.#slot = takeSlot(c);
  }

  get wanted(): boolean {
    return this.#c.isOpen || this.#c.saidAll;
  }

  slowed(): void {
    slow(this.#c);
  }

  published(reasonCode: number): void {
    const c = this.#c;
    finish(c, this.#bytes);
    if (!c.isOpen) return;
    if (reasonCode >= 0x80) {
      c.port.counters.publishesRefused++;
      noteRefusal(c, reasonCode);
    }
    const frame = encodeAck(PacketType.Puback, this.#packetId, c.version, reasonCode);
    answerInOrder(c, this.#slot, frame);
  }
}

/**
 * QoS 2: PUBREC once every copy of every target has the message. The same Packet Identifier before
 * PUBREL is the same message [MQTT-4.3.3-10]: answered again when the first is, not published again.
 */
function publishTwo(c: Client, packetId: number, message: Message): void {
  c.received ??= new Map();
  const open = c.received.get(packetId);
  if (open === undefined && c.version === 5 && c.received.size >= c.options.receiveMaximum)
    return c.fail(ReasonCode.ReceiveMaximumExceeded, 'more QoS 2 exchanges than Receive Maximum'); // [MQTT-3.3.4-7]
  const bytes = open === undefined ? messageBytes(message) : REQUEST_BYTES;
  begin(c, bytes);
  const slot = takeSlot(c);
  const answered = (code: number) => {
    finish(c, bytes);
    if (!c.isOpen) return;
    if (code >= 0x80) noteRefusal(c, code);
    answerInOrder(c, slot, encodeAck(PacketType.Pubrec, packetId, c.version, code));
  };
  if (open !== undefined) {
    if (open.answered) answered(0);
    else open.repeats.push(answered);
    return;
  }
  const exchange: Received = { answered: false, repeats: [answered] };
  c.received.set(packetId, exchange);
  routeTwo(c, packetId, message, (reasonCode) => {
    exchange.answered = true;
    if (reasonCode >= 0x80) {
      c.port.counters.publishesRefused++;
      c.received?.delete(packetId);
    }
    const repeats = exchange.repeats.splice(0);
    for (const run of repeats) run(c.version === 5 ? reasonCode : 0);
  });
}

/** By way of RX2 in its shard for a stored session; of another one this connection keeps the state. */
function routeTwo(
  c: Client,
  packetId: number,
  message: Message,
  done: (reasonCode: number) => void,
): void {
  if (!c.persistent) {
    c.port.router.publish(message, null, {
      get wanted() {
        return c.isOpen || c.saidAll;
      },
      slowed: () => slow(c),
      published: done,
    });
    return;
  }
  const wanted = () => c.isOpen;
  c.clients.sessions.receive(c.clientId, c.epoch, packetId, message, wanted, (status) => {
    if (status === Status.NoSession) c.fenced();
    done(status === Status.QuotaExceeded ? ReasonCode.QuotaExceeded : 0);
  });
}

// ---- acknowledgements ------------------------------------------------------------------------

/** PUBACK, PUBREC, PUBREL or PUBCOMP: carries on the exchange of its Packet Identifier. */
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
      return onSettled(c, packetId, 1, ackReasonCode(ack));
    case PacketType.Pubrec:
      return onPubrec(c, packetId, ackReasonCode(ack));
    case PacketType.Pubcomp:
      return onSettled(c, packetId, 2);
    default:
      return onPubrel(c, packetId);
  }
}

/** PUBREL, answered by PUBCOMP [MQTT-4.3.3-11]: the Packet Identifier may be used for another message. */
function onPubrel(c: Client, packetId: number): void {
  const known = c.received?.delete(packetId) ?? false;
  if (!c.persistent) return pubcomp(c, packetId, known);
  begin(c, REQUEST_BYTES);
  c.clients.sessions.pubrel(c.clientId, c.epoch, packetId, (status) => {
    finish(c, REQUEST_BYTES);
    if (status === Status.NoSession) c.fenced();
    else pubcomp(c, packetId, status === Status.Ok);
  });
}

function pubcomp(c: Client, packetId: number, known: boolean): void {
  if (!c.isOpen) return;
  // While a client recovers its session, an exchange that is over here is no error (§3.7.2.1): its
  // PUBCOMP was lost with the connection before.
  const code = known || c.resumed ? 0 : ReasonCode.PacketIdentifierNotFound;
  answer(c, encodeAck(PacketType.Pubcomp, packetId, c.version, c.version === 5 ? code : 0));
}
