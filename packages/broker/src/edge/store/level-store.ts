import { crc32 } from 'node:zlib';
import { ClassicLevel } from 'classic-level';
import { BrokerError, type BrokerErrorCode } from '../../errors.ts';
import type { Store, StoreChange, StoreRecord } from '../../ports.ts';
import { YoungBuffers } from '../young-buffers.ts';

/** What {@link LevelStore.open} may be told. */
export interface LevelStoreInit {
  /**
   * Called once, for an error after which the store accepts and answers nothing more; the process
   * must end, since a failed sync is never tried again (BROKER_ERR_DISK_FULL,
   * BROKER_ERR_DISK_FAILED, BROKER_ERR_CORRUPT_STORE, BROKER_ERR_CORRUPT_RECORD).
   */
  readonly onFatal: (code: BrokerErrorCode, error: BrokerError) => void;
}

/** The part of classic-level that is used, so that tests can put a failing disk in its place. */
export type Level = Pick<
  ClassicLevel<Uint8Array, Uint8Array>,
  'batch' | 'getMany' | 'iterator' | 'close'
>;

type Operation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

/** Bytes before each stored value: CRC-32 of key and value, big endian. */
const CHECKSUM_BYTES = 4;
/**
 * Most that one hop to the disk thread fetches while scanning. An iterator that is closed keeps its last
 * hop outside the heap until it is collected, where the collector does not see it: so few bytes.
 */
const SCAN_HOP_BYTES = 64 * 1024;
const SCAN_HOP_RECORDS = 1000;
/** Files of the store that are open, each mapped with 2 MiB, the least LevelDB takes: 128 MiB of them. */
const STORE_FILES_MAX = 74;
/**
 * Bytes that one batch to the disk gathers; further writes go into the next, so that the time that a batch
 * takes shows the speed of the disk and not the load. The writes of one turn stay together.
 */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** A disk that writes this much in a millisecond does not hang: 4 MB/s. */
const SLOWEST_BYTES_PER_MS = 4000;
/** Longest time that large writes may still occupy the disk after the store has taken them, too. */
const OCCUPIED_MS_MAX = 5000;

/**
 * A {@link Store} on disk: one classic-level database.
 *
 * Group commit: the writes of one turn, and all that arrive while a batch is under way, go into the
 * next batch, with one fdatasync for all of them when any asked for it. Beyond 4 MiB a further batch is begun.
 *
 *     write, write ─► waiting ──(nothing under way)──► underWay ──► LevelDB ─► done, done
 *
 * Reads never wait for a sync: they take LevelDB's snapshot of now and lay the writes that it does
 * not have yet over it. Every value carries a checksum of its own, since LevelDB does not verify the
 * blocks that it reads.
 *
 * The bytes given to `write` must not change before `done`. What waits to be written is bounded by
 * the callers, who stop taking work from peers and clients whose earlier work is not yet done;
 * {@link LevelStore.pendingBytes} tells.
 */
export class LevelStore implements Store {
  readonly #level: Level;
  readonly #onFatal: LevelStoreInit['onFatal'];
  /** Batches to come, oldest first; the last one collects. */
  #waiting: WriteGroup[] = [];
  #underWay: WriteGroup | undefined;
  #underWaySinceMs = 0;
  /** LevelDB writes large values on behind what it has accepted: until then even a slow disk is busy. */
  #occupiedUntilMs = 0;
  #scheduled = false;
  readonly #young = new YoungBuffers();
  #dead = false;
  #closing: (() => void) | undefined;

  /** For tests; {@link LevelStore.open} is the door. */
  constructor(level: Level, init: LevelStoreInit) {
    this.#level = level;
    this.#onFatal = init.onFatal;
  }

