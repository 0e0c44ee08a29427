/**
 * GROUP, BIND, UNBIND, GROUPDONE, REFUSE and RETURNED: messages for Shared Subscriptions (§4.8.2).
 *
 * ```
 *   shard of group and topic   GROUP ──▶ to a member at QoS 0 or 1 ──────────────▶ GROUPDONE
 *                                    └─▶ BIND ──▶ to that member at QoS 2 ───────▶ GROUPDONE
 *                                          ▲           │ it is no member any more
 *                                          └─ UNBIND ◀─┘
 *   shard of a stored member   ENQ with the group, or REFUSE: never both for one BIND
 *                              its session ends before it was sent: back to the group, then RETURNED
 * ```
 */
import { list, nullable, record, str, typed, varint } from '../../fields.ts';
import type { BoundConnection } from '../groups.ts';
import {
  type Message,
  messageBytes,
  type Rx2Id,
  readMessage,
  readRx2Id,
  writeMessage,
  writeRx2Id,
} from '../message.ts';
import type { Kind } from './kind.ts';

/** A message for one member of each of the groups. */
export interface Group {
  readonly type: 'group';
  readonly rx2: Rx2Id | null;
  /** Keys of the groups: `$share/name/filter`. */
  readonly groups: readonly string[];
  /** Node that asked for it, for members near the publisher. */
  readonly ingress: string;
  readonly message: Message;
}

/** What the entry counts in the queue of each group: it holds their keys as well. */
export function groupBytes(message: Message, groups: readonly string[]): number {
  return groups.reduce((sum, key) => sum + key.length, messageBytes(message));
}

export const group: Kind<Group> = {
  write(w, op) {
    writeRx2Id(w, op.rx2);
    w.list(op.groups, str.write);
    w.str(op.ingress);
    writeMessage(w, op.message);
  },
  read: (r) => ({
    type: 'group',
    rx2: readRx2Id(r),
    groups: r.list(str.read),
    ingress: r.str(),
    message: readMessage(r),
  }),

  apply(state, op, index) {
    if (op.rx2) state.groupSeen.add(op.rx2);
    if (op.groups.length === 0) return false;
    const bytes = groupBytes(op.message, op.groups);
    // One that is named twice waits once.
    const keys = new Set(op.groups);
    for (const key of keys) state.groups.push(key, index, bytes);
    if (keys.size > 1) state.references.share(index, keys.size);
    state.bytes.addQueued(bytes);
    if (op.message.expiresAtMs > 0) state.expiries.set(index, op.message.expiresAtMs);
    state.observer?.onGrouped(index, [...keys]);
    return true;
  },
};

/** A message of effective QoS 2 is for this session and no other, unless it refuses. */
export interface Bind {
  readonly type: 'bind';
  readonly group: string;
  /** Of the GROUP. */
  readonly index: number;
  readonly clientId: string;
  readonly to: BoundConnection | null;
}

export const bind: Kind<Bind> = {
  ...typed<Bind>('bind', {
    group: str,
    index: varint,
    clientId: str,
    to: nullable(record<BoundConnection>({ node: str, bootEpoch: varint, connection: varint })),
  }),

  apply(state, op, by) {
    const { clientId, to } = op;
    state.groups.bind(op.group, op.index, { by, clientId, to });
    return false;
  },
};

/** The member that the message was bound to is none any more, and was not sent it. */
export interface Unbind {
  readonly type: 'unbind';
  readonly group: string;
  readonly index: number;
}

export const unbind: Kind<Unbind> = {
  ...typed<Unbind>('unbind', { group: str, index: varint }),

  apply(state, op) {
    state.groups.bind(op.group, op.index, null);
    return false;
  },
};

/** Messages are with a member, or will be with none. */
export interface GroupDone {
  readonly type: 'groupdone';
  readonly items: readonly GroupDoneItem[];
}

export interface GroupDoneItem {
  readonly group: string;
  readonly indexes: readonly number[];
}

export const groupDone: Kind<GroupDone> = {
  ...typed<GroupDone>('groupdone', {
    items: list(record<GroupDoneItem>({ group: str, indexes: list(varint) })),
  }),

  apply(state, op) {
    for (const { group: key, indexes } of op.items) {
      for (const index of indexes) {
        const bytes = state.groups.settle(key, index);
        if (bytes >= 0) state.unqueue(index, bytes);
      }
    }
    return false;
  },
};

/** The message bound to a session of this shard was refused: asked again, the answer is the same. */
export interface Refuse {
  readonly type: 'refuse';
  readonly rx2: Rx2Id;
}

export const refuse: Kind<Refuse> = {
  ...typed<Refuse>('refuse', {
    rx2: record<Rx2Id>({ shard: varint, index: varint, low: varint }),
  }),

  apply(state, op) {
    state.refusedSeen.add(op.rx2);
    return false;
  },
};

/** Messages of sessions that have ended are with their groups again. */
export interface Returned {
  readonly type: 'returned';
  readonly numbers: readonly number[];
}

export const returned: Kind<Returned> = {
  ...typed<Returned>('returned', { numbers: list(varint) }),

  apply(state, op) {
    for (const number of op.numbers) {
      const back = state.returned.take(number);
      if (back) state.unqueue(back.messageIndex, back.bytes);
    }
    return false;
  },
};
