/** What a CONNECT may ask, and what CONNACK tells. */

import { decodeControl } from '../../mqtt/codec.ts';
import { encodePublishProperties } from '../../mqtt/codec-property.ts';
import { isUtf8 } from '../../mqtt/codec-reader.ts';
import type { ConnackProperties, Connect } from '../../mqtt/packet.ts';
import { MalformedPacket } from '../../mqtt/packet-error.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import { exceedsLevels, isReserved, isTopicName } from '../../mqtt/topic.ts';
import type { Will } from '../../session/message.ts';
import type { Client } from './parts.ts';
import { SentAliases } from './sent-aliases.ts';
import type { ServerOptions } from './server-options.ts';
import type { SessionPort } from './session-port.ts';

/** A whole CONNECT, or what is wrong with it. */
export function readConnect(frame: Uint8Array, { text }: ServerOptions): Connect | MalformedPacket {
  try {
    return decodeControl(frame, 4, text) as Connect;
  } catch (e) {
    if (e instanceof MalformedPacket) return e;
    throw e;
  }
}

/** What is asked of the session's shard. */
export function requestOf(connect: Connect, c: Client) {
  const { clientId, expirySeconds, version } = c;
  const { cleanStart } = connect;
  const user = c.rights?.who.user ?? '';
  return { clientId, cleanStart, expirySeconds, version, user, will: willOf(connect, c.port) };
}

/** @returns 0, or the Reason Code to refuse with */
export function checkConnect(connect: Connect, { port, options, socket }: Client): number {
  if (!options.versions.includes(connect.protocolVersion))
    return ReasonCode.UnsupportedProtocolVersion; // [MQTT-3.1.2-2]
  if (socket.isExcess) return ReasonCode.QuotaExceeded;
  if (port.draining.leaving) return ReasonCode.ServerMoved;
  if (!port.ready) return ReasonCode.ServerUnavailable;
  if (connect.clientId === '' && connect.protocolVersion < 5 && !connect.cleanStart)
    return ReasonCode.ClientIdentifierNotValid; // [MQTT-3.1.3-8] of 3.1.1
  if (isLonger(connect.clientId, options.clientIdBytes)) return ReasonCode.ClientIdentifierNotValid; // [MQTT-3.1.3-5]: up to 23 bytes always
  if (connect.properties.authenticationMethod !== undefined)
    return ReasonCode.BadAuthenticationMethod;
  return connect.will ? checkWill(connect.will, options) : 0;
}

function checkWill(will: NonNullable<Connect['will']>, options: ServerOptions): number {
  if (!isTopicName(will.topic) || exceedsLevels(will.topic, options.topicLevels))
    return ReasonCode.TopicNameInvalid;
  if (isReserved(will.topic)) return ReasonCode.NotAuthorized;
  if (will.qos > options.maximumQos) return ReasonCode.QoSNotSupported; // [MQTT-3.2.2-12]
  if (will.retain && !options.retainAvailable) return ReasonCode.RetainNotSupported; // [MQTT-3.2.2-13]
  if (will.payload.length > options.payloadBytes) return ReasonCode.PacketTooLarge;
  const isText = options.checkPayloadFormat && will.properties.payloadFormatIndicator === 1;
  return isText && !isUtf8(will.payload) ? ReasonCode.PayloadFormatInvalid : 0;
}

function willOf(connect: Connect, port: SessionPort): Will | null {
  const { will } = connect;
  if (!will) return null;
  const { willDelayInterval = 0, messageExpiryInterval, ...properties } = will.properties;
  return {
    delaySeconds: willDelayInterval,
    expirySeconds: messageExpiryInterval ?? -1,
    message: {
      topic: will.topic,
      payload: Uint8Array.from(will.payload),
      qos: will.qos,
      retain: will.retain,
      hlc: port.clock.next(),
      expiresAtMs: 0,
      properties: encodePublishProperties(properties),
      publisher: connect.clientId,
    },
  };
}

export function connackProperties(
  c: Client,
  connect: Connect,
  assigned: string | null,
): ConnackProperties {
  const { options } = c;
  const { maximumQos } = options;
  const { properties: asked, keepAliveSeconds } = connect;
  const keepAlive = keepAliveOf(connect, options);
  const expiry = asked.sessionExpiryInterval ?? 0;
  const response =
    asked.requestResponseInformation === 1 ? responseInformation(options, c.clientId) : '';
  // What is as its absence says is left out.
  return {
    receiveMaximum: options.receiveMaximum,
    maximumPacketSize: options.maximumPacketSize,
    topicAliasMaximum: options.topicAliasMaximum,
    ...(maximumQos === 2 ? {} : { maximumQoS: maximumQos }), // [MQTT-3.2.2-9]
    ...(options.retainAvailable ? {} : { retainAvailable: false }),
    ...(options.wildcardAvailable ? {} : { wildcardSubscriptionAvailable: false }),
    ...(options.sharedAvailable ? {} : { sharedSubscriptionAvailable: false }),
    ...(options.identifiersAvailable ? {} : { subscriptionIdentifiersAvailable: false }),
    ...(keepAlive === keepAliveSeconds ? {} : { serverKeepAlive: keepAlive }),
    ...(response === '' ? {} : { responseInformation: response }), // [MQTT-3.1.2-28]
    ...(expiry === c.expirySeconds ? {} : { sessionExpiryInterval: c.expirySeconds }),
    ...(assigned === null ? {} : { assignedClientIdentifier: assigned }), // [MQTT-3.2.2-16]
  };
}

/** '' for none, also for a Client Identifier that would make no Topic Name of it. */
function responseInformation(options: ServerOptions, clientId: string): string {
  const text = options.responseInformation.replaceAll('{clientId}', () => clientId);
  return isTopicName(text) ? text : '';
}

/** Seconds. Earlier versions cannot be told another one than their own. */
export function keepAliveOf(connect: Connect, { serverKeepAlive }: ServerOptions): number {
  const { keepAliveSeconds, protocolVersion } = connect;
  if (protocolVersion < 5 || serverKeepAlive === 0) return keepAliveSeconds;
  return keepAliveSeconds === 0 ? serverKeepAlive : Math.min(keepAliveSeconds, serverKeepAlive);
}

export function sentAliasesOf(connect: Connect, c: Client): SentAliases | null {
  const allowed = connect.properties.topicAliasMaximum ?? 0; // [MQTT-3.1.2-26] [MQTT-3.1.2-27]
  const most = Math.min(allowed, c.options.topicAliasesSent);
  return most === 0 ? null : new SentAliases(most, c.port.counters);
}

/** Whether a string has more bytes of UTF-8 than that. */
function isLonger(text: string, bytes: number): boolean {
  return text.length > bytes || (text.length * 3 > bytes && Buffer.byteLength(text) > bytes);
}

/** Session Expiry Interval in seconds, as granted. */
export function expiryOf(
  connect: Connect,
  { sessionExpiryMaxSeconds }: Pick<ServerOptions, 'sessionExpiryMaxSeconds'>,
): number {
  if (connect.protocolVersion < 5) return connect.cleanStart ? 0 : sessionExpiryMaxSeconds;
  return Math.min(connect.properties.sessionExpiryInterval ?? 0, sessionExpiryMaxSeconds);
}

/** For a client that brings no name [MQTT-3.1.3-6]. */
export function assignedName(port: SessionPort, { assignedIdPrefix }: ServerOptions): string {
  const part = () => Math.floor(port.env.random() * 0x1_0000_0000).toString(36);
  return assignedIdPrefix + part() + part();
}
