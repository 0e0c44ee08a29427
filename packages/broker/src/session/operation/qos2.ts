/** RX2, RX2DONE and ENQD: a client publishes at QoS 2, and what the shard owes to all that match. */
import { varint } from '../../fields.ts';
import { type Message, readMessage, writeMessage } from '../message.ts';
import type { Kind } from './kind.ts';

export interface Rx2 {
  readonly type: 'rx2';
  readonly clientId: string;
  readonly epoch: number;
  readonly packetId: number;
  readonly message: Message;
}

/** PUBLISH at QoS 2: its Packet Identifier is in use until PUBREL [MQTT-4.3.3-10]. */
export const rx2: Kind<Rx2> = {
  write(w, op) {
    w.str(op.clientId);
    w.varint(op.epoch);
    w.varint(op.packetId);
    writeMessage(w, op.message);
  },
  read: (r) => ({
    type: 'rx2',
    clientId: r.str(),
    epoch: r.varint(),
    packetId: r.varint(),
    message: readMessage(r),
  }),

  apply(state, op, index) {
    const s = state.current(op.clientId, op.epoch);
    if (!s || s.rx2?.has(op.packetId)) return false;
    s.rx2 ??= new Map();
    s.rx2.set(op.packetId, index);
    state.owe(index, { messageIndex: index, will: false });
    return true;
  },
};

export interface Rx2Done {
  readonly type: 'rx2done';
  readonly clientId: string;
  readonly epoch: number;
  readonly packetId: number;
}

/** PUBREL: the Packet Identifier may be used for another message [MQTT-4.3.3-12]. */
export const rx2Done: Kind<Rx2Done> = {
  write(w, op) {
    w.str(op.clientId);
    w.varint(op.epoch);
    w.varint(op.packetId);
  },
  read: (r) => ({ type: 'rx2done', clientId: r.str(), epoch: r.varint(), packetId: r.varint() }),

  apply(state, op) {
    const s = state.current(op.clientId, op.epoch);
    s?.rx2?.delete(op.packetId);
    if (s?.rx2?.size === 0) s.rx2 = null;
    return false;
  },
};

/** Messages owed are in all queues that they matched. */
export interface Enqd {
  readonly type: 'enqd';
  readonly indexes: readonly number[];
}

export const enqd: Kind<Enqd> = {
  write: (w, op) => w.list(op.indexes, varint.write),
  read: (r) => ({ type: 'enqd', indexes: r.list(varint.read) }),

  apply(state, op) {
    for (const index of op.indexes) state.settleOwed(index);
    return false;
  },
};
