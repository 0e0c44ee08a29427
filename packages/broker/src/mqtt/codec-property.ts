import { TextRule } from '../config-text-rule.ts';
import { PacketReader } from './codec-reader.ts';
import type { PublishProperties } from './packet.ts';
import { MalformedPacket } from './packet-error.ts';
import { ReasonCode } from './reason-code.ts';

/** Where a property may stand when a client sends it (§2.2.2.2, one bit each). */
export const PropertyOf = {
  Connect: 1,
  Will: 2,
  Publish: 4,
  Acknowledgement: 8,
  Subscribe: 16,
  Unsubscribe: 32,
  Disconnect: 64,
  Auth: 128,
} as const;

interface Property {
  readonly name: string;
  readonly type: 'byte' | 'uint16' | 'uint32' | 'variable' | 'string' | 'binary' | 'pair';
  /** Sum of {@link PropertyOf}; 0: only a server sends it. */
  readonly allowed: number;
  readonly min?: number;
  readonly max?: number;
}

const { Connect, Will, Publish, Acknowledgement, Subscribe, Unsubscribe, Disconnect, Auth } =
  PropertyOf;
const reasoned = Acknowledgement | Disconnect | Auth;
const message = Publish | Will;
const everywhere = Connect | message | reasoned | Subscribe | Unsubscribe;

/** By identifier (§2.2.2.2), with the ranges outside which a value is a Protocol Error. */
const properties: readonly (Property | undefined)[] = index([
  [1, { name: 'payloadFormatIndicator', type: 'byte', allowed: message, max: 1 }],
  [2, { name: 'messageExpiryInterval', type: 'uint32', allowed: message }],
  [3, { name: 'contentType', type: 'string', allowed: message }],
  [8, { name: 'responseTopic', type: 'string', allowed: message }],
  [9, { name: 'correlationData', type: 'binary', allowed: message }],
  // The server sends it on PUBLISH; a client's PUBLISH must not carry one [MQTT-3.3.4-6].
  [11, { name: 'subscriptionIdentifier', type: 'variable', allowed: Subscribe, min: 1 }],
  [17, { name: 'sessionExpiryInterval', type: 'uint32', allowed: Connect | Disconnect }],
  [18, { name: 'assignedClientIdentifier', type: 'string', allowed: 0 }],
  [19, { name: 'serverKeepAlive', type: 'uint16', allowed: 0 }],
  [21, { name: 'authenticationMethod', type: 'string', allowed: Connect | Auth }],
  [22, { name: 'authenticationData', type: 'binary', allowed: Connect | Auth }],
  [23, { name: 'requestProblemInformation', type: 'byte', allowed: Connect, max: 1 }],
  [24, { name: 'willDelayInterval', type: 'uint32', allowed: Will }],
  [25, { name: 'requestResponseInformation', type: 'byte', allowed: Connect, max: 1 }],
  [26, { name: 'responseInformation', type: 'string', allowed: 0 }],
  [28, { name: 'serverReference', type: 'string', allowed: 0 }],
  [31, { name: 'reasonString', type: 'string', allowed: reasoned }],
  [33, { name: 'receiveMaximum', type: 'uint16', allowed: Connect, min: 1 }],
  [34, { name: 'topicAliasMaximum', type: 'uint16', allowed: Connect }],
  [35, { name: 'topicAlias', type: 'uint16', allowed: Publish }],
  [36, { name: 'maximumQoS', type: 'byte', allowed: 0 }],
  [37, { name: 'retainAvailable', type: 'byte', allowed: 0 }],
  [38, { name: 'userProperties', type: 'pair', allowed: everywhere }],
  [39, { name: 'maximumPacketSize', type: 'uint32', allowed: Connect, min: 1 }],
  [40, { name: 'wildcardSubscriptionAvailable', type: 'byte', allowed: 0 }],
  [41, { name: 'subscriptionIdentifiersAvailable', type: 'byte', allowed: 0 }],
  [42, { name: 'sharedSubscriptionAvailable', type: 'byte', allowed: 0 }],
]);

function index(entries: readonly (readonly [number, Property])[]): (Property | undefined)[] {
  const table: (Property | undefined)[] = new Array(43).fill(undefined);
  for (const [identifier, property] of entries) table[identifier] = property;
  return table;
}

/**
 * Reads a property length and the properties it spans, leaving the reader behind them.
 *
 * @param where the one {@link PropertyOf} that is being read
 * @throws MalformedPacket 0x81 for an unknown identifier or a field that does not fit, 0x82 for one
 *   out of place, out of range or repeated; 0x94 for Topic Alias 0 [MQTT-3.3.2-8]
 */
export function readProperties<T extends object>(reader: PacketReader, where: number): T {
  const bytes = reader.variableByteInteger();
  if (bytes > reader.remaining) throw reader.malformed('properties end beyond the packet');
  const packetEnd = reader.end;
  reader.end = reader.pos + bytes;
  const result = readFields(reader, where) as T;
  reader.end = packetEnd;
  return result;
}

