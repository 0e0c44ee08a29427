/** A queued message between leader and gateway. */
import type { Reader, Writer } from '../bytes.ts';
import { readMessage, writeMessage } from '../session/operation.ts';
import type { Delivery } from './context.ts';

export function writeDelivery(w: Writer, d: Delivery): void {
  w.varint(d.connection);
  w.varint(d.position);
  w.u8(d.qos | (d.dup ? 4 : 0) | (d.retain ? 8 : 0));
  w.list(d.identifiers, (o, i) => o.varint(i));
  writeMessage(w, d.message);
}

export function readDelivery(r: Reader): Delivery {
  const connection = r.varint();
  const position = r.varint();
  const flags = r.u8();
  return {
    connection,
    position,
    qos: (flags & 3) as 1 | 2,
    dup: (flags & 4) !== 0,
    retain: (flags & 8) !== 0,
    identifiers: r.list((i) => i.varint()),
    message: readMessage(r),
  };
}
