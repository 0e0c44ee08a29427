/**
 * Control packets: what a client sends besides the fast path of frame.ts, and what answers it.
 *
 * Decoding is strict and by hand: mqtt-packet neither validates UTF-8, property placement, repeats
 * and ranges, nor keeps the order of User Properties, so that checking its input would take this
 * same pass over the bytes. Encoding is mqtt-packet's; the tests use it as the oracle for both.
 */
import { TextRule } from '../config-text-rule.ts';
import { checkResponseTopic, PropertyOf, readProperties } from './codec-property.ts';
import { PacketReader } from './codec-reader.ts';
import type {
  Auth,
  Connect,
  ConnectProperties,
  ControlPacket,
  Disconnect,
  ProtocolVersion,
  QoS,
  Subscribe,
  Subscription,
  Unsubscribe,
  UserProperties,
  Will,
  WillProperties,
} from './packet.ts';
import { PacketType } from './packet.ts';
import { ReasonCode } from './reason-code.ts';
import { isTopicName, isWellFormedFilter } from './topic.ts';

export { encodeConnack, encodeDisconnect, encodeSuback, encodeUnsuback } from './codec-encode.ts';

/**
 * Decodes one whole frame (fixed header included) of CONNECT, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT
 * or AUTH. The result shares no memory with `frame`.
 *
 * A Topic Filter that is not well-formed makes its packet malformed; whether one is allowed is answered
 * in SUBACK or UNSUBACK (0x8F).
 *
 * @param version of the connection; ignored for CONNECT, which brings its own
 * @param text which strings may have control characters and non-characters
 * @throws MalformedPacket, and nothing else for any bytes: 0x81, 0x82, 0x84 (protocol name or
 *   level), 0x85 (Client Identifier empty where it may not be), 0x90 (Will or Response Topic)
 */
export function decodeControl(
  frame: Uint8Array,
  version: ProtocolVersion,
  text: TextRule = TextRule.Any,
): ControlPacket {
  const reader = new PacketReader(frame, 0, frame.length);
  reader.version = version;
  reader.text = text;
  const first = reader.byte();
  let bytes = 0;
  let shift = 0;
  for (let byte = 0x80; byte >= 0x80; shift += 7) {
    if (shift === 28) throw reader.malformed('Remaining Length longer than four bytes');
    byte = reader.byte();
    bytes |= (byte & 0x7f) << shift;
  }
  if (bytes !== reader.remaining) throw reader.malformed('Remaining Length does not fit the frame');
  const type = first >> 4;
  // Before 3.1.1 a repeated SUBSCRIBE or UNSUBSCRIBE carries DUP.
  const flags = first & (version === 3 ? 7 : 15);
  // [MQTT-2.1.3-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
  const reserved = type === PacketType.Subscribe || type === PacketType.Unsubscribe ? 2 : 0;
  if (flags !== reserved) throw reader.malformed('reserved flags of the fixed header');
  const packet = decodeBody(reader, type, version);
  reader.expectEnd();
  return packet;
}

function decodeBody(reader: PacketReader, type: number, version: ProtocolVersion): ControlPacket {
  switch (type) {
    case PacketType.Connect:
      return decodeConnect(reader);
    case PacketType.Subscribe:
      return decodeSubscribe(reader, version);
    case PacketType.Unsubscribe:
      return decodeUnsubscribe(reader, version);
    case PacketType.Disconnect:
      return decodeDisconnect(reader, version);
    case PacketType.Auth:
      return decodeAuth(reader, version);
    default:
      throw reader.protocolError(`packet type ${type} is not for a client to send`);
  }
}