  /**
   * Opens the store in `dir`, creating it if there is none, and locks it.
   *
   * @throws BrokerError BROKER_ERR_DATA_LOCKED if a process has it open, BROKER_ERR_CORRUPT_STORE if
   *   it is damaged, BROKER_ERR_DATA_PERMISSION, BROKER_ERR_DISK_FULL, BROKER_ERR_DISK_FAILED
   */
  static async open(dir: string, init: LevelStoreInit): Promise<LevelStore> {
    const level = new ClassicLevel<Uint8Array, Uint8Array>(dir, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      maxOpenFiles: STORE_FILES_MAX,
    });
    try {
      await level.open();
    } catch (error) {
      throw new BrokerError(codeOf(error), dir, { cause: error });
    }
    return new LevelStore(level, init);
  }

  /** Bytes of keys and values accepted and not yet in LevelDB. */
  get pendingBytes(): number {
    return this.#waiting.reduce((sum, { bytes }) => sum + bytes, this.#underWay?.bytes ?? 0);
  }

  /**
   * How long the batch under way has taken so far, in ms, beyond what a slow disk needs for so many bytes
   * and for those that it was given just before: a disk that hangs lets it grow.
   */
  get underWayMs(): number {
    if (this.#underWay === undefined) return 0;
    return Math.max(0, performance.now() - Math.max(this.#underWaySinceMs, this.#occupiedUntilMs));
  }

  write(changes: readonly StoreChange[], sync: boolean, done: () => void): void {
    if (this.#dead) return;
    let last = this.#waiting.at(-1);
    if (last === undefined || last.bytes >= BATCH_BYTES_MAX) {
      last = new WriteGroup();
      this.#waiting.push(last);
    }
    last.add(changes, sync, done);
    if (this.#underWay !== undefined || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#commit();
    });
  }

  getMany(
    keys: readonly Uint8Array[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void {
    if (this.#dead) return;
    const pending = keys.map((key) => this.#pendingValue(latin1(key)));
    this.#read(
      this.#level.getMany(keys as Uint8Array[]),
      (stored) =>
        keys.map((key, i) => {
          const newer = pending[i];
          if (newer !== undefined) return newer ?? undefined;
          const value = stored[i];
          return value === undefined ? undefined : verified(key, value);
        }),
      done,
    );
  }

  scan(
    gte: Uint8Array,
    lt: Uint8Array,
    limit: number,
    bytesMax: number,
    done: (records: readonly StoreRecord[], more: boolean) => void,
  ): void {
    if (this.#dead) return;
    const pending = this.#pendingRange(latin1(gte), latin1(lt));
    // Each pending delete can remove one of the records read, so as many more are read.
    let deletes = 0;
    for (const value of pending.values()) if (value === null) deletes++;
    const most = Math.max(0, limit) + deletes;
    const iterator = this.#level.iterator({
      gte,
      lt,
      limit: most,
      highWaterMarkBytes: Math.min(bytesMax, SCAN_HOP_BYTES),
    });
    this.#read(
      scanned(iterator, most, bytesMax, pending),
      ({ records, ended }) => {
        const merge = merged(records, ended ? pending : upTo(pending, records));
        let bytes = 0;
        let count = 0;
        while (count < limit && count < merge.length && bytes < bytesMax)
          bytes += merge[count++]!.value.length;
        this.#young.received(bytes);
        return { records: merge.slice(0, count), more: !ended || count < merge.length };
      },
      ({ records, more }) => done(records, more),
    );
  }

  /** Waits for the writes accepted so far, then closes and unlocks. Call once. */
  async close(): Promise<void> {
    if (!this.#dead && (this.#underWay !== undefined || this.#waiting.length > 0)) {
      await new Promise<void>((resolve) => {
        this.#closing = resolve;
      });
    }
    this.#dead = true;
    await this.#level.close();
  }

  #commit(): void {
    if (this.#dead || this.#underWay !== undefined) return;
    const group = this.#waiting.shift();
    if (group === undefined) {
      this.#closing?.();
      return;
    }
    this.#underWay = group;
    const nowMs = performance.now();
    this.#underWaySinceMs = nowMs;
    const needsMs = group.bytes / SLOWEST_BYTES_PER_MS;
    const occupiedMs = Math.min(OCCUPIED_MS_MAX, Math.max(0, this.#occupiedUntilMs - nowMs));
    this.#occupiedUntilMs = nowMs + occupiedMs + needsMs;
    this.#level.batch(group.operations(), { sync: group.sync }).then(
      () => {
        this.#underWay = undefined;
        // The next batch is on its way to the disk while this one's callers go on.
        this.#commit();
        for (const done of group.dones) done();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  /** Undefined: no write under way touches the key. Null: the newest one deletes it. */
  #pendingValue(key: string): Uint8Array | null | undefined {
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const newest = this.#waiting[i]!.index().get(key);
      if (newest !== undefined) return newest;
    }
    return this.#underWay?.index().get(key);
  }

  #pendingRange(gte: string, lt: string): Map<string, Uint8Array | null> {
    const pending = new Map<string, Uint8Array | null>();
    for (const group of [this.#underWay, ...this.#waiting]) {
      if (group === undefined) continue;
      for (const [key, value] of group.index()) {
        if (key >= gte && key < lt) pending.set(key, value);
      }
    }
    return pending;
  }

  #read<S, T>(reading: Promise<S>, finish: (stored: S) => T, done: (result: T) => void): void {
    const end = (stored: S): void => {
      if (this.#dead) return;
      let result: T;
      try {
        result = finish(stored);
      } catch (error) {
        this.#fail(error);
        return;
      }
      done(result);
    };
    reading.then(end, (error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (this.#dead) return;
    this.#dead = true;
    const fatal =
      error instanceof BrokerError ? error : new BrokerError(codeOf(error), '', { cause: error });
    this.#closing?.();
    this.#onFatal(fatal.code, fatal);
  }
}

/** The writes of one batch, in the order in which they came. */
class WriteGroup {
  readonly #changes: StoreChange[] = [];
  readonly dones: (() => void)[] = [];
  sync = false;
  bytes = 0;
  /** Latest value by key, built only when a read comes meanwhile. */
  readonly #index = new Map<string, Uint8Array | null>();
  #indexed = 0;

  add(changes: readonly StoreChange[], sync: boolean, done: () => void): void {
    for (const change of changes) {
      this.#changes.push(change);
      this.bytes += change.key.length + (change.value?.length ?? 0);
    }
    this.sync ||= sync;
    this.dones.push(done);
  }

  index(): ReadonlyMap<string, Uint8Array | null> {
    for (; this.#indexed < this.#changes.length; this.#indexed++) {
      const { key, value } = this.#changes[this.#indexed]!;
      this.#index.set(latin1(key), value);
    }
    return this.#index;
  }

  /** LevelDB's operations, every value with its checksum; one allocation for all values. */
  operations(): Operation[] {
    let total = 0;
    for (const { value } of this.#changes) {
      if (value !== null) total += CHECKSUM_BYTES + value.length;
    }
    const buffer = Buffer.allocUnsafe(total);
    let at = 0;
    return this.#changes.map(({ key, value }): Operation => {
      if (value === null) return { type: 'del', key };
      const start = at;
      buffer.writeUInt32BE(checksum(key, value), start);
      buffer.set(value, start + CHECKSUM_BYTES);
      at += CHECKSUM_BYTES + value.length;
      return { type: 'put', key, value: buffer.subarray(start, at) };
    });
  }
}

function checksum(key: Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key));
}

/** The value without its checksum, once that is right. */
function verified(key: Uint8Array, stored: Uint8Array): Uint8Array {
  const value = stored.subarray(CHECKSUM_BYTES);
  const view = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  if (stored.length < CHECKSUM_BYTES || view.readUInt32BE(0) !== checksum(key, value)) {
    throw new BrokerError('BROKER_ERR_CORRUPT_RECORD', `key ${Buffer.from(key).toString('hex')}`);
  }
  return value;
}

/** What a scan has read of LevelDB; `ended`: there is no more in its range. */
interface Scanned {
  readonly records: [Uint8Array, Uint8Array][];
  readonly ended: boolean;
}

/** Reads until `most` records or `bytesMax` bytes of values that no pending write replaces. */
async function scanned(
  iterator: { nextv(size: number): Promise<[Uint8Array, Uint8Array][]>; close(): Promise<void> },
  most: number,
  bytesMax: number,
  pending: ReadonlyMap<string, unknown>,
): Promise<Scanned> {
  const records: [Uint8Array, Uint8Array][] = [];
  let bytes = 0;
  try {
    while (records.length < most && bytes < bytesMax) {
      const hop = await iterator.nextv(SCAN_HOP_RECORDS);
      if (hop.length === 0) return { records, ended: true };
      for (const [key, value] of hop) {
        records.push([key, value]);
        if (pending.size === 0 || !pending.has(latin1(key))) bytes += value.length - CHECKSUM_BYTES;
      }
    }
    return { records, ended: false };
  } finally {
    // With its snapshot.
    await iterator.close();
  }
}

/** Pending writes behind the last record read may have others before them that were not. */
function upTo<V>(
  pending: Map<string, V>,
  records: readonly [Uint8Array, Uint8Array][],
): Map<string, V> {
  const last = records.at(-1);
  const end = last === undefined ? '' : latin1(last[0]);
  return new Map([...pending].filter(([key]) => key <= end));
}

/** Stored records with pending writes laid over them, in key order. */
function merged(
  stored: readonly [Uint8Array, Uint8Array][],
  pending: Map<string, Uint8Array | null>,
): StoreRecord[] {
  if (pending.size === 0) {
    return stored.map(([key, value]) => ({ key, value: verified(key, value) }));
  }
  const records: { readonly text: string; readonly record: StoreRecord }[] = [];
  for (const [key, value] of stored) {
    const text = latin1(key);
    if (!pending.has(text)) {
      records.push({ text, record: { key, value: verified(key, value) } });
    }
  }
  for (const [text, value] of pending) {
    if (value !== null) records.push({ text, record: { key: Buffer.from(text, 'latin1'), value } });
  }
  records.sort((a, b) => (a.text < b.text ? -1 : 1));
  return records.map(({ record }) => record);
}

/** One character per byte: strings then compare as unsigned bytes do. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The table's code for an error of LevelDB, which reports the kernel's only as text. */
function codeOf(error: unknown): BrokerErrorCode {
  const chain: { readonly code?: unknown; readonly message?: unknown; readonly cause?: unknown }[] =
    [];
  for (let at: unknown = error; at instanceof Error && chain.length < 8; at = at.cause) {
    chain.push(at);
  }
  const codes = chain.map(({ code }) => String(code));
  const text = chain.map(({ message }) => String(message)).join('; ');
  if (codes.includes('LEVEL_LOCKED')) return 'BROKER_ERR_DATA_LOCKED';
  if (codes.includes('ENOSPC') || codes.includes('EDQUOT')) return 'BROKER_ERR_DISK_FULL';
  if (/no space left|quota exceeded/i.test(text)) return 'BROKER_ERR_DISK_FULL';
  if (codes.includes('EACCES') || codes.includes('EPERM') || codes.includes('EROFS')) {
    return 'BROKER_ERR_DATA_PERMISSION';
  }
  if (/permission denied|read-only file system/i.test(text)) return 'BROKER_ERR_DATA_PERMISSION';
  if (codes.includes('LEVEL_CORRUPTION') || /corrupt|invalid argument|no such file/i.test(text)) {
    return 'BROKER_ERR_CORRUPT_STORE';
  }
  return 'BROKER_ERR_DISK_FAILED';
}
