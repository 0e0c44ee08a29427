/**
 * MQTT as the simulated clients speak it: 3.1.1 and 5, the packets a client sends and receives.
 *
 * Written apart from the broker's codec on purpose, so that a mistake there is not hidden by the
 * same mistake here. Small and strict: a packet that the broker must not send throws.
 */

export type ProtocolVersion = 4 | 5;

/** A packet from the broker, decoded. */
export type ServerPacket =
  | {
      readonly type: 'connack';
      readonly sessionPresent: boolean;
      readonly reasonCode: number;
      /** MQTT 5 Receive Maximum, or 65535. */
      readonly receiveMaximum: number;
      /** Session Expiry Interval in seconds, where the server overrides it. */
      readonly sessionExpiryInterval: number | undefined;
      readonly assignedClientIdentifier: string | undefined;
    }
  | {
      readonly type: 'publish';
      readonly topic: string;
      readonly qos: number;
      readonly dup: boolean;
      readonly retain: boolean;
      readonly packetId: number;
      readonly payload: string;
      /** Subscription Identifiers, in the order of the packet. */
      readonly identifiers: readonly number[];
    }
  | {
      readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
      readonly packetId: number;
      readonly reasonCode: number;
    }
  | {
      readonly type: 'suback' | 'unsuback';
      readonly packetId: number;
      readonly reasonCodes: readonly number[];
    }
  | { readonly type: 'pingresp' }
  | { readonly type: 'disconnect'; readonly reasonCode: number };

/** A Will as the simulated clients set it. */
export interface WillFields {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
  /** MQTT 5 only; 0 sends none. */
  readonly delaySeconds: number;
}

const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Grows as it is written to; `finish` puts the fixed header before it. */
class Writer {
  #bytes: number[] = [];

  u8(value: number): this {
    this.#bytes.push(value & 0xff);
    return this;
  }

  u16(value: number): this {
    return this.u8(value >> 8).u8(value);
  }

  u32(value: number): this {
    return this.u16(value >>> 16).u16(value & 0xffff);
  }

  raw(bytes: Uint8Array): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  text(value: string): this {
    const bytes = encoder.encode(value);
    return this.u16(bytes.length).raw(bytes);
  }