function decodeConnect(reader: PacketReader): Connect {
  const protocolVersion = readProtocol(reader);
  reader.version = protocolVersion;
  const flags = reader.byte();
  if ((flags & 1) !== 0) throw reader.malformed('reserved Connect Flag'); // [MQTT-3.1.2-3]
  const keepAliveSeconds = reader.uint16();
  const properties: ConnectProperties =
    protocolVersion === 5 ? readProperties(reader, PropertyOf.Connect) : {};
  if (properties.authenticationData && properties.authenticationMethod === undefined) {
    throw reader.protocolError('authenticationData without authenticationMethod');
  }
  const cleanStart = (flags & 2) !== 0;
  const clientId = reader.clientId();
  // [MQTT-3.1.3-8] of 3.1.1: no name, no session to come back to. 3.1 wants a name always.
  if (clientId === '' && protocolVersion < 5 && (protocolVersion === 3 || !cleanStart)) {
    throw reader.fail(ReasonCode.ClientIdentifierNotValid, 'empty Client Identifier');
  }
  const connect: Connect = {
    type: 'connect',
    protocolVersion,
    cleanStart,
    clientId,
    keepAliveSeconds,
    properties,
  };
  const will = readWill(reader, flags, protocolVersion);
  if (will) connect.will = will;
  if ((flags & 0x80) !== 0) connect.username = reader.string();
  if ((flags & 0x40) !== 0) {
    // [MQTT-3.1.2-22] of 3.1.1; MQTT 5 allows a password alone.
    if (protocolVersion < 5 && connect.username === undefined) {
      throw reader.malformed('Password Flag without User Name Flag');
    }
    connect.password = reader.binary();
  }
  return connect;
}

/** [MQTT-3.1.2-1], [MQTT-3.1.2-2] */
function readProtocol(reader: PacketReader): ProtocolVersion {
  const name = reader.string();
  const level = reader.byte();
  if (name === 'MQTT' && (level === 4 || level === 5)) return level;
  if (name === 'MQIsdp' && level === 3) return level;
  // A client of a later level understands a CONNACK of MQTT 5, one of an earlier level that of 3.1.1.
  reader.version = name === 'MQTT' && level > 5 && level < 128 ? 5 : 4;
  throw reader.fail(ReasonCode.UnsupportedProtocolVersion, `protocol "${name}" level ${level}`);
}

function readWill(reader: PacketReader, flags: number, version: number): Will | undefined {
  const qos = (flags >> 3) & 3;
  const retain = (flags & 0x20) !== 0;
  if ((flags & 4) === 0) {
    // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
    if (qos !== 0 || retain) throw reader.malformed('Will QoS or Will Retain without Will Flag');
    return undefined;
  }
  if (qos === 3) throw reader.malformed('Will QoS 3'); // [MQTT-3.1.2-12]
  const properties: WillProperties = version === 5 ? readProperties(reader, PropertyOf.Will) : {};
  checkResponseTopic(properties, version);
  const topic = reader.name();
  if (!isTopicName(topic)) throw reader.fail(ReasonCode.TopicNameInvalid, 'invalid Will Topic');
  const payload = reader.binary();
  return { topic, payload, qos: qos as QoS, retain, properties };
}

/** A Packet Identifier, never zero [MQTT-2.2.1-3]. */
function readPacketId(reader: PacketReader): number {
  const packetId = reader.uint16();
  if (packetId === 0) throw reader.protocolError('Packet Identifier 0');
  return packetId;
}

function decodeSubscribe(reader: PacketReader, version: ProtocolVersion): Subscribe {
  const packetId = readPacketId(reader);
  const packet: Subscribe = { type: 'subscribe', packetId, subscriptions: [] };
  if (version === 5) {
    const properties = readProperties<{
      subscriptionIdentifier?: number;
      userProperties?: UserProperties;
    }>(reader, PropertyOf.Subscribe);
    Object.assign(packet, properties);
  }
  // [MQTT-3.8.3-2]
  if (reader.remaining === 0) throw reader.protocolError('SUBSCRIBE without a Topic Filter');
  while (reader.remaining > 0) packet.subscriptions.push(readSubscription(reader, version));
  return packet;
}

function readFilter(reader: PacketReader): string {
  const filter = reader.name();
  if (!isWellFormedFilter(filter)) throw reader.malformed('malformed Topic Filter');
  return filter;
}

