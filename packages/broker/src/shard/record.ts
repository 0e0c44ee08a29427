/**
 * The records of one copy, but for its log entries: what is written and how it is read back.
 *
 * ```
 *   hard        format │ flags │ promised │ view                                  │ CRC32C
 *   checkpoint  format │ index │ commit │ tail start │ runs of the log │ kept │ state │ CRC32C
 *   partial     format │ index │ upto │ runs of the log                           │ CRC32C
 * ```
 */
import { BytesError, checkFormat, crc32c, NewerFormatError, Reader, Writer } from '../bytes.ts';
import { readTerms, type Term, writeTerms } from './log.ts';
import {
  readNumber,
  readView,
  type View,
  type ViewNumber,
  writeNumber,
  writeView,
} from './view.ts';

/** 2: the second byte holds flags, VALID and CUT. Format 1 had 0 or 1 there, so it reads the same. */
const HARD_VERSION = 2;
const HARD_VALID = 1;
const HARD_CUT = 2;
const CHECKPOINT_VERSION = 2;
const PARTIAL_VERSION = 1;
const CRC_BYTES = 4;
const writer = new Writer(4096);

/** Promises and views, and whether the log is to be believed. */
export interface HardState {
  readonly promised: ViewNumber;
  readonly view: View;
  /** False while the log is being replaced by a snapshot, or was found corrupt. */
  readonly valid: boolean;
  /** The log was cut below what the copy held in the view recorded. */
  readonly cut: boolean;
}

export interface Checkpoint {
  readonly index: number;
  /** Last index known to be committed once the record is written. */
  readonly commit: number;
  readonly tailStart: number;
  readonly terms: readonly Term[];
  /** Freed entries above `tailStart` that are still on disk. */
  readonly kept: readonly number[];
  readonly state: Uint8Array;
}

/**
 * What a learner has of an interrupted snapshot: every entry up to `upto` that the state at `index` of a
 * log of `terms` refers to.
 */
export interface Partial {
  readonly index: number;
  readonly upto: number;
  readonly terms: readonly Term[];
}

export function encodeHard({ promised, view, valid, cut }: HardState): Uint8Array {
  writer.reset();
  writer.u8(HARD_VERSION);
  writer.u8((valid ? HARD_VALID : 0) | (cut ? HARD_CUT : 0));
  writeNumber(writer, promised);
  writeView(writer, view);
  return sealed();
}

/** @throws BytesError on a damaged record, NewerFormatError on one of a later format */
export function decodeHard(bytes: Uint8Array): HardState {
  const r = opened(bytes, 'hard record', HARD_VERSION);
  const flags = r.u8();
  if ((flags & ~(HARD_VALID | HARD_CUT)) !== 0)
    throw new NewerFormatError('hard record with flags of a later format');
  const [valid, cut] = [(flags & HARD_VALID) !== 0, (flags & HARD_CUT) !== 0];
  return { valid, cut, promised: readNumber(r), view: readView(r) };
}

export function encodeCheckpoint(c: Checkpoint): Uint8Array {
  writer.reset();
  writer.u8(CHECKPOINT_VERSION);
  writer.varint(c.index);
  writer.varint(c.commit);
  writer.varint(c.tailStart);
  writeTerms(writer, c.terms);
  writer.list(c.kept, (o, i) => o.varint(i));
  writer.bytes(c.state);
  return sealed();
}

/** @throws BytesError on a damaged record, NewerFormatError on one of a later format */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const r = opened(bytes, 'checkpoint', CHECKPOINT_VERSION);
  return {
    index: r.varint(),
    commit: r.varint(),
    tailStart: r.varint(),
    terms: readTerms(r),
    kept: r.list((i) => i.varint()),
    state: r.bytes(),
  };
}

export function encodePartial({ index, upto, terms }: Partial): Uint8Array {
  writer.reset();
  writer.u8(PARTIAL_VERSION);
  writer.varint(index);
  writer.varint(upto);
  writeTerms(writer, terms);
  return sealed();
}

/** @throws BytesError on a damaged record, NewerFormatError on one of a later format */
export function decodePartial(bytes: Uint8Array): Partial {
  const r = opened(bytes, 'partial snapshot', PARTIAL_VERSION);
  return { index: r.varint(), upto: r.varint(), terms: readTerms(r) };
}

function sealed(): Uint8Array {
  writer.u32(crc32c(writer.peek()));
  return writer.take();
}

function opened(bytes: Uint8Array, what: string, newest: number): Reader {
  const end = bytes.length - CRC_BYTES;
  if (end < 1) throw new BytesError(`${what} too short`);
  if (new Reader(bytes, end).u32() !== crc32c(bytes, 0, end))
    throw new BytesError(`${what}: checksum differs`);
  const r = new Reader(bytes, 0, end);
  checkFormat(what, r.u8(), newest);
  return r;
}
