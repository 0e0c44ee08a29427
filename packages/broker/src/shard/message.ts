/** Messages between the copies of one shard, and their bytes. The frame around them names the shard. */
import { BytesError, type Reader, type Writer } from '../bytes.ts';
import { bool, bytes, type Field, list, typed, varint } from '../fields.ts';
import { readTerms, type Term, writeTerms } from './log.ts';
import {
  readNumber,
  readView,
  type View,
  type ViewNumber,
  writeNumber,
  writeView,
} from './view.ts';

export type ShardMessage =
  /** Candidate asks for a promise; `handoverOf` is the view whose leader hands over, or none. */
  | { readonly type: 'prepare'; readonly number: ViewNumber; readonly handoverOf: ViewNumber }
  | {
      readonly type: 'promise';
      readonly number: ViewNumber;
      readonly granted: boolean;
      readonly promised: ViewNumber;
      readonly view: View;
      readonly end: number;
      readonly tailStart: number;
      /** The copy's log cannot be cut below this index. */
      readonly floor: number;
      readonly valid: boolean;
      readonly terms: readonly Term[];
    }
  /** Candidate wants the chosen log's entries after `prev`. */
  | { readonly type: 'fetch'; readonly number: ViewNumber; readonly prev: number }
  | {
      readonly type: 'fetched';
      readonly number: ViewNumber;
      readonly prev: number;
      readonly end: number;
      readonly entries: readonly Uint8Array[];
    }
  /** View record and what the receiver lacks of the starting log, after `prev`. */
  | {
      readonly type: 'install';
      readonly view: View;
      readonly prev: number;
      readonly entries: readonly Uint8Array[];
    }
  | { readonly type: 'installed'; readonly number: ViewNumber }
  | { readonly type: 'record'; readonly view: View }
  | { readonly type: 'recorded'; readonly number: ViewNumber }
  | {
      readonly type: 'append';
      readonly number: ViewNumber;
      readonly prev: number;
      readonly commit: number;
      readonly entries: readonly Uint8Array[];
    }
  | { readonly type: 'appended'; readonly number: ViewNumber; readonly index: number }
  /** The receiver has promised a higher number than the one it was addressed with. */
  | { readonly type: 'refused'; readonly number: ViewNumber; readonly promised: ViewNumber }
  | { readonly type: 'probe'; readonly number: ViewNumber }
  | {
      readonly type: 'status';
      readonly number: ViewNumber;
      readonly end: number;
      readonly floor: number;
      readonly valid: boolean;
      /** Not valid: entries up to this one are here, of a snapshot at `end` of a log of `terms`. */
      readonly upto: number;
      readonly terms: readonly Term[];
    }
  | {
      readonly type: 'learn';
      readonly number: ViewNumber;
      readonly prev: number;
      readonly commit: number;
      readonly entries: readonly Uint8Array[];
    }
  | { readonly type: 'learned'; readonly number: ViewNumber; readonly index: number }
  /** Part `seq` of the state at `index`: a slice of state bytes, or live entries; `last` ends it. */
  | {
      readonly type: 'snapshot';
      readonly number: ViewNumber;
      readonly seq: number;
      readonly index: number;
      /** Last index known to be committed: the state may be ahead of it. */
      readonly commit: number;
      /** Live entries up to this one are with the receiver. */
      readonly from: number;
      readonly terms: readonly Term[];
      readonly state: Uint8Array;
      readonly entries: readonly Uint8Array[];
      readonly last: boolean;
    }
  | { readonly type: 'snapshotted'; readonly number: ViewNumber; readonly seq: number }
  /** The leader of `number` asks the receiver to lead, or a candidate asks the better copy to. */
  | { readonly type: 'handover'; readonly number: ViewNumber }
  /** Do you lead this view? Asked by a voter that refused a candidate for its sake. */
  | { readonly type: 'leading'; readonly number: ViewNumber }
  | { readonly type: 'not-leading'; readonly number: ViewNumber }
  /** An active copy to its leader: it is not whole. */
  | { readonly type: 'broken'; readonly number: ViewNumber }
  /** The leader to an active copy: it acknowledged `index` in this view, and has less now. */
  | { readonly type: 'short'; readonly number: ViewNumber; readonly index: number };

type MessageOf<T extends ShardMessage['type']> = ShardMessage & { readonly type: T };

const number: Field<ViewNumber> = { write: writeNumber, read: readNumber };
const view: Field<View> = { write: writeView, read: readView };
const terms: Field<readonly Term[]> = { write: writeTerms, read: readTerms };
const entries = list(bytes);

/** By hand: each entry of the log travels in one of these, to each copy. */
function appending<T extends 'append' | 'learn'>(type: T): Field<MessageOf<T>> {
  return {
    write(w, m) {
      writeNumber(w, m.number);
      w.varint(m.prev);
      w.varint(m.commit);
      entries.write(w, m.entries);
    },
    read: (r) =>
      ({
        type,
        number: readNumber(r),
        prev: r.varint(),
        commit: r.varint(),
        entries: entries.read(r),
      }) as MessageOf<T>,
  };
}

function appendedTo<T extends 'appended' | 'learned'>(type: T): Field<MessageOf<T>> {
  return {
    write(w, m) {
      writeNumber(w, m.number);
      w.varint(m.index);
    },
    read: (r) => ({ type, number: readNumber(r), index: r.varint() }) as MessageOf<T>,
  };
}

/** In the order of their codes. */
const KINDS: { readonly [T in ShardMessage['type']]: Field<MessageOf<T>> } = {
  prepare: typed('prepare', { number, handoverOf: number }),
  promise: typed('promise', {
    number,
    granted: bool,
    promised: number,
    view,
    end: varint,
    tailStart: varint,
    floor: varint,
    valid: bool,
    terms,
  }),
  fetch: typed('fetch', { number, prev: varint }),
  fetched: typed('fetched', { number, prev: varint, end: varint, entries }),
  install: typed('install', { view, prev: varint, entries }),
  installed: typed('installed', { number }),
  record: typed('record', { view }),
  recorded: typed('recorded', { number }),
  append: appending('append'),
  appended: appendedTo('appended'),
  refused: typed('refused', { number, promised: number }),
  probe: typed('probe', { number }),
  status: typed('status', { number, end: varint, floor: varint, valid: bool, upto: varint, terms }),
  learn: appending('learn'),
  learned: appendedTo('learned'),
  snapshot: typed('snapshot', {
    number,
    seq: varint,
    index: varint,
    commit: varint,
    from: varint,
    terms,
    state: bytes,
    entries,
    last: bool,
  }),
  snapshotted: typed('snapshotted', { number, seq: varint }),
  handover: typed('handover', { number }),
  leading: typed('leading', { number }),
  'not-leading': typed('not-leading', { number }),
  broken: typed('broken', { number }),
  short: typed('short', { number, index: varint }),
};

export const SHARD_MESSAGE_TYPES = Object.keys(KINDS) as ShardMessage['type'][];
const BY_CODE: readonly Field<ShardMessage>[] = Object.values(KINDS);
const CODES = new Map<string, number>(SHARD_MESSAGE_TYPES.map((type, code) => [type, code]));

export function writeShardMessage(w: Writer, m: ShardMessage): void {
  const code = CODES.get(m.type)!;
  w.u8(code);
  BY_CODE[code]!.write(w, m);
}

/** @throws BytesError on a malformed message */
export function readShardMessage(r: Reader): ShardMessage {
  const code = r.u8();
  const kind = BY_CODE[code];
  if (kind === undefined) throw new BytesError(`shard message of unknown type ${code}`);
  return kind.read(r);
}
