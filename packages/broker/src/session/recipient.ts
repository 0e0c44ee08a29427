/**
 * Which stored session a message is for, and what its client has acknowledged; and their bytes.
 *
 * A Client Identifier may have 65,535 bytes: a message for a thousand such sessions, or a thousand
 * acknowledgements of one, would be a log entry of 64 MB. A long one stands there only where nothing else
 * identifies the session.
 */
import { BytesError, NewerFormatError, type Reader, type Writer } from '../bytes.ts';

/** Characters of a Client Identifier; one with more is long. */
const NAMED_CHARACTERS_MAX = 128;

export function isLong(clientId: string): boolean {
  return clientId.length > NAMED_CHARACTERS_MAX;
}

export interface Recipient {
  /** '' as read from an entry, if it is long. */
  readonly clientId: string;
  /** Index of the OPEN that began the session: entries for a session that ended are dropped. */
  readonly birth: number;
  readonly qos: 1 | 2;
  /** RETAIN flag to send. */
  readonly retain: boolean;
  readonly identifiers: readonly number[];
}

/** `puback` also stands for a PUBREC that refuses, and for a message that has expired: it leaves the queue. */
export type AckKind = 'puback' | 'pubrec' | 'pubcomp';
const ACK_KINDS: readonly AckKind[] = ['puback', 'pubrec', 'pubcomp'];

export interface AckItem {
  readonly clientId: string;
  readonly epoch: number;
  readonly kind: AckKind;
  /** Queue position; the Packet Identifier is derived from it. */
  readonly position: number;
}

/** QoS, RETAIN. */
const RECIPIENT_FLAGS = 7;

export function writeRecipient(w: Writer, t: Recipient): void {
  w.str(isLong(t.clientId) ? '' : t.clientId);
  w.varint(t.birth);
  w.u8(t.qos | (t.retain ? 4 : 0));
  w.list(t.identifiers, (o, i) => o.varint(i));
}

export function readRecipient(r: Reader): Recipient {
  const clientId = r.str();
  const birth = r.varint();
  const flags = r.u8();
  if (flags > RECIPIENT_FLAGS) throw new NewerFormatError(`recipient with flags ${flags}`);
  const qos = flags & 3;
  if (qos !== 1 && qos !== 2) throw new BytesError(`recipient of QoS ${qos}`);
  return {
    clientId,
    birth,
    qos,
    retain: (flags & 4) !== 0,
    identifiers: r.list((i) => i.varint()),
  };
}

/** A long Client Identifier that is that of the item before is left out. */
export function writeAckItems(w: Writer, items: readonly AckItem[]): void {
  let before = '';
  w.varint(items.length);
  for (const { clientId, epoch, kind, position } of items) {
    w.str(isLong(clientId) && clientId === before ? '' : clientId);
    w.varint(epoch);
    w.u8(ACK_KINDS.indexOf(kind));
    w.varint(position);
    before = clientId;
  }
}

export function readAckItems(r: Reader): AckItem[] {
  let before = '';
  return r.list((i) => {
    before = i.str() || before;
    const epoch = i.varint();
    const code = i.u8();
    const kind = ACK_KINDS[code];
    if (kind === undefined) throw new NewerFormatError(`acknowledgement of unknown kind ${code}`);
    return { clientId: before, epoch, kind, position: i.varint() };
  });
}
