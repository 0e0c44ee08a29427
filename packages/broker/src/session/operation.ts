/**
 * The operations that a shard's log carries, and their bytes.
 *
 * `OPEN CLOSE SUB UNSUB ENQ ACK ASSIGN SKIP RX2 RX2DONE ENQD WILL RETAIN TICK EXPIRE`: what each means is
 * in shard-state.ts. ACK carries the three acknowledgements of a delivery (PUBACK, PUBREC, PUBCOMP).
 * Codes 32 and above are kept for GROUP, HINT and MERGE.
 */
import { assertNever } from '../assert-never.ts';
import { BytesError, NewerFormatError, type Reader, type Writer } from '../bytes.ts';
import {
  type AckItem,
  readAckItems,
  readTarget,
  type Target,
  writeAckItems,
  writeTarget,
} from './target.ts';

export type { AckItem, AckKind, Target } from './target.ts';

/** An application message as it is stored and sent between nodes. */
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

/** Who asked: one per node and shard, in order without gaps; see node/route/channel.ts. */
export interface Origin {
  readonly node: string;
  readonly bootEpoch: number;
  readonly sequence: number;
}

/** Identity of a QoS 2 message: the shard of its publisher and the index of its RX2 (or will). */
export interface Rx2Id {
  readonly shard: number;
  readonly index: number;
  /** Oldest index of that shard whose message is not yet known to be everywhere. */
  readonly low: number;
}

export interface Will {
  /** Without an expiry: that counts from the publication (§3.1.3.2.4). */
  readonly message: Message;
  readonly delaySeconds: number;
  /** Message Expiry Interval, −1 = none. */
  readonly expirySeconds: number;
}

export interface SubscriptionRequest {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
  /** Subscription Identifier, 0 = none. */
  readonly identifier: number;
}

/** Packet Identifiers in use that one SKIP passes; another one passes the rest. */
export const SKIPPED_MAX = 1024;

/** Stamp of a message that matches every subscription, however new: of a Will when it fires. */
export const EVERY_SUBSCRIPTION = Number.MAX_SAFE_INTEGER;

/** Session Expiry Interval that means "never". */
export const NEVER_EXPIRES = 0xffffffff;

export type Operation =
  | {
      readonly type: 'open';
      readonly clientId: string;
      readonly cleanStart: boolean;
      /** Clock of the gateway at the CONNECT: one that arrives after a later one is stale. */
      readonly hlc: number;
      readonly expirySeconds: number;
      readonly gateway: string;
      readonly gatewayEpoch: number;
      readonly connection: number;
      readonly version: number;
      readonly will: Will | null;
      /** First queue position never sent on an earlier connection, −1 if the leader cannot know. */
      readonly sentUpto: number;
    }
  | {
      readonly type: 'close';
      readonly clientId: string;
      readonly epoch: number;
      readonly abnormal: boolean;
      /** The server ended the connection: its Will is held for so long, should the client be back. */
      readonly graceMs: number;
      /** From DISCONNECT; −1 = as it was. */
      readonly expirySeconds: number;
      readonly sentUpto: number;
      /** Time since the shard's last tick: deadlines count from now. */
      readonly elapsedMs: number;
    }
  | {
      readonly type: 'sub';
      readonly clientId: string;
      readonly epoch: number;
      readonly subscriptions: readonly SubscriptionRequest[];
    }
  | {
      readonly type: 'unsub';
      readonly clientId: string;
      readonly epoch: number;
      readonly filters: readonly string[];
    }
  | {
      readonly type: 'enq';
      readonly rx2: Rx2Id | null;
      readonly message: Message;
      readonly targets: readonly Target[];
      /** The retained message of a SUBSCRIBE: its topic is where reading goes on from. */
      readonly retained: boolean;
    }
  /** Reading retained messages for the SUB at `index` is finished. */
  | {
      readonly type: 'retained-done';
      readonly clientId: string;
      readonly birth: number;
      readonly index: number;
    }
  | { readonly type: 'ack'; readonly items: readonly AckItem[] }
  | {
      readonly type: 'assign';
      readonly clientId: string;
      readonly epoch: number;
      /** Positions below this may be sent. */
      readonly upto: number;
    }
  /** Messages from `position` on, never sent, move on: the identifiers before are in use. */
  | {
      readonly type: 'skip';
      readonly clientId: string;
      readonly epoch: number;
      readonly position: number;
      readonly count: number;
    }
  | {
      readonly type: 'rx2';
      readonly clientId: string;
      readonly epoch: number;
      readonly packetId: number;
      readonly message: Message;
    }
  | {
      readonly type: 'rx2done';
      readonly clientId: string;
      readonly epoch: number;
      readonly packetId: number;
    }
  | { readonly type: 'enqd'; readonly indexes: readonly number[] }
  | { readonly type: 'will'; readonly clientId: string; readonly birth: number }
  /** Without payload it clears the topic, and with an expiry besides it says that this is over. */
  | { readonly type: 'retain'; readonly rx2: Rx2Id | null; readonly message: Message }
  | { readonly type: 'tick'; readonly elapsedMs: number }
  | { readonly type: 'expire'; readonly clientId: string; readonly birth: number };

