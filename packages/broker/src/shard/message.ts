/** Messages between the copies of one shard, and their bytes. The frame around them names the shard. */
import { assertNever } from '../assert-never.ts';
import { BytesError, type Reader, type Writer } from '../bytes.ts';
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

const TYPES = [
  'prepare',
  'promise',
  'fetch',
  'fetched',
  'install',
  'installed',
  'record',
  'recorded',
  'append',
  'appended',
  'refused',
  'probe',
  'status',
  'learn',
  'learned',
  'snapshot',
  'snapshotted',
  'handover',
  'leading',
  'not-leading',
  'broken',
  'short',
] as const satisfies readonly ShardMessage['type'][];

const CODES = new Map<string, number>(TYPES.map((type, code) => [type, code]));

function writeEntries(w: Writer, entries: readonly Uint8Array[]): void {
  w.list(entries, (o, e) => o.bytes(e));
}

function readEntries(r: Reader): Uint8Array[] {
  return r.list((i) => i.bytes());
}

export function writeShardMessage(w: Writer, m: ShardMessage): void {
  w.u8(CODES.get(m.type)!);
  switch (m.type) {
    case 'prepare':
      writeNumber(w, m.number);
      writeNumber(w, m.handoverOf);
      return;
    case 'promise':
      writeNumber(w, m.number);
      w.bool(m.granted);
      writeNumber(w, m.promised);
      writeView(w, m.view);
      w.varint(m.end);
      w.varint(m.tailStart);
      w.varint(m.floor);
      w.bool(m.valid);
      writeTerms(w, m.terms);
      return;
    case 'fetch':
      writeNumber(w, m.number);
      w.varint(m.prev);
      return;
    case 'fetched':
      writeNumber(w, m.number);
      w.varint(m.prev);
      w.varint(m.end);
      writeEntries(w, m.entries);
      return;
    case 'install':
      writeView(w, m.view);
      w.varint(m.prev);
      writeEntries(w, m.entries);
      return;
    case 'record':
      writeView(w, m.view);
      return;
    case 'append':
    case 'learn':
      writeNumber(w, m.number);
      w.varint(m.prev);
      w.varint(m.commit);
      writeEntries(w, m.entries);
      return;
    case 'appended':
    case 'learned':
    case 'short':
      writeNumber(w, m.number);
      w.varint(m.index);
      return;
    case 'refused':
      writeNumber(w, m.number);
      writeNumber(w, m.promised);
      return;
    case 'status':
      writeNumber(w, m.number);
      w.varint(m.end);
      w.varint(m.floor);
      w.bool(m.valid);
      w.varint(m.upto);
      writeTerms(w, m.terms);
      return;
    case 'snapshot':
      writeNumber(w, m.number);
      w.varint(m.seq);
      w.varint(m.index);
      w.varint(m.commit);
      w.varint(m.from);
      writeTerms(w, m.terms);
      w.bytes(m.state);
      writeEntries(w, m.entries);
      w.bool(m.last);
      return;
    case 'snapshotted':
      writeNumber(w, m.number);
      w.varint(m.seq);
      return;
    case 'installed':
    case 'recorded':
    case 'probe':
    case 'handover':
    case 'leading':
    case 'not-leading':
    case 'broken':
      writeNumber(w, m.number);
      return;
    default:
      assertNever(m);
  }
}

/** @throws BytesError on a malformed message */
export function readShardMessage(r: Reader): ShardMessage {
  const code = r.u8();
  const type = TYPES[code];
  if (type === undefined) throw new BytesError(`shard message of unknown type ${code}`);
  switch (type) {
    case 'prepare':
      return { type, number: readNumber(r), handoverOf: readNumber(r) };
    case 'promise':
      return {
        type,
        number: readNumber(r),
        granted: r.bool(),
        promised: readNumber(r),
        view: readView(r),
        end: r.varint(),
        tailStart: r.varint(),
        floor: r.varint(),
        valid: r.bool(),
        terms: readTerms(r),
      };
    case 'fetch':
      return { type, number: readNumber(r), prev: r.varint() };
    case 'fetched':
      return {
        type,
        number: readNumber(r),
        prev: r.varint(),
        end: r.varint(),
        entries: readEntries(r),
      };
    case 'install':
      return { type, view: readView(r), prev: r.varint(), entries: readEntries(r) };
    case 'record':
      return { type, view: readView(r) };
    case 'append':
    case 'learn':
      return {
        type,
        number: readNumber(r),
        prev: r.varint(),
        commit: r.varint(),
        entries: readEntries(r),
      };
    case 'appended':
    case 'learned':
    case 'short':
      return { type, number: readNumber(r), index: r.varint() };
    case 'refused':
      return { type, number: readNumber(r), promised: readNumber(r) };
    case 'status':
      return {
        type,
        number: readNumber(r),
        end: r.varint(),
        floor: r.varint(),
        valid: r.bool(),
        upto: r.varint(),
        terms: readTerms(r),
      };
    case 'snapshot':
      return {
        type,
        number: readNumber(r),
        seq: r.varint(),
        index: r.varint(),
        commit: r.varint(),
        from: r.varint(),
        terms: readTerms(r),
        state: r.bytes(),
        entries: readEntries(r),
        last: r.bool(),
      };
    case 'snapshotted':
      return { type, number: readNumber(r), seq: r.varint() };
    case 'installed':
    case 'recorded':
    case 'probe':
    case 'handover':
    case 'leading':
    case 'not-leading':
    case 'broken':
      return { type, number: readNumber(r) };
    default:
      return assertNever(type);
  }
}
