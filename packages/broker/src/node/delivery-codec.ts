/** A queued message between leader and gateway. */
import type { Reader, Writer } from '../bytes.ts';
import { readMessage, writeMessage } from '../session/operation.ts';
import type { ConnectionAddress, Delivery } from './context.ts';

/** The node is the one that the frame goes to. */
export function writeAddress(w: Writer, to: ConnectionAddress): void {
  w.varint(to.bootEpoch);
  w.varint(to.connection);
}

export function readAddress(r: Reader): ConnectionAddress {
  return { node: '', bootEpoch: r.varint(), connection: r.varint() };
}

export function writeDelivery(w: Writer, d: Delivery): void {
  writeAddress(w, d.to);
  w.varint(d.position);
  w.u8(d.qos | (d.dup ? 4 : 0) | (d.retain ? 8 : 0));
  w.list(d.identifiers, (o, i) => o.varint(i));
  writeMessage(w, d.message);
}

export function readDelivery(r: Reader): Delivery {
  const to = readAddress(r);
  const position = r.varint();
  const flags = r.u8();
  return {
    to,
    position,
    qos: (flags & 3) as 1 | 2,
    dup: (flags & 4) !== 0,
    retain: (flags & 8) !== 0,
    identifiers: r.list((i) => i.varint()),
    message: readMessage(r),
  };
}
