/** Application messages as a shard's log stores them and nodes send them, and their bytes. */
import { BytesError, NewerFormatError, type Reader, type Writer } from '../bytes.ts';
import { type Field, nullable, optional, record, varint } from '../fields.ts';

export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** Hybrid logical clock of its ingress: wall-clock milliseconds × 2048 + counter. */
  readonly hlc: number;
  /** Wall-clock milliseconds after which it is not delivered any more [MQTT-3.3.2-5]; 0 = never. */
  readonly expiresAtMs: number;
  /** MQTT 5 properties as encoded bytes, without expiry, alias and subscription identifiers. */
  readonly properties: Uint8Array;
  /** Client Identifier of the publisher, for No Local. */
  readonly publisher: string;
}

/** Stamp of a message that matches every subscription, however new: of a Will when it fires. */
export const EVERY_SUBSCRIPTION = Number.MAX_SAFE_INTEGER;

/** What a message costs in memory beyond its parts, about. */
const MESSAGE_OVERHEAD_BYTES = 128;

/** What a message counts wherever bytes are bounded; equal on every node. */
export function messageBytes(m: Message): number {
  return (
    MESSAGE_OVERHEAD_BYTES +
    m.topic.length +
    m.payload.length +
    m.properties.length +
    m.publisher.length
  );
}

/** QoS, RETAIN, expires, has properties. */
const MESSAGE_FLAGS = 31;

export function writeMessage(w: Writer, m: Message): void {
  w.u8(
    m.qos | (m.retain ? 4 : 0) | (m.expiresAtMs > 0 ? 8 : 0) | (m.properties.length > 0 ? 16 : 0),
  );
  w.str(m.topic);
  w.bytes(m.payload);
  w.f64(m.hlc);
  if (m.expiresAtMs > 0) w.f64(m.expiresAtMs);
  if (m.properties.length > 0) w.bytes(m.properties);
  w.str(m.publisher);
}

const NO_BYTES = new Uint8Array(0);

/** @throws BytesError when malformed, NewerFormatError with flags of a later format */
export function readMessage(r: Reader): Message {
  const flags = r.u8();
  if (flags > MESSAGE_FLAGS) throw new NewerFormatError(`message with flags ${flags}`);
  if ((flags & 3) === 3) throw new BytesError('message of QoS 3');
  return {
    qos: (flags & 3) as 0 | 1 | 2,
    retain: (flags & 4) !== 0,
    topic: r.str(),
    payload: r.bytes(),
    hlc: r.f64(),
    expiresAtMs: flags & 8 ? r.f64() : 0,
    properties: flags & 16 ? r.bytes() : NO_BYTES,
    publisher: r.str(),
  };
}

const message: Field<Message> = { write: writeMessage, read: readMessage };

export interface Will {
  /** Without an expiry: that counts from the publication (§3.1.3.2.4). */
  readonly message: Message;
  readonly delaySeconds: number;
  /** Message Expiry Interval, −1 = none. */
  readonly expirySeconds: number;
}

export const will = nullable(
  record<Will>({ delaySeconds: varint, expirySeconds: optional, message }),
);

/** Identity of a QoS 2 message: the shard of its publisher and the index of its RX2 (or will). */
export interface Rx2Id {
  readonly shard: number;
  readonly index: number;
  /** Oldest index of that shard whose message is not yet known to be everywhere. */
  readonly low: number;
}

export function writeRx2Id(w: Writer, id: Rx2Id | null): void {
  w.bool(id !== null);
  if (!id) return;
  w.varint(id.shard);
  w.varint(id.index);
  w.varint(id.low);
}

export function readRx2Id(r: Reader): Rx2Id | null {
  return r.bool() ? { shard: r.varint(), index: r.varint(), low: r.varint() } : null;
}
