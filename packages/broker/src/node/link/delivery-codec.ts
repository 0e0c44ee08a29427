/** What the leader of a session sends to its connection, and the bytes of it. */
import { BytesError, type Reader, type Writer } from '../../bytes.ts';
import { type Message, readMessage, writeMessage } from '../../session/message.ts';

/** A connection that has taken a session over, for the log. */
export interface Taker {
  readonly node: string;
  readonly connection: number;
}

/** A client's connection, wherever it is; numbers start anew with every process. */
export interface ConnectionAddress {
  readonly node: string;
  readonly bootEpoch: number;
  readonly connection: number;
}

/** A queued message on its way from the leader to the connection. */
export interface Delivery {
  readonly to: ConnectionAddress;
  readonly position: number;
  readonly qos: 1 | 2;
  readonly dup: boolean;
  readonly retain: boolean;
  /** Of a retained message, for a SUBSCRIBE. */
  readonly copy: boolean;
  readonly identifiers: readonly number[];
  readonly message: Message;
}

/** A retained message on its way to a client, at QoS 0. */
export interface RetainedCopy {
  readonly message: Message;
  readonly identifiers: readonly number[];
}

/** Retained messages at QoS 0 of a persistent session, from its leader to the connection. */
export interface RetainedZero {
  /** Grows from batch to batch; what is sent again has the same. */
  readonly token: number;
  readonly items: readonly RetainedCopy[];
  /** Nothing more is being read for this session. */
  readonly last: boolean;
}

/** The node is the one that the frame goes to. */
export function writeAddress(w: Writer, to: ConnectionAddress): void {
  w.varint(to.bootEpoch);
  w.varint(to.connection);
}

export function readAddress(r: Reader): ConnectionAddress {
  return { node: '', bootEpoch: r.varint(), connection: r.varint() };
}

/** QoS, DUP, RETAIN, copy of a retained message. */
const DELIVERY_FLAGS = 31;

export function writeDelivery(w: Writer, d: Delivery): void {
  writeAddress(w, d.to);
  w.varint(d.position);
  w.u8(d.qos | (d.dup ? 4 : 0) | (d.retain ? 8 : 0) | (d.copy ? 16 : 0));
  w.list(d.identifiers, (o, i) => o.varint(i));
  writeMessage(w, d.message);
}

export function readDelivery(r: Reader): Delivery {
  const to = readAddress(r);
  const position = r.varint();
  const flags = r.u8();
  if (flags > DELIVERY_FLAGS) throw new BytesError(`delivery with flags ${flags}`);
  const qos = flags & 3;
  if (qos !== 1 && qos !== 2) throw new BytesError(`delivery of QoS ${qos}`);
  return {
    to,
    position,
    qos,
    dup: (flags & 4) !== 0,
    retain: (flags & 8) !== 0,
    copy: (flags & 16) !== 0,
    identifiers: r.list((i) => i.varint()),
    message: readMessage(r),
  };
}

export function writeRetainedZero(w: Writer, { token, items, last }: RetainedZero): void {
  w.f64(token);
  w.bool(last);
  w.list(items, (o, item) => {
    o.list(item.identifiers, (each, i) => each.varint(i));
    writeMessage(o, item.message);
  });
}

export function readRetainedZero(r: Reader): RetainedZero {
  const token = r.f64();
  const last = r.bool();
  const items = r.list((i) => ({
    identifiers: i.list((each) => each.varint()),
    message: readMessage(i),
  }));
  return { token, items, last };
}
