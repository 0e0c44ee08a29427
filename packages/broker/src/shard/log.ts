/**
 * One shard's log as a copy holds it: what is where, and where two logs part.
 *
 * ```
 *   deleted or referenced      complete, on disk        in memory
 *  1 ··················· tailStart ─────────────── memStart ──────── end
 * ```
 *
 * Below `tailStart` only entries that some queue, retained topic or open exchange still refers to
 * exist; above it the log is complete. Entries keep the number of the view in which they were
 * appended; equal numbers at an index mean equal logs up to it, since a view has one leader and one
 * starting log.
 */
import { BytesError, checkFormat, crc32c, NewerFormatError, Reader, Writer } from '../bytes.ts';
import { readNumber, sameNumber, type ViewNumber, writeNumber } from './view.ts';

/** One log entry. `bytes` is its record: the same on disk and between nodes. */
export interface Entry {
  readonly index: number;
  readonly number: ViewNumber;
  readonly hlc: number;
  readonly operation: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A run of entries of one view, from `start` up to the next run. */
export interface Term {
  readonly number: ViewNumber;
  readonly start: number;
}

const ENTRY_VERSION = 1;
/** Runs remembered; logs that share none of the last ones meet by snapshot. */
const TERMS_MAX = 64;
/** A buffer of this size is not kept for the sake of a small entry. */
const PINNED_BYTES = 32 * 1024;
const writer = new Writer(1024);

export function encodeEntry(
  index: number,
  number: ViewNumber,
  hlc: number,
  writeOperation: (w: Writer) => void,
): Entry {
  writer.reset();
  writer.u8(ENTRY_VERSION);
  writer.u8(0);
  writer.varint(index);
  writeNumber(writer, number);
  writer.f64(hlc);
  const head = writer.length;
  writeOperation(writer);
  const end = writer.length;
  writer.u32(crc32c(writer.peek()));
  const bytes = writer.take();
  return { index, number, hlc, operation: bytes.subarray(head, end), bytes };
}

/** An entry read back from the disk; null if it is damaged. */
export function readBack(bytes: Uint8Array): Entry | null {
  try {
    return decodeEntry(bytes);
  } catch (error) {
    if (!(error instanceof BytesError)) throw error;
    return null;
  }
}

/** @throws BytesError when the record is torn or altered, NewerFormatError when it is of a later format */
export function decodeEntry(bytes: Uint8Array): Entry {
  if (bytes.length < 5) throw new BytesError('entry too short');
  const end = bytes.length - 4;
  const crc = new Reader(bytes, end).u32();
  if (crc !== crc32c(bytes, 0, end)) throw new BytesError('entry checksum differs');
  const r = new Reader(bytes, 0, end);
  checkFormat('entry', r.u8(), ENTRY_VERSION);
  if (r.u8() !== 0) throw new NewerFormatError('entry with flags of a later format');
  const index = r.varint();
  const number = readNumber(r);
  const hlc = r.f64();
  return { index, number, hlc, operation: bytes.subarray(r.position, end), bytes };
}

export class Log {
  end = 0;
  tailStart = 0;
  terms: Term[] = [];
  #mem: Entry[] = [];
  #memStart = 1;
  #memBytes = 0;

  /** Entries with index ≥ this are in memory. */
  get memStart(): number {
    return this.#memStart;
  }

  append(entry: Entry): void {
    const last = this.terms[this.terms.length - 1];
    if (!last || !sameNumber(last.number, entry.number)) {
      this.terms.push({ number: entry.number, start: entry.index });
      if (this.terms.length > TERMS_MAX) this.terms.shift();
    }
    this.#mem.push(entry);
    this.#memBytes += entry.bytes.length;
    this.end = entry.index;
  }

  /** Forgets entries after `index`. */
  truncate(index: number): void {
    while (this.#mem.length > 0 && this.#mem[this.#mem.length - 1]!.index > index)
      this.#memBytes -= this.#mem.pop()!.bytes.length;
    while (this.terms.length > 0 && this.terms[this.terms.length - 1]!.start > index)
      this.terms.pop();
    this.end = index;
    if (this.#memStart > index + 1) this.#memStart = index + 1;
  }

  /** Starts from a checkpoint or snapshot at `index`. */
  restart(index: number, terms: readonly Term[], tailStart: number): void {
    this.end = index;
    this.terms = [...terms];
    this.tailStart = tailStart;
    this.#mem = [];
    this.#memBytes = 0;
    this.#memStart = index + 1;
  }

  get(index: number): Entry | undefined {
    return this.#mem[index - this.#memStart];
  }

  numberAt(index: number): ViewNumber | undefined {
    for (let i = this.terms.length - 1; i >= 0; i--) {
      const term = this.terms[i]!;
      if (term.start <= index) return term.number;
    }
    return undefined;
  }

  /** Drops entries up to `index` from memory; they stay on disk. */
  forget(index: number): void {
    const drop = Math.min(index + 1, this.end + 1) - this.#memStart;
    if (drop <= 0) return;
    for (const entry of this.#mem.splice(0, drop)) this.#memBytes -= entry.bytes.length;
    this.#memStart += drop;
  }

  get memCount(): number {
    return this.#mem.length;
  }

  /** Bytes of the records in memory. */
  get memBytes(): number {
    return this.#memBytes;
  }

  /** The index to {@link forget} so that at most the last `count` entries and `bytes` bytes stay. */
  lastBefore(count: number, bytes: number): number {
    let left = bytes;
    let i = this.#mem.length;
    while (i > 0 && this.#mem.length - i < count && this.#mem[i - 1]!.bytes.length <= left)
      left -= this.#mem[--i]!.bytes.length;
    return this.#memStart + i - 1;
  }

  /** Entries that stay in memory for long no longer hold the much larger frame that they came in. */
  compact(): void {
    for (let i = 0; i < this.#mem.length; i++) {
      const entry = this.#mem[i]!;
      const { bytes, operation } = entry;
      const held = bytes.buffer.byteLength;
      if (held < PINNED_BYTES || held < 2 * bytes.length) continue;
      const own = Uint8Array.from(bytes);
      const head = operation.byteOffset - bytes.byteOffset;
      this.#mem[i] = {
        ...entry,
        operation: own.subarray(head, head + operation.length),
        bytes: own,
      };
    }
  }

  /**
   * Last index up to which this log and one described by `terms` and `end` are the same.
   * @returns −1 when the remembered runs share nothing although both have entries
   */
  commonPrefix(terms: readonly Term[], end: number): number {
    if (end === 0 || this.end === 0) return 0;
    for (let i = this.terms.length - 1; i >= 0; i--) {
      const mine = this.terms[i]!;
      const at = terms.findIndex((t) => sameNumber(t.number, mine.number));
      if (at < 0) continue;
      const mineEnd = i + 1 < this.terms.length ? this.terms[i + 1]!.start - 1 : this.end;
      const theirEnd = at + 1 < terms.length ? terms[at + 1]!.start - 1 : end;
      return Math.min(mineEnd, theirEnd);
    }
    const first = this.terms[0]?.start ?? 1;
    const theirs = terms[0]?.start ?? 1;
    return first === 1 && theirs === 1 ? 0 : -1;
  }
}

export function writeTerms(w: Writer, terms: readonly Term[]): void {
  w.list(terms, (o, t) => {
    writeNumber(o, t.number);
    o.varint(t.start);
  });
}

export function readTerms(r: Reader): Term[] {
  return r.list((i) => ({ number: readNumber(i), start: i.varint() }));
}