  /** Appends the properties of `inner` with their length before them. */
  properties(inner: Writer): this {
    writeVarint(this.#bytes, inner.#bytes.length);
    for (const byte of inner.#bytes) this.#bytes.push(byte);
    return this;
  }

  /** @param body what follows, without a copy byte by byte */
  finish(type: number, flags: number, body: Uint8Array = NOTHING): Uint8Array {
    const head = [(type << 4) | flags];
    writeVarint(head, this.#bytes.length + body.length);
    const out = new Uint8Array(head.length + this.#bytes.length + body.length);
    out.set(head);
    out.set(this.#bytes, head.length);
    out.set(body, head.length + this.#bytes.length);
    return out;
  }
}

function writeVarint(bytes: number[], value: number): void {
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
}

export function encodeConnect(o: {
  version: ProtocolVersion;
  clientId: string;
  cleanStart: boolean;
  keepAliveSeconds: number;
  /** MQTT 5 only. */
  sessionExpirySeconds: number;
  /** MQTT 5 only; 0 sends none. */
  receiveMaximum: number;
  will: WillFields | undefined;
}): Uint8Array {
  const out = new Writer().text('MQTT').u8(o.version);
  const will = o.will;
  let flags = o.cleanStart ? 2 : 0;
  if (will !== undefined) flags |= 4 | (will.qos << 3) | (will.retain ? 0x20 : 0);
  out.u8(flags).u16(o.keepAliveSeconds);
  if (o.version === 5) {
    const properties = new Writer();
    if (o.sessionExpirySeconds > 0) properties.u8(0x11).u32(o.sessionExpirySeconds);
    if (o.receiveMaximum > 0) properties.u8(0x21).u16(o.receiveMaximum);
    out.properties(properties);
  }
  out.text(o.clientId);
  if (will !== undefined) {
    if (o.version === 5) {
      const properties = new Writer();
      if (will.delaySeconds > 0) properties.u8(0x18).u32(will.delaySeconds);
      out.properties(properties);
    }
    out.text(will.topic).text(will.payload);
  }
  return out.finish(1, 0);
}

export function encodePublish(o: {
  version: ProtocolVersion;
  topic: string;
  payload: string;
  qos: number;
  dup: boolean;
  retain: boolean;
  packetId: number;
  /** Message Expiry Interval, MQTT 5 only; 0 sends none. */
  expirySeconds?: number;
}): Uint8Array {
  const out = new Writer().text(o.topic);
  if (o.qos > 0) out.u16(o.packetId);
  if (o.version === 5) {
    const properties = new Writer();
    if (o.expirySeconds) properties.u8(0x02).u32(o.expirySeconds);
    out.properties(properties);
  }
  const flags = (o.dup ? 8 : 0) | (o.qos << 1) | (o.retain ? 1 : 0);
  return out.finish(3, flags, encoder.encode(o.payload));
}

const ACK_TYPES = { puback: 4, pubrec: 5, pubrel: 6, pubcomp: 7 } as const;

export function encodeAck(type: keyof typeof ACK_TYPES, packetId: number): Uint8Array {
  return new Writer().u16(packetId).finish(ACK_TYPES[type], type === 'pubrel' ? 2 : 0);
}

export function encodeSubscribe(
  version: ProtocolVersion,
  packetId: number,
  subscriptions: readonly { readonly filter: string; readonly qos: number }[],
  /** Subscription Identifier below 128, MQTT 5 only; 0 sends none. */
  identifier = 0,
): Uint8Array {
  const out = new Writer().u16(packetId);
  if (version === 5) {
    const properties = new Writer();
    if (identifier > 0) properties.u8(0x0b).u8(identifier);
    out.properties(properties);
  }
  for (const { filter, qos } of subscriptions) out.text(filter).u8(qos);
  return out.finish(8, 2);
}

export function encodeUnsubscribe(
  version: ProtocolVersion,
  packetId: number,
  filters: readonly string[],
): Uint8Array {
  const out = new Writer().u16(packetId);
  if (version === 5) out.u8(0);
  for (const filter of filters) out.text(filter);
  return out.finish(10, 2);
}

export const PINGREQ: Uint8Array = new Writer().finish(12, 0);

/** DISCONNECT; reason code 0x04 (MQTT 5) asks for the Will. */
export function encodeDisconnect(version: ProtocolVersion, reasonCode: number): Uint8Array {
  const out = new Writer();
  if (version === 5 && reasonCode !== 0) out.u8(reasonCode);
  return out.finish(14, 0);
}

/** Cuts a byte stream into packets and decodes them. */
export class PacketReader {
  #rest: Uint8Array = new Uint8Array(0);
  readonly #version: ProtocolVersion;

  constructor(version: ProtocolVersion) {
    this.#version = version;
  }

  /** @throws Error if the broker sent what MQTT forbids. */
  feed(chunk: Uint8Array, onPacket: (packet: ServerPacket) => void): void {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    let at = 0;
    for (;;) {
      const size = packetSize(bytes, at);
      if (size === 0 || at + size > bytes.length) break;
      onPacket(decodePacket(bytes.subarray(at, at + size), this.#version));
      at += size;
    }
    this.#rest = bytes.slice(at);
  }
}

/** Length of the packet that begins at `at`, or 0 if its header is not complete. */
function packetSize(bytes: Uint8Array, at: number): number {
  let length = 0;
  let scale = 1;
  for (let i = 1; i <= 4; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return 0;
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) return 1 + i + length;
    scale *= 128;
  }
  throw new Error('broker sent a Remaining Length of more than four bytes');
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 1;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    while (this.u8() >= 0x80);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw new Error('broker sent a packet that ends early');
    return value;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return this.u16() * 65536 + this.u16();
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  text(): string {
    return this.take(this.u16());
  }

  take(length: number): string {
    if (length > this.left) throw new Error('broker sent a packet that ends early');
    const text = decoder.decode(this.#bytes.subarray(this.#at, this.#at + length));
    this.#at += length;
    return text;
  }

  /** Values of Subscription Identifier, which alone may come more than once. */
  readonly identifiers: number[] = [];

  /** Numeric and text properties by identifier; the last of a repeated one wins. */
  properties(): Map<number, number | string> {
    const found = new Map<number, number | string>();
    const length = this.varint();
    const end = this.#at + length;
    while (this.#at < end) this.#property(found);
    if (this.#at !== end) throw new Error('broker sent properties of a wrong length');
    return found;
  }

  #property(found: Map<number, number | string>): void {
    const id = this.u8();
    switch (id) {
      case 0x01:
      case 0x17:
      case 0x19:
      case 0x24:
      case 0x25:
      case 0x28:
      case 0x29:
      case 0x2a:
        found.set(id, this.u8());
        return;
      case 0x13:
      case 0x21:
      case 0x22:
      case 0x23:
        found.set(id, this.u16());
        return;
      case 0x02:
      case 0x11:
      case 0x18:
      case 0x27:
        found.set(id, this.u32());
        return;
      case 0x0b:
        this.identifiers.push(this.varint());
        return;
      case 0x26:
        found.set(id, `${this.text()}=${this.text()}`);
        return;
      case 0x03:
      case 0x08:
      case 0x09:
      case 0x12:
      case 0x15:
      case 0x16:
      case 0x1a:
      case 0x1c:
      case 0x1f:
        found.set(id, this.text());
        return;
      default:
        throw new Error(`broker sent an unknown property 0x${id.toString(16)}`);
    }
  }
}

function decodePacket(bytes: Uint8Array, version: ProtocolVersion): ServerPacket {
  const first = bytes[0]!;
  const type = first >> 4;
  const reader = new Reader(bytes);
  switch (type) {
    case 2:
      return decodeConnack(reader, version);
    case 3:
      return decodePublish(reader, first & 15, version);
    case 4:
    case 5:
    case 6:
    case 7: {
      const packetId = reader.u16();
      const reasonCode = reader.left > 0 ? reader.u8() : 0;
      if (packetId === 0) throw new Error('broker sent Packet Identifier 0');
      return {
        type: (['puback', 'pubrec', 'pubrel', 'pubcomp'] as const)[type - 4]!,
        packetId,
        reasonCode,
      };
    }
    case 9:
    case 11: {
      const packetId = reader.u16();
      if (version === 5) reader.properties();
      const reasonCodes: number[] = [];
      while (reader.left > 0) reasonCodes.push(reader.u8());
      return { type: type === 9 ? 'suback' : 'unsuback', packetId, reasonCodes };
    }
    case 13:
      return { type: 'pingresp' };
    case 14:
      if (version !== 5) throw new Error('broker sent DISCONNECT to a 3.1.1 client');
      return { type: 'disconnect', reasonCode: reader.left > 0 ? reader.u8() : 0 };
    default:
      throw new Error(`broker sent packet type ${type}`);
  }
}

function decodeConnack(reader: Reader, version: ProtocolVersion): ServerPacket {
  const flags = reader.u8();
  const reasonCode = reader.u8();
  const properties = version === 5 ? reader.properties() : new Map<number, number | string>();
  const expiry = properties.get(0x11);
  const assigned = properties.get(0x12);
  return {
    type: 'connack',
    sessionPresent: (flags & 1) === 1,
    reasonCode,
    receiveMaximum: Number(properties.get(0x21) ?? 65535),
    sessionExpiryInterval: typeof expiry === 'number' ? expiry : undefined,
    assignedClientIdentifier: typeof assigned === 'string' ? assigned : undefined,
  };
}

function decodePublish(reader: Reader, flags: number, version: ProtocolVersion): ServerPacket {
  const qos = (flags >> 1) & 3;
  if (qos === 3) throw new Error('broker sent a PUBLISH of QoS 3');
  const topic = reader.text();
  const packetId = qos > 0 ? reader.u16() : 0;
  if (qos > 0 && packetId === 0) throw new Error('broker sent Packet Identifier 0');
  if (version === 5) reader.properties();
  return {
    type: 'publish',
    topic,
    qos,
    dup: (flags & 8) !== 0,
    retain: (flags & 1) !== 0,
    packetId,
    payload: reader.take(reader.left),
    identifiers: reader.identifiers,
  };
}
