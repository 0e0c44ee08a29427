/** A queued message between leader and gateway. */
import { BytesError, type Reader, type Writer } from '../../bytes.ts';
import { readMessage, writeMessage } from '../../session/operation.ts';
import type { ConnectionAddress, Delivery, RetainedZero } from '../context.ts';

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