function readFields(reader: PacketReader, where: number): object {
  const result: Record<string, unknown> = {};
  while (reader.remaining > 0) {
    const identifier = reader.byte();
    const property = properties[identifier];
    if (property === undefined) throw reader.malformed(`unknown property ${identifier}`);
    const { name } = property;
    if ((property.allowed & where) === 0) throw reader.protocolError(`${name} not allowed here`);
    if (property.type === 'pair') {
      result[name] ??= [];
      (result[name] as [string, string][]).push([reader.string(), reader.string()]);
      continue;
    }
    if (result[name] !== undefined) throw reader.protocolError(`${name} given twice`);
    result[name] = readValue(reader, property);
  }
  return result;
}

function readValue(reader: PacketReader, property: Property): number | string | Uint8Array {
  if (property.name === 'responseTopic') return reader.name();
  if (property.type === 'string') return reader.string();
  if (property.type === 'binary') return reader.binary();
  const value = readNumber(reader, property.type);
  if (value < (property.min ?? 0) || value > (property.max ?? 0xffffffff)) {
    throw reader.protocolError(`${property.name} must not be ${value}`);
  }
  if (property.name === 'topicAlias' && value === 0) {
    throw reader.fail(ReasonCode.TopicAliasInvalid, 'topicAlias must not be 0');
  }
  return value;
}

function readNumber(reader: PacketReader, type: Property['type']): number {
  switch (type) {
    case 'byte':
      return reader.byte();
    case 'uint16':
      return reader.uint16();
    case 'uint32':
      return reader.uint32();
    default:
      return reader.variableByteInteger();
  }
}

/**
 * The properties of a client's PUBLISH, read on demand from `propsStart` to `propsEnd` of its view.
 *
 * @param start first byte behind the property length
 * @throws MalformedPacket as {@link readProperties}; 0x90 for a Response Topic with wildcards
 */
export function decodePublishProperties(
  buf: Uint8Array,
  start: number,
  end: number,
  text: TextRule = TextRule.Any,
): PublishProperties {
  const reader = new PacketReader(buf, start, end);
  reader.version = 5;
  reader.text = text;
  const result: PublishProperties = readFields(reader, PropertyOf.Publish);
  checkResponseTopic(result, 5);
  return result;
}

/** [MQTT-3.3.2-14]: the Response Topic MUST NOT contain wildcard characters. */
export function checkResponseTopic(props: PublishProperties, version: number): void {
  const topic = props.responseTopic;
  if (topic === undefined || (topic !== '' && !/[#+]/.test(topic))) return;
  throw new MalformedPacket(ReasonCode.TopicNameInvalid, 'invalid Response Topic', version);
}

/**
 * Encodes properties of a PUBLISH to a client, without the property length in front.
 *
 * One allocation, exactly sized. The caller leaves out what does not travel: a Topic Alias is
 * written if given.
 */
export function encodePublishProperties(props: PublishProperties): Uint8Array {
  const {
    payloadFormatIndicator,
    messageExpiryInterval,
    contentType,
    responseTopic,
    correlationData,
    userProperties = [],
    topicAlias,
    subscriptionIdentifiers = [],
  } = props;
  let size = 0;
  if (payloadFormatIndicator !== undefined) size += 2;
  if (messageExpiryInterval !== undefined) size += 5;
  if (contentType !== undefined) size += 3 + Buffer.byteLength(contentType);
  if (responseTopic !== undefined) size += 3 + Buffer.byteLength(responseTopic);
  if (correlationData !== undefined) size += 3 + correlationData.length;
  for (const [k, v] of userProperties) size += 5 + Buffer.byteLength(k) + Buffer.byteLength(v);
  if (topicAlias !== undefined) size += 3;
  for (const identifier of subscriptionIdentifiers) size += 1 + variableBytes(identifier);

  const out = Buffer.allocUnsafe(size);
  let at = 0;
  if (payloadFormatIndicator !== undefined) {
    out[at++] = 1;
    out[at++] = payloadFormatIndicator;
  }
  if (messageExpiryInterval !== undefined) {
    out[at++] = 2;
    at = out.writeUInt32BE(messageExpiryInterval, at);
  }
  if (contentType !== undefined) at = writeString(out, 3, contentType, at);
  if (responseTopic !== undefined) at = writeString(out, 8, responseTopic, at);
  if (correlationData !== undefined) {
    out[at++] = 9;
    at = out.writeUInt16BE(correlationData.length, at);
    out.set(correlationData, at);
    at += correlationData.length;
  }
  for (const [name, value] of userProperties) {
    at = writeString(out, 38, name, at);
    const bytes = out.write(value, at + 2);
    out.writeUInt16BE(bytes, at);
    at += 2 + bytes;
  }
  if (topicAlias !== undefined) {
    out[at++] = 35;
    at = out.writeUInt16BE(topicAlias, at);
  }
  for (const identifier of subscriptionIdentifiers) {
    out[at++] = 11;
    at = writeVariable(out, identifier, at);
  }
  return out;
}

function writeString(out: Buffer, identifier: number, text: string, at: number): number {
  out[at] = identifier;
  const bytes = out.write(text, at + 3);
  out.writeUInt16BE(bytes, at + 1);
  return at + 3 + bytes;
}

/** Bytes that a Variable Byte Integer takes, 1 to 4. */
export function variableBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}

/** Writes a Variable Byte Integer, 0 to 268,435,455, and returns the offset behind it. */
export function writeVariable(out: Uint8Array, value: number, at: number): number {
  let rest = value;
  let end = at;
  while (rest >= 128) {
    out[end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[end++] = rest;
  return end;
}