const TYPES = [
  'open',
  'close',
  'sub',
  'unsub',
  'enq',
  'retained-done',
  'ack',
  'assign',
  'rx2',
  'rx2done',
  'enqd',
  'will',
  'retain',
  'tick',
  'expire',
  'skip',
] as const satisfies readonly Operation['type'][];
const CODES = new Map<string, number>(TYPES.map((type, code) => [type, code]));

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

export function writeWill(w: Writer, will: Will | null): void {
  w.bool(will !== null);
  if (!will) return;
  w.varint(will.delaySeconds);
  writeOptional(w, will.expirySeconds);
  writeMessage(w, will.message);
}

export function readWill(r: Reader): Will | null {
  if (!r.bool()) return null;
  return { delaySeconds: r.varint(), expirySeconds: r.varint() - 1, message: readMessage(r) };
}

/** QoS, No Local, Retain As Published, Retain Handling. */
const SUBSCRIPTION_FLAGS = 63;

export function writeSubscription(w: Writer, s: SubscriptionRequest): void {
  w.str(s.filter);
  w.u8(s.qos | (s.noLocal ? 4 : 0) | (s.retainAsPublished ? 8 : 0) | (s.retainHandling << 4));
  w.varint(s.identifier);
}

export function readSubscription(r: Reader): SubscriptionRequest {
  const filter = r.str();
  const flags = r.u8();
  if (flags > SUBSCRIPTION_FLAGS) throw new NewerFormatError(`subscription with flags ${flags}`);
  if ((flags & 3) === 3) throw new BytesError('subscription of QoS 3');
  if (flags >> 4 === 3) throw new BytesError('subscription of Retain Handling 3');
  return {
    filter,
    qos: (flags & 3) as 0 | 1 | 2,
    noLocal: (flags & 4) !== 0,
    retainAsPublished: (flags & 8) !== 0,
    retainHandling: ((flags >> 4) & 3) as 0 | 1 | 2,
    identifier: r.varint(),
  };
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

/** −1 and up. */
function writeOptional(w: Writer, v: number): void {
  w.varint(v + 1);
}

/** Operation with its origin, if a node asked for it and asks again when unanswered. */
export function writeOperation(w: Writer, op: Operation, origin: Origin | null): void {
  w.u8(CODES.get(op.type)!);
  w.bool(origin !== null);
  if (origin) {
    w.str(origin.node);
    w.varint(origin.bootEpoch);
    w.varint(origin.sequence);
  }
  switch (op.type) {
    case 'open':
      w.str(op.clientId);
      w.bool(op.cleanStart);
      w.f64(op.hlc);
      w.varint(op.expirySeconds);
      w.str(op.gateway);
      w.varint(op.gatewayEpoch);
      w.varint(op.connection);
      w.u8(op.version);
      writeOptional(w, op.sentUpto);
      writeWill(w, op.will);
      return;
    case 'close':
      w.str(op.clientId);
      w.varint(op.epoch);
      w.bool(op.abnormal);
      w.varint(op.graceMs);
      writeOptional(w, op.expirySeconds);
      writeOptional(w, op.sentUpto);
      w.varint(op.elapsedMs);
      return;
    case 'sub':
      w.str(op.clientId);
      w.varint(op.epoch);
      w.list(op.subscriptions, writeSubscription);
      return;
    case 'unsub':
      w.str(op.clientId);
      w.varint(op.epoch);
      w.list(op.filters, (o, f) => o.str(f));
      return;
    case 'enq':
      writeRx2Id(w, op.rx2);
      w.bool(op.retained);
      w.list(op.targets, writeTarget);
      writeMessage(w, op.message);
      return;
    case 'retained-done':
      w.str(op.clientId);
      w.varint(op.birth);
      w.varint(op.index);
      return;
    case 'ack':
      writeAckItems(w, op.items);
      return;
    case 'assign':
      w.str(op.clientId);
      w.varint(op.epoch);
      w.varint(op.upto);
      return;
    case 'skip':
      w.str(op.clientId);
      w.varint(op.epoch);
      w.varint(op.position);
      w.varint(op.count);
      return;
    case 'rx2':
      w.str(op.clientId);
      w.varint(op.epoch);
      w.varint(op.packetId);
      writeMessage(w, op.message);
      return;
    case 'rx2done':
      w.str(op.clientId);
      w.varint(op.epoch);
      w.varint(op.packetId);
      return;
    case 'enqd':
      w.list(op.indexes, (o, i) => o.varint(i));
      return;
    case 'will':
    case 'expire':
      w.str(op.clientId);
      w.varint(op.birth);
      return;
    case 'retain':
      writeRx2Id(w, op.rx2);
      writeMessage(w, op.message);
      return;
    case 'tick':
      w.varint(op.elapsedMs);
      return;
    default:
      assertNever(op);
  }
}

export interface Logged {
  readonly operation: Operation;
  readonly origin: Origin | null;
}

/** @throws BytesError when malformed, NewerFormatError when of an unknown type */
export function readOperation(r: Reader): Logged {
  const code = r.u8();
  const type = TYPES[code];
  if (type === undefined) throw new NewerFormatError(`operation of unknown type ${code}`);
  const origin = r.bool() ? { node: r.str(), bootEpoch: r.varint(), sequence: r.varint() } : null;
  return { operation: readBody(r, type), origin };
}

function readBody(r: Reader, type: Operation['type']): Operation {
  switch (type) {
    case 'open':
      return {
        type,
        clientId: r.str(),
        cleanStart: r.bool(),
        hlc: r.f64(),
        expirySeconds: r.varint(),
        gateway: r.str(),
        gatewayEpoch: r.varint(),
        connection: r.varint(),
        version: r.u8(),
        sentUpto: r.varint() - 1,
        will: readWill(r),
      };
    case 'close':
      return {
        type,
        clientId: r.str(),
        epoch: r.varint(),
        abnormal: r.bool(),
        graceMs: r.varint(),
        expirySeconds: r.varint() - 1,
        sentUpto: r.varint() - 1,
        elapsedMs: r.varint(),
      };
    case 'sub':
      return {
        type,
        clientId: r.str(),
        epoch: r.varint(),
        subscriptions: r.list(readSubscription),
      };
    case 'unsub':
      return { type, clientId: r.str(), epoch: r.varint(), filters: r.list((i) => i.str()) };
    case 'enq':
      return {
        type,
        rx2: readRx2Id(r),
        retained: r.bool(),
        targets: r.list(readTarget),
        message: readMessage(r),
      };
    case 'retained-done':
      return { type, clientId: r.str(), birth: r.varint(), index: r.varint() };
    case 'ack':
      return { type, items: readAckItems(r) };
    case 'assign':
      return { type, clientId: r.str(), epoch: r.varint(), upto: r.varint() };
    case 'skip': {
      const skip = {
        type,
        clientId: r.str(),
        epoch: r.varint(),
        position: r.varint(),
        count: r.varint(),
      };
      if (skip.count > SKIPPED_MAX) throw new BytesError('more skipped than there are identifiers');
      return skip;
    }
    case 'rx2':
      return {
        type,
        clientId: r.str(),
        epoch: r.varint(),
        packetId: r.varint(),
        message: readMessage(r),
      };
    case 'rx2done':
      return { type, clientId: r.str(), epoch: r.varint(), packetId: r.varint() };
    case 'enqd':
      return { type, indexes: r.list((i) => i.varint()) };
    case 'will':
    case 'expire':
      return { type, clientId: r.str(), birth: r.varint() };
    case 'retain':
      return { type, rx2: readRx2Id(r), message: readMessage(r) };
    case 'tick':
      return { type, elapsedMs: r.varint() };
    default:
      return assertNever(type);
  }
}
