/** What a node asks of a shard's leader, and the answers; with their bytes. */
import { BytesError, type Reader, type Writer } from '../../bytes.ts';
import {
  type Message,
  type Rx2Id,
  readMessage,
  readRx2Id,
  writeMessage,
  writeRx2Id,
} from '../../session/message.ts';
import { type Operation, readOperation, writeOperation } from '../../session/operation.ts';
import {
  readSubscription,
  type SubscriptionRequest,
  writeSubscription,
} from '../../session/subscription.ts';

/** A publish that the leader matches against the shard's subscriptions. */
export interface PublishRequest {
  readonly type: 'publish';
  readonly message: Message;
  readonly rx2: Rx2Id | null;
}

/** Is the session still this connection's? Asked after a failover or a new link. */
export interface AttachRequest {
  readonly type: 'attach';
  readonly clientId: string;
  readonly epoch: number;
}

/** Ends a session, even one that is connected (administrative). */
export interface DeleteRequest {
  readonly type: 'delete';
  readonly clientId: string;
}

/** A message for one member of each of the groups, which their shard keeps until it has it. */
export interface GroupRequest {
  readonly type: 'group';
  readonly groups: readonly string[];
  readonly message: Message;
  readonly rx2: Rx2Id | null;
}

/** A message for a stored session as the member of a group: {@link Status}.NoSession if it is none. */
export interface GiveRequest {
  readonly type: 'give';
  readonly clientId: string;
  readonly group: string;
  /** More unsettled messages than this, and the session takes no more: QuotaExceeded. */
  readonly window: number;
  readonly message: Message;
  /** The BIND. */
  readonly rx2: Rx2Id;
}

/** An OPEN that was put off for long enough: it is logged even if another connection has the session. */
export interface InsistRequest {
  readonly type: 'insist';
  readonly open: Operation & { type: 'open' };
}

/** Operations that a node may ask for; a leader alone logs the others. */
const REQUESTED = ['open', 'close', 'sub', 'unsub', 'ack', 'rx2', 'rx2done', 'retain'] as const;

export type RequestedOperation = Operation & { readonly type: (typeof REQUESTED)[number] };

export type Request =
  | PublishRequest
  | AttachRequest
  | DeleteRequest
  | InsistRequest
  | GroupRequest
  | GiveRequest
  | RequestedOperation;

export const Status = {
  Ok: 0,
  /** A request before this one is missing: send all again. */
  Gap: 1,
  NotLeader: 2,
  /** The session is not this connection's any more, or is gone. */
  NoSession: 3,
  /** Every queue that matched is full. */
  QuotaExceeded: 4,
  /** A connection that came later has the session: `opened` says whether there was one before. */
  TakenOver: 5,
  /** No QoS 2 exchange has that Packet Identifier. */
  NotFound: 6,
  /** To OPEN: the connection that has the session is asked to end first. The gateway asks again. */
  PutOff: 7,
  /** To OPEN: the session is another user's. */
  NotAuthorized: 8,
} as const;

/** What became of a request. */
export type Status = (typeof Status)[keyof typeof Status];

const STATUS_MAX = Math.max(...Object.values(Status));
/** Bit of a reply's first byte: the answer to OPEN follows. */
const OPENED = 128;

export interface Reply {
  readonly status: Status;
  /** Answer to OPEN. */
  readonly opened: Opened | null;
}

export interface Opened {
  readonly epoch: number;
  readonly birth: number;
  readonly present: boolean;
  readonly subscriptions: readonly SubscriptionRequest[];
  /** Queue positions from `first` up to and without `sentBelow` may have been sent on an earlier connection. */
  readonly first: number;
  readonly sentBelow: number;
}

export const OK: Reply = { status: Status.Ok, opened: null };

export function reply(status: Status): Reply {
  return { status, opened: null };
}

export function writeRequest(w: Writer, q: Request): void {
  switch (q.type) {
    case 'publish':
      w.u8(1);
      writeRx2Id(w, q.rx2);
      writeMessage(w, q.message);
      return;
    case 'attach':
      w.u8(2);
      w.str(q.clientId);
      w.varint(q.epoch);
      return;
    case 'delete':
      w.u8(3);
      w.str(q.clientId);
      return;
    case 'insist':
      w.u8(4);
      writeOperation(w, q.open, null);
      return;
    case 'group':
      w.u8(5);
      w.list(q.groups, (o, group) => o.str(group));
      writeRx2Id(w, q.rx2);
      writeMessage(w, q.message);
      return;
    case 'give':
      w.u8(6);
      w.str(q.clientId);
      w.str(q.group);
      w.varint(q.window);
      writeRx2Id(w, q.rx2);
      writeMessage(w, q.message);
      return;
    default:
      w.u8(0);
      writeOperation(w, q, null);
  }
}

function requested(op: Operation): RequestedOperation {
  if (!isRequested(op)) throw new BytesError(`operation ${op.type} is not for a node to request`);
  return op;
}

function isRequested(op: Operation): op is RequestedOperation {
  return (REQUESTED as readonly string[]).includes(op.type);
}

function openOf(op: Operation): Operation & { type: 'open' } {
  if (op.type !== 'open') throw new BytesError(`operation ${op.type} cannot insist`);
  return op;
}

/** @throws BytesError on a malformed request, or one of an unknown type */
export function readRequest(r: Reader): Request {
  const code = r.u8();
  switch (code) {
    case 0:
      return requested(readOperation(r).operation);
    case 1:
      return { type: 'publish', rx2: readRx2Id(r), message: readMessage(r) };
    case 2:
      return { type: 'attach', clientId: r.str(), epoch: r.varint() };
    case 3:
      return { type: 'delete', clientId: r.str() };
    case 4:
      return { type: 'insist', open: openOf(readOperation(r).operation) };
    case 5:
      return {
        type: 'group',
        groups: r.list((i) => i.str()),
        rx2: readRx2Id(r),
        message: readMessage(r),
      };
    case 6:
      return readGive(r);
    default:
      throw new BytesError(`request of unknown type ${code}`);
  }
}

function readGive(r: Reader): GiveRequest {
  const [clientId, group, window, rx2] = [r.str(), r.str(), r.varint(), readRx2Id(r)];
  if (!rx2) throw new BytesError('a message is given without identity');
  return { type: 'give', clientId, group, window, rx2, message: readMessage(r) };
}

export function writeReply(w: Writer, p: Reply): void {
  w.u8(p.status | (p.opened ? OPENED : 0));
  if (!p.opened) return;
  w.varint(p.opened.epoch);
  w.varint(p.opened.birth);
  w.bool(p.opened.present);
  w.list(p.opened.subscriptions, writeSubscription);
  w.varint(p.opened.first);
  w.varint(p.opened.sentBelow);
}

export function readReply(r: Reader): Reply {
  const head = r.u8();
  const code = head & ~OPENED;
  if (code > STATUS_MAX) throw new BytesError(`reply of unknown status ${code}`);
  const status = code as Status;
  if (head < OPENED) return status === Status.Ok ? OK : reply(status);
  return {
    status,
    opened: {
      epoch: r.varint(),
      birth: r.varint(),
      present: r.bool(),
      subscriptions: r.list(readSubscription),
      first: r.varint(),
      sentBelow: r.varint(),
    },
  };
}
