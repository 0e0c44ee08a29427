import mqttPacket from 'mqtt-packet';
import type {
  ConnackProperties,
  DisconnectProperties,
  ProtocolVersion,
  UserProperties,
} from './packet.ts';
import { connackReturnCode, ReasonCode } from './reason-code.ts';

// Its cache of all 65,536 two-byte numbers costs megabytes at the first packet and saves nothing.
mqttPacket.writeToStream.cacheNumbers = false;

/**
 * Encodes a CONNACK. Before MQTT 5 the Reason Code becomes one of its five return codes, or
 * 3 (Server unavailable) where none fits; properties are left out.
 */
export function encodeConnack(o: {
  version: ProtocolVersion;
  /** Left at false for a refusal [MQTT-3.2.2-6]. */
  sessionPresent: boolean;
  reasonCode: number;
  properties?: ConnackProperties;
}): Uint8Array {
  const sessionPresent = o.sessionPresent && o.reasonCode === ReasonCode.Success;
  if (o.version < 5) {
    // MQTT 3.1 has no Session Present: that byte is reserved there.
    const flags = sessionPresent && o.version === 4 ? 1 : 0;
    return Uint8Array.of(0x20, 2, flags, connackReturnCode(o.reasonCode) ?? 3);
  }
  return mqttPacket.generate(
    {
      cmd: 'connack',
      sessionPresent,
      reasonCode: o.reasonCode,
      properties: outgoing(o.properties) as never,
    },
    { protocolVersion: 5 },
  );
}

/**
 * Encodes a SUBACK with one Reason Code per Topic Filter, in the order of the SUBSCRIBE
 * [MQTT-3.8.4-6]. Before MQTT 5 every refusal is 0x80.
 */
export function encodeSuback(o: {
  version: ProtocolVersion;
  packetId: number;
  reasonCodes: readonly number[];
  properties?: { reasonString?: string; userProperties?: UserProperties };
}): Uint8Array {
  const granted =
    o.version === 5 ? o.reasonCodes : o.reasonCodes.map((code) => (code < 0x80 ? code : 0x80));
  return mqttPacket.generate(
    {
      cmd: 'suback',
      messageId: o.packetId,
      granted: granted as number[],
      properties: outgoing(o.properties),
    },
    { protocolVersion: o.version },
  );
}

/** Encodes an UNSUBACK; before MQTT 5 it carries no Reason Codes. */
export function encodeUnsuback(o: {
  version: ProtocolVersion;
  packetId: number;
  reasonCodes: readonly number[];
  properties?: { reasonString?: string; userProperties?: UserProperties };
}): Uint8Array {
  return mqttPacket.generate(
    {
      cmd: 'unsuback',
      messageId: o.packetId,
      granted: o.reasonCodes as number[],
      properties: outgoing(o.properties),
    },
    { protocolVersion: o.version },
  );
}

/** Encodes a DISCONNECT; empty before MQTT 5, where only a client sends one. */
export function encodeDisconnect(o: {
  version: ProtocolVersion;
  reasonCode: number;
  properties?: DisconnectProperties;
}): Uint8Array {
  if (o.version < 5) return new Uint8Array(0);
  // The property length may be left out, but paho-mqtt then overlooks the Reason Code.
  if (o.properties === undefined) return Uint8Array.of(0xe0, 2, o.reasonCode, 0);
  return mqttPacket.generate(
    { cmd: 'disconnect', reasonCode: o.reasonCode, properties: outgoing(o.properties) },
    { protocolVersion: 5 },
  );
}

/** Properties as mqtt-packet writes them: User Properties by name, values in order. */
function outgoing<T extends { userProperties?: UserProperties; authenticationData?: Uint8Array }>(
  props: T | undefined,
): Record<string, never> {
  if (props === undefined) return {};
  const { userProperties, authenticationData, ...rest } = props;
  const out: Record<string, unknown> = rest;
  if (authenticationData !== undefined) out['authenticationData'] = Buffer.from(authenticationData);
  if (userProperties !== undefined) {
    const byName: Record<string, string[]> = Object.create(null);
    for (const [name, value] of userProperties) {
      byName[name] ??= [];
      byName[name].push(value);
    }
    out['userProperties'] = byName;
  }
  return out as Record<string, never>;
}
