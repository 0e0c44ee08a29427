/** RETAIN and RETAINED-DONE: retained messages are kept, cleared, and read for a SUBSCRIBE. */
import { str, typed, varint } from '../../fields.ts';
import {
  type Message,
  type Rx2Id,
  readMessage,
  readRx2Id,
  writeMessage,
  writeRx2Id,
} from '../message.ts';
import { retainedRead } from '../retaining-state.ts';
import type { Kind } from './kind.ts';

/** An empty payload clears the topic; with an expiry besides, the message has expired. */
export interface Retain {
  readonly type: 'retain';
  readonly rx2: Rx2Id | null;
  readonly message: Message;
}

export const retain: Kind<Retain> = {
  write(w, op) {
    writeRx2Id(w, op.rx2);
    writeMessage(w, op.message);
  },
  read: (r) => ({ type: 'retain', rx2: readRx2Id(r), message: readMessage(r) }),

  apply(state, op, index) {
    if (op.rx2) state.retainSeen.add(op.rx2);
    const { topic, payload, hlc, expiresAtMs } = op.message;
    const kept = payload.length > 0; // [MQTT-3.3.1-6]
    const { retained } = state;
    let old: number;
    if (kept) old = retained.set(topic, index, hlc, expiresAtMs);
    else old = expiresAtMs > 0 ? retained.expire(topic, hlc) : retained.delete(topic, hlc);
    if (old !== 0) state.references.release(old);
    return kept;
  },
};

/** Reading retained messages for the SUB at `index` is finished. */
export interface RetainedDone {
  readonly type: 'retained-done';
  readonly clientId: string;
  readonly birth: number;
  readonly index: number;
}

export const retainedDone: Kind<RetainedDone> = {
  ...typed<RetainedDone>('retained-done', { clientId: str, birth: varint, index: varint }),

  apply(state, op, index) {
    const s = state.sessions.get(op.clientId);
    if (s?.birth === op.birth && s.retaining === op.index) retainedRead(s, index);
    return false;
  },
};
