/**
 * Reads LevelDB's log before LevelDB does. LevelDB takes a damaged record for the end of what a crash
 * left: it drops the rest of the block of 32 KiB, without a word, and goes on with the next. So what was
 * acknowledged can be gone while all that it shows is whole.
 *
 * A process that is killed leaves a log that ends early, at most; a machine that loses power may also
 * leave a last record that is torn. Anything else is damage: a record that fails its checksum with a
 * good one behind it, a record that begins or ends nowhere, sequence numbers that leave some out.
 *
 * ```
 *   block of 32 KiB:  │ CRC32C masked, 4 │ length, 2 │ type, 1 │ payload │ …  │ < 7 bytes: zeros
 *   payload, joined:  │ sequence, 8 │ count, 4 │ changes …
 * ```
 * @see doc/log_format.md of LevelDB
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '../../bytes.ts';

const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
const BATCH_HEADER_BYTES = 12;
/** Types of fragments: a whole record, or its first, a middle (3) or its last part. */
const FULL = 1;
const FIRST = 2;
const LAST = 4;
const MASK_DELTA = 0xa282ead8;

/** What a log holds beyond whole records. */
export interface LogTail {
  /** Why the log is damaged; null if it is not. */
  readonly damage: string | null;
  /** The last record is as long as it says, and fails its checksum: torn by a power cut, or rotten. */
  readonly torn: boolean;
}

interface Fragment {
  readonly type: number;
  /** Position of the next one. */
  readonly next: number;
  readonly payload: Buffer;
}

type Reading = Fragment | 'end' | 'bad' | 'short';

/** Looks through one log file. */
export function readLevelLog(log: Buffer): LogTail {
  let at = 0;
  let record: Buffer[] | null = null;
  let sequence: bigint | null = null;
  for (;;) {
    const fragment = read(log, at);
    if (fragment === 'end' || fragment === 'short' || fragment === 'bad') {
      if (fragment !== 'end') {
        const good = nextGood(log, at + 1);
        if (good !== null)
          return damaged(`the record at byte ${at} is damaged, that at byte ${good} is whole`);
      }
      return { damage: null, torn: fragment === 'bad' };
    }
    const { type, payload, next } = fragment;
    const begins = type === FULL || type === FIRST;
    if (begins === (record !== null)) return damaged(`the record at byte ${at} is out of place`);
    record = begins ? [payload] : [...(record ?? []), payload];
    if (type === FULL || type === LAST) {
      const batch: Buffer = record.length === 1 ? record[0]! : Buffer.concat(record);
      record = null;
      if (batch.length < BATCH_HEADER_BYTES) return damaged(`the batch at byte ${at} is too short`);
      const first = batch.readBigUInt64LE(0);
      if (sequence !== null && first !== sequence)
        return damaged(`the batch at byte ${at} begins with change ${first}, not ${sequence}`);
      sequence = first + BigInt(batch.readUInt32LE(8));
    }
    at = next;
  }
}

function damaged(damage: string): LogTail {
  return { damage, torn: false };
}

/** The fragment at `at`: `short` if the log ends within it, `bad` if it is whole and not what it says. */
function read(log: Buffer, from: number): Reading {
  let at = from;
  const room = BLOCK_BYTES - (at % BLOCK_BYTES);
  if (room < HEADER_BYTES) at += room;
  if (at >= log.length) return 'end';
  if (at + HEADER_BYTES > log.length) return 'short';
  const length = log.readUInt16LE(at + 4);
  const type = log[at + 6]!;
  const end = at + HEADER_BYTES + length;
  const blockEnd = at - (at % BLOCK_BYTES) + BLOCK_BYTES;
  if (type === 0 && length === 0 && isZero(log, at, Math.min(blockEnd, log.length))) {
    // Room that was made beforehand, or that a power cut left: nothing more was written here.
    return isZero(log, at, log.length) ? 'end' : 'bad';
  }
  if (type < FULL || type > LAST || end > blockEnd) return 'bad';
  if (end > log.length) return 'short';
  if (log.readUInt32LE(at) !== masked(crc32c(log, at + 6, end))) return 'bad';
  return { type, next: end, payload: log.subarray(at + HEADER_BYTES, end) };
}

function isZero(log: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (log[i] !== 0) return false;
  return true;
}

function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}

/**
 * Position of a whole fragment at or behind `from`; null if there is none. What looks like one by chance
 * has to pass a checksum of 32 bits.
 */
function nextGood(log: Buffer, from: number): number | null {
  const isGood = (at: number) => {
    const fragment = read(log, at);
    return typeof fragment === 'object' && fragment.payload.length > 0;
  };
  const block = Math.ceil(from / BLOCK_BYTES) * BLOCK_BYTES;
  for (let at = from; at < block && at + HEADER_BYTES <= log.length; at++) {
    const type = log[at + 6]!;
    if (type >= FULL && type <= LAST && isGood(at)) return at;
  }
  // Each block begins with a fragment, even if the block before is damaged.
  for (let at = block; at + HEADER_BYTES <= log.length; at += BLOCK_BYTES)
    if (isGood(at)) return at;
  return null;
}

/** Looks through the logs in the folder of a store that is not open. */
export async function readLevelLogs(dir: string): Promise<LogTail> {
  let names: string[];
  try {
    names = (await readdir(dir)).filter((name) => name.endsWith('.log')).sort();
  } catch {
    return { damage: null, torn: false };
  }
  let torn = false;
  for (const name of names) {
    const tail = readLevelLog(await readFile(join(dir, name)));
    if (tail.damage !== null) return damaged(`${name}: ${tail.damage}`);
    torn ||= tail.torn;
  }
  return { damage: null, torn };
}
