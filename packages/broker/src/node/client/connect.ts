/** What a CONNECT may ask, and what CONNACK tells. */
import { encodePublishProperties } from '../../mqtt/codec-property.ts';
import type { ConnackProperties, Connect } from '../../mqtt/packet.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import { exceedsLevels, isReserved, isTopicName } from '../../mqtt/topic.ts';
import type { ClientSocket } from '../../ports.ts';
import type { Will } from '../../session/message.ts';
import type { Client } from './parts.ts';
import { packetBytesMax } from './reading.ts';
import type { SessionPort } from './session-port.ts';

/** @returns 0, or the Reason Code to refuse with */
export function checkConnect(connect: Connect, port: SessionPort, socket: ClientSocket): number {
  const { protocolVersions } = socket.rules ?? {};
  if (protocolVersions && !protocolVersions.includes(connect.protocolVersion))
    return ReasonCode.UnsupportedProtocolVersion; // [MQTT-3.1.2-2]
  if (port.draining.leaving) return ReasonCode.ServerMoved;
  if (!port.ready) return ReasonCode.ServerUnavailable;
  if (connect.clientId === '' && connect.protocolVersion < 5 && !connect.cleanStart)
    return ReasonCode.ClientIdentifierNotValid; // [MQTT-3.1.3-8] of 3.1.1
  if (isLonger(connect.clientId, port.limits.clientIdBytes))
    return ReasonCode.ClientIdentifierNotValid; // [MQTT-3.1.3-5]: up to 23 bytes always
  if (connect.properties.authenticationMethod !== undefined)
    return ReasonCode.BadAuthenticationMethod;
  const { will } = connect;
  if (will && (!isTopicName(will.topic) || exceedsLevels(will.topic, port.limits.topicLevels)))
    return ReasonCode.TopicNameInvalid;
  if (will && isReserved(will.topic)) return ReasonCode.NotAuthorized;
  return 0;
}

export function willOf(connect: Connect, port: SessionPort): Will | null {
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
  const { limits } = c.port;
  const asked = connect.properties.sessionExpiryInterval ?? 0;
  return {
    receiveMaximum: limits.publishesInFlight,
    maximumPacketSize: packetBytesMax(c.socket, limits),
    topicAliasMaximum: limits.topicAliases,
    ...(asked === c.expirySeconds ? {} : { sessionExpiryInterval: c.expirySeconds }),
    ...(assigned === null ? {} : { assignedClientIdentifier: assigned }),
  };
}

/** Whether a string has more bytes of UTF-8 than that. */
function isLonger(text: string, bytes: number): boolean {
  return text.length > bytes || (text.length * 3 > bytes && Buffer.byteLength(text) > bytes);
}

/** Session Expiry Interval in seconds, as granted. */
export function expiryOf(connect: Connect, port: SessionPort): number {
  const { sessionExpiryMaxSeconds } = port.limits;
  if (connect.protocolVersion < 5) return connect.cleanStart ? 0 : sessionExpiryMaxSeconds;
  return Math.min(connect.properties.sessionExpiryInterval ?? 0, sessionExpiryMaxSeconds);
}

/** For a client that brings no name [MQTT-3.1.3-6]. */
export function randomName(port: SessionPort): string {
  const part = () => Math.floor(port.env.random() * 0x1_0000_0000).toString(36);
  return part() + part();
}
