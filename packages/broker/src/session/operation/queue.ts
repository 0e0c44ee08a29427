/** ENQ, ACK, ASSIGN and SKIP: what comes into the queues of sessions, is sent, and leaves them. */
import { BytesError, NewerFormatError } from '../../bytes.ts';
import { str, typed, varint } from '../../fields.ts';
import {
  type Message,
  messageBytes,
  type Rx2Id,
  readMessage,
  readRx2Id,
  writeMessage,
  writeRx2Id,
} from '../message.ts';
import {
  type AckItem,
  type Recipient,
  readAckItems,
  readRecipient,
  writeAckItems,
  writeRecipient,
} from '../recipient.ts';
import type { Kind, State } from './kind.ts';

export interface Enqueue {
  readonly type: 'enq';
  readonly rx2: Rx2Id | null;
  /** The retained message of a SUBSCRIBE: its topic is where reading goes on from. */
  readonly retained: boolean;
  /** The group that the recipient gets it as a member of, if of one. */
  readonly group?: string;
  readonly recipients: readonly Recipient[];
  readonly message: Message;
}

const RETAINED = 1;
const OF_GROUP = 2;

export const enqueue: Kind<Enqueue> = {
  write(w, op) {
    writeRx2Id(w, op.rx2);
    w.u8((op.retained ? RETAINED : 0) | (op.group ? OF_GROUP : 0));
    if (op.group) w.str(op.group);
    w.list(op.recipients, writeRecipient);
    writeMessage(w, op.message);
  },
  read(r) {
    const rx2 = readRx2Id(r);
    const flags = r.u8();
    if (flags > (RETAINED | OF_GROUP)) throw new NewerFormatError(`ENQ with flags ${flags}`);
    return {
      type: 'enq',
      rx2,
      retained: (flags & RETAINED) !== 0,
      ...(flags & OF_GROUP ? { group: r.str() } : {}),
      recipients: r.list(readRecipient),
      message: readMessage(r),
    };
  },

  apply(state, op, index) {
    if (op.rx2) state.enqSeen.add(op.rx2);
    let references = 0;
    const bytes = messageBytes(op.message);
    for (const recipient of op.recipients) {
      const s = state.sessions.of(recipient);
      if (!s) continue;
      s.push(index, bytes);
      references++;
      if (op.retained) s.retainingAfter = op.message.topic;
      state.observer?.onQueued(s);
    }
    if (references > 1) state.references.share(index, references);
    if (references === 0) return false;
    if (op.group) state.given.set(index, op.group);
    state.bytes.addQueued(bytes);
    if (op.message.expiresAtMs > 0) state.expiries.set(index, op.message.expiresAtMs);
    return true;
  },
};

/** The three acknowledgements of a delivery: PUBACK, PUBREC, PUBCOMP. */
export interface Acknowledge {
  readonly type: 'ack';
  readonly items: readonly AckItem[];
}

export const acknowledge: Kind<Acknowledge> = {
  write: (w, op) => writeAckItems(w, op.items),
  read: (r) => ({ type: 'ack', items: readAckItems(r) }),

  apply(state, op) {
    for (const item of op.items) acknowledgeOne(state, item);
    return false;
  },
};

function acknowledgeOne(state: State, item: AckItem): void {
  const s = state.current(item.clientId, item.epoch);
  if (!s) return;
  if (item.kind === 'pubrec') {
    if (s.refAt(item.position) === 0) return;
    s.pubrecs ??= new Set();
    s.pubrecs.add(item.position);
    return;
  }
  const bytes = s.bytesAt(item.position);
  state.unqueue(s.settle(item.position), bytes);
  if (s.pubrecs?.size === 0) s.pubrecs = null;
}

export interface Assign {
  readonly type: 'assign';
  readonly clientId: string;
  readonly epoch: number;
  /** Positions below this may be sent. */
  readonly upto: number;
}

export const assign: Kind<Assign> = {
  write(w, op) {
    w.str(op.clientId);
    w.varint(op.epoch);
    w.varint(op.upto);
  },
  read: (r) => ({ type: 'assign', clientId: r.str(), epoch: r.varint(), upto: r.varint() }),

  apply(state, op) {
    const s = state.current(op.clientId, op.epoch);
    if (s && op.upto > s.mark) s.mark = op.upto;
    return false;
  },
};

/** Packet Identifiers in use that one SKIP passes; another one passes the rest. */
export const SKIPPED_MAX = 1024;

/** Messages from `position` on, never sent, move on: the identifiers before are in use. */
export interface Skip {
  readonly type: 'skip';
  readonly clientId: string;
  readonly epoch: number;
  readonly position: number;
  readonly count: number;
}

const skipped: typeof varint = {
  write: varint.write,
  read(r) {
    const count = r.varint();
    if (count > SKIPPED_MAX) throw new BytesError('more skipped than there are identifiers');
    return count;
  },
};

export const skip: Kind<Skip> = {
  ...typed<Skip>('skip', { clientId: str, epoch: varint, position: varint, count: skipped }),

  apply(state, op) {
    state.current(op.clientId, op.epoch)?.skip(op.position, op.count);
    return false;
  },
};
