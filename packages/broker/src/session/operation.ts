/**
 * The operations that a shard's log carries, and their bytes.
 *
 * `OPEN CLOSE SUB UNSUB ENQ ACK ASSIGN SKIP RX2 RX2DONE ENQD WILL RETAIN TICK EXPIRE GROUP BIND UNBIND
 * GROUPDONE REFUSE RETURNED`: what each means is beside its bytes, by family, in `operation/`. Codes 32 and
 * above are kept for HINT and MERGE.
 */
import { NewerFormatError, type Reader, type Writer } from '../bytes.ts';
import {
  type Bind,
  bind,
  type Group,
  type GroupDone,
  group,
  groupDone,
  type Refuse,
  type Returned,
  refuse,
  returned,
  type Unbind,
  unbind,
} from './operation/group.ts';
import type { Kind, State } from './operation/kind.ts';
import { type Close, close, type Open, open } from './operation/open.ts';
import { type Enqd, enqd, type Rx2, type Rx2Done, rx2, rx2Done } from './operation/qos2.ts';
import {
  type Acknowledge,
  type Assign,
  acknowledge,
  assign,
  type Enqueue,
  enqueue,
  type Skip,
  skip,
} from './operation/queue.ts';
import { type Retain, type RetainedDone, retain, retainedDone } from './operation/retain.ts';
import { type Subscribe, subscribe, type Unsubscribe, unsubscribe } from './operation/subscribe.ts';
import { type Expire, expire, type Tick, tick, type WillDue, willDue } from './operation/time.ts';

export type Operation =
  | Open
  | Close
  | Subscribe
  | Unsubscribe
  | Enqueue
  | RetainedDone
  | Acknowledge
  | Assign
  | Skip
  | Rx2
  | Rx2Done
  | Enqd
  | WillDue
  | Retain
  | Tick
  | Expire
  | Group
  | Bind
  | Unbind
  | GroupDone
  | Refuse
  | Returned;

/** In the order of their codes. */
const KINDS: { readonly [T in Operation['type']]: Kind<Operation & { readonly type: T }> } = {
  open,
  close,
  sub: subscribe,
  unsub: unsubscribe,
  enq: enqueue,
  'retained-done': retainedDone,
  ack: acknowledge,
  assign,
  rx2,
  rx2done: rx2Done,
  enqd,
  will: willDue,
  retain,
  tick,
  expire,
  skip,
  group,
  bind,
  unbind,
  groupdone: groupDone,
  refuse,
  returned,
};

export const OPERATION_TYPES = Object.keys(KINDS) as Operation['type'][];
const BY_CODE: readonly Kind<Operation>[] = Object.values(KINDS);
const CODES = new Map<string, number>(OPERATION_TYPES.map((type, code) => [type, code]));

function codeOf(operation: Operation): number {
  return CODES.get(operation.type)!;
}

/** The request behind an operation: numbered per node and shard, without gaps; see node/route/channel.ts. */
export interface Origin {
  readonly node: string;
  readonly bootEpoch: number;
  readonly sequence: number;
}

export interface Logged {
  readonly operation: Operation;
  readonly origin: Origin | null;
}

/** Operation with its origin, if a node asked for it and asks again when unanswered. */
export function writeOperation(w: Writer, op: Operation, origin: Origin | null): void {
  const code = codeOf(op);
  w.u8(code);
  w.bool(origin !== null);
  if (origin) {
    w.str(origin.node);
    w.varint(origin.bootEpoch);
    w.varint(origin.sequence);
  }
  BY_CODE[code]!.write(w, op);
}

/** @throws BytesError when malformed, NewerFormatError when of an unknown type */
export function readOperation(r: Reader): Logged {
  const code = r.u8();
  const kind = BY_CODE[code];
  if (kind === undefined) throw new NewerFormatError(`operation of unknown type ${code}`);
  const origin = r.bool() ? { node: r.str(), bootEpoch: r.varint(), sequence: r.varint() } : null;
  return { operation: kind.read(r), origin };
}

/** @returns whether something refers to the entry at `index` from now on */
export function applyOperation(state: State, operation: Operation, index: number): boolean {
  return BY_CODE[codeOf(operation)]!.apply(state, operation, index);
}
