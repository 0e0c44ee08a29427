/** A filter that a node's live sessions want, or want no more, and its bytes. */
import { BytesError, type Reader, type Writer } from '../../bytes.ts';

export interface FilterChange {
  readonly filter: string;
  readonly zeroOnly: boolean;
  readonly added: boolean;
  /** Of a Shared Subscription: whose it is. One that is added replaces an earlier one of its connection. */
  readonly member?: GroupMember;
}

/** A connection that subscribes to a Shared Subscription. */
export interface GroupMember {
  readonly connection: number;
  readonly clientId: string;
  readonly qos: 0 | 1 | 2;
  /** The session is stored. */
  readonly persistent: boolean;
  /** Messages of QoS 1 and 2 that it takes at once. */
  readonly window: number;
}

const ADDED = 1;
const ZERO_ONLY = 2;
const MEMBER = 4;
const PERSISTENT = 8;
const QOS_SHIFT = 4;
const KNOWN_FLAGS = 63;

export function writeChange(w: Writer, c: FilterChange): void {
  const { member } = c;
  let flags = (c.added ? ADDED : 0) | (c.zeroOnly ? ZERO_ONLY : 0);
  if (member) flags |= MEMBER | (member.persistent ? PERSISTENT : 0) | (member.qos << QOS_SHIFT);
  w.u8(flags);
  w.str(c.filter);
  if (!member) return;
  w.varint(member.connection);
  if (!c.added) return;
  w.str(member.clientId);
  w.varint(member.window);
}

export function readChange(r: Reader): FilterChange {
  const flags = r.u8();
  const qos = flags >> QOS_SHIFT;
  if (flags > KNOWN_FLAGS || qos === 3 || ((flags & MEMBER) === 0 && flags > (ADDED | ZERO_ONLY)))
    throw new BytesError(`change of a route with flags ${flags}`);
  const added = (flags & ADDED) !== 0;
  const change = { added, zeroOnly: (flags & ZERO_ONLY) !== 0, filter: r.str() };
  if ((flags & MEMBER) === 0) return change;
  const connection = r.varint();
  const clientId = added ? r.str() : '';
  const window = added ? r.varint() : 0;
  const persistent = (flags & PERSISTENT) !== 0;
  return { ...change, member: { connection, clientId, qos: qos as 0 | 1 | 2, persistent, window } };
}