function readSubscription(reader: PacketReader, version: ProtocolVersion): Subscription {
  const filter = readFilter(reader);
  const options = reader.byte();
  // [MQTT-3.8.3-5], [MQTT-3-8.3-4] of 3.1.1: reserved bits
  if ((options & (version === 5 ? 0xc0 : 0xfc)) !== 0) {
    throw reader.malformed('reserved bits of the Subscription Options');
  }
  const qos = options & 3;
  const retainHandling = (options >> 4) & 3;
  if (qos === 3) throw reader.protocolError('Maximum QoS 3');
  if (retainHandling === 3) throw reader.protocolError('Retain Handling 3');
  const noLocal = (options & 4) !== 0;
  if (noLocal && filter.startsWith('$share/')) {
    throw reader.protocolError('No Local on a Shared Subscription'); // [MQTT-3.8.3-4]
  }
  return {
    filter,
    qos: qos as QoS,
    noLocal,
    retainAsPublished: (options & 8) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  };
}

function decodeUnsubscribe(reader: PacketReader, version: ProtocolVersion): Unsubscribe {
  const packetId = readPacketId(reader);
  const packet: Unsubscribe = { type: 'unsubscribe', packetId, filters: [] };
  if (version === 5) {
    Object.assign(
      packet,
      readProperties<{ userProperties?: UserProperties }>(reader, PropertyOf.Unsubscribe),
    );
  }
  // [MQTT-3.10.3-2]
  if (reader.remaining === 0) throw reader.protocolError('UNSUBSCRIBE without a Topic Filter');
  while (reader.remaining > 0) packet.filters.push(readFilter(reader));
  return packet;
}

/** Reason Codes with which a client may disconnect (§3.14.2.1). */
const disconnectCodes: ReadonlySet<number> = new Set([
  ReasonCode.Success,
  ReasonCode.DisconnectWithWillMessage,
  ReasonCode.UnspecifiedError,
  ReasonCode.MalformedPacket,
  ReasonCode.ProtocolError,
  ReasonCode.ImplementationSpecificError,
  ReasonCode.TopicNameInvalid,
  ReasonCode.ReceiveMaximumExceeded,
  ReasonCode.TopicAliasInvalid,
  ReasonCode.PacketTooLarge,
  ReasonCode.MessageRateTooHigh,
  ReasonCode.QuotaExceeded,
  ReasonCode.AdministrativeAction,
  ReasonCode.PayloadFormatInvalid,
]);

function decodeDisconnect(reader: PacketReader, version: ProtocolVersion): Disconnect {
  const packet: Disconnect = { type: 'disconnect', reasonCode: ReasonCode.Success, properties: {} };
  if (version < 5 || reader.remaining === 0) return packet;
  packet.reasonCode = reader.byte();
  if (!disconnectCodes.has(packet.reasonCode)) {
    throw reader.protocolError(`DISCONNECT with Reason Code ${packet.reasonCode}`);
  }
  // A Remaining Length below 2 leaves the properties out (§3.14.2.2.1).
  if (reader.remaining > 0) packet.properties = readProperties(reader, PropertyOf.Disconnect);
  return packet;
}

function decodeAuth(reader: PacketReader, version: ProtocolVersion): Auth {
  if (version < 5) throw reader.malformed('AUTH before MQTT 5');
  // Success is the server's to send [MQTT-3.15.2-1], and a Remaining Length of 0 means it.
  if (reader.remaining === 0) throw reader.protocolError('AUTH with Reason Code 0');
  const reasonCode = reader.byte();
  if (
    reasonCode !== ReasonCode.ContinueAuthentication &&
    reasonCode !== ReasonCode.ReAuthenticate
  ) {
    throw reader.protocolError(`AUTH with Reason Code ${reasonCode}`);
  }
  const properties: Auth['properties'] =
    reader.remaining > 0 ? readProperties(reader, PropertyOf.Auth) : {};
  if (properties.authenticationMethod === undefined) {
    throw reader.protocolError('AUTH without authenticationMethod');
  }
  return { type: 'auth', reasonCode, properties };
}
