/**
 * Reading a shard back from disk: at boot, and after a tail was discarded.
 *
 * A folder can come back with less than its copies acknowledged: a bit rotted in the store's log, power
 * was lost before the disk had what it was given, an operator restored an older copy. Such a copy, believed,
 * would elect itself and make the whole ones delete what only they have. So what is read is compared with
 * what was said: the copy's own record of its view, and the marks beside the store (ADR 0017).
 */
import { NewerFormatError } from '../bytes.ts';
import type { StoreRecord } from '../ports.ts';
import type { Copy } from './copy.ts';
import type { Mark } from './host.ts';
import { checkpointKey, entryKey, hardKey } from './keys.ts';
import { decodeEntry } from './log.ts';
import { printOf } from './marking.ts';
import { decodeCheckpoint, decodeHard } from './record.ts';

/** Entries read at once while a shard is loaded. */
const PAGE = 512;
/** Bytes of log entries read at once while a shard is loaded, and kept in memory until it is. */
const PAGE_BYTES_MAX = 512 * 1024;

/**
 * What is wrong with a copy: `vote`, its promises and views are lost, and it may not vote; `data`, it
 * has less than it acknowledged; `format`, a later version of this program wrote it.
 */
export interface Corruption {
  readonly what: 'vote' | 'data' | 'format';
  readonly why: string;
  /** `data`: its view has no other copy. */
  readonly alone: boolean;
  /** `data`, and an operator goes on with what is left. */
  readonly accepted: boolean;
}

interface Flaw {
  readonly what: 'data' | 'format';
  readonly why: string;
  /** What comes before it was read, and stands. */
  readonly tail: boolean;
}

/** What recovery asks of the other parts of a replica. */
export interface RecoveryParts {
  /** This copy is not whole. */
  readonly trust: { short(why: string): void };
  readonly postponed: { onRebuilt(): void };
}

type Done = (corruption: Corruption | null) => void;

export class Recovery {
  readonly #copy: Copy;
  readonly #parts: RecoveryParts;

  constructor(copy: Copy, parts: RecoveryParts) {
    this.#copy = copy;
    this.#parts = parts;
  }

  /**
   * Loads hard state, checkpoint and log.
   *
   * A copy that is short becomes invalid, on disk as well: it takes part in promises but its log does not
   * count, and a leader replaces it by a snapshot. The only copy stays as it is, for nothing could replace
   * it: the node is not to start, unless `acceptLoss`.
   */
  load(done: Done): void {
    const copy = this.#copy;
    const { host, mark, shard } = copy;
    copy.load();
    const fail = (what: Corruption['what'], why: string) =>
      done({ what, why, alone: false, accepted: false });
    host.store.getMany([hardKey(shard), checkpointKey(shard)], ([hard, checkpoint]) => {
      try {
        copy.resume(hard && decodeHard(hard));
      } catch (e) {
        return fail(e instanceof NewerFormatError ? 'format' : 'vote', reason(e));
      }
      const lost = lostVote(copy, mark);
      if (lost) return fail('vote', lost);
      this.#rebuild(checkpoint, (flaw) => {
        if (flaw?.what === 'format') return fail('format', flaw.why);
        if (!hard && (checkpoint || copy.log.end > 0 || flaw))
          return fail('vote', 'there are entries, but no record of promises and view');
        if (mark && copy.valid) copy.learnCommit(mark.commit);
        this.#judge(mark, flaw, done);
      });
    });
  }

  #judge(mark: Mark | undefined, flaw: Flaw | null, done: Done): void {
    const copy = this.#copy;
    const { host, self, view } = copy;
    const holds = copy.log.end > 0 || copy.isActive(self) || flaw !== null;
    const alone = view.active.length === 1 && copy.isActive(self);
    const end = (corruption: Corruption | null) => {
      copy.ready();
      done(corruption);
      // Without its only copy's log the node does not start.
      if (!alone || corruption === null) this.#parts.postponed.onRebuilt();
    };
    if (!copy.valid && !alone) return end(null);
    const why =
      flaw?.why ??
      (copy.valid ? shortOf(copy, mark) : 'found short before') ??
      (holds ? (host.damage ?? null) : null);
    if (why === null) return end(null);
    const accepted = alone && host.acceptLoss === true && flaw?.tail !== false;
    const corruption: Corruption = { what: 'data', why, alone, accepted };
    if (!accepted) {
      if (!alone) copy.distrust();
      return end(corruption);
    }
    copy.acceptLoss();
    this.#dropAfter(copy.log.end + 1, () => end(corruption));
  }

  /** Deletes entries behind a hole. */
  #dropAfter(from: number, done: () => void): void {
    this.#scan(from, (records, more) => {
      const { host } = this.#copy;
      for (const { key } of records) host.batch.put(key, null);
      if (!more) return done();
      host.batch.onDurable(() => this.#dropAfter(from, done));
    });
  }

  /**
   * Rebuilds the machine after entries that it had applied were discarded. Until it is done the copy
   * answers nothing; then it tells its leader where it stands, and takes what was asked of it meanwhile.
   */
  reload(): void {
    const copy = this.#copy;
    const { host, shard } = copy;
    host.store.getMany([checkpointKey(shard)], ([checkpoint]) => {
      this.#rebuild(checkpoint, (flaw) => {
        copy.ready();
        const { durable: index, self, view } = copy;
        const { number } = view;
        if (flaw) this.#parts.trust.short(flaw.why);
        else if (number.leader !== self)
          host.send(number.leader, shard, { type: 'appended', number, index });
        this.#parts.postponed.onRebuilt();
      });
    });
  }

  #rebuild(record: Uint8Array | undefined, done: (flaw: Flaw | null) => void): void {
    const copy = this.#copy;
    const end = (flaw: Flaw | null) => {
      copy.replayed();
      done(flaw);
    };
    copy.rewind(null);
    try {
      if (record) copy.rewind(decodeCheckpoint(record));
    } catch (e) {
      return end(flawOf('checkpoint', e, false));
    }
    this.#page(copy.log.end + 1, end);
  }

  #page(from: number, done: (flaw: Flaw | null) => void): void {
    const copy = this.#copy;
    this.#scan(from, (records, more) => {
      for (const record of records) {
        const flaw = replay(copy, record);
        if (flaw) return done(flaw);
      }
      copy.trim();
      if (!more) return done(null);
      this.#page(copy.log.end + 1, done);
    });
  }

  /** Reads a page of the entries that are on the disk. */
  #scan(from: number, done: (records: readonly StoreRecord[], more: boolean) => void): void {
    const { host, shard } = this.#copy;
    const last = entryKey(shard, 2 ** 48 - 1);
    host.store.scan(entryKey(shard, from), last, PAGE, PAGE_BYTES_MAX, done);
  }
}

/** Promises or views that the marks know of are not in the record of them. */
function lostVote({ promised, view }: Copy, mark: Mark | undefined): string | null {
  if (!mark) return null;
  if (promised.counter < mark.promised)
    return `promised ${mark.promised}, the record says ${promised.counter}`;
  if (view.number.counter < mark.view)
    return `recorded view ${mark.view}, the record says ${view.number.counter}`;
  return null;
}

/** Why the log is too short for what this copy has said of it; null if it is not. */
function shortOf(copy: Copy, mark: Mark | undefined): string | null {
  const { end } = copy.log;
  if (mark && end < mark.commit) return `the log ends at ${end}, ${mark.commit} is committed`;
  // Cut by the leader of a later view: what it held in its own one is not claimed any more.
  if (copy.cut || !copy.isActive(copy.self)) return null;
  const { number, startIndex } = copy.view;
  if (end < startIndex) return `the log ends at ${end}, its view begins at ${startIndex}`;
  const same = mark?.view === number.counter && mark.print === printOf(number);
  if (same && end < mark.durable) return `the log ends at ${end}, acknowledged is ${mark.durable}`;
  return null;
}

function replay(copy: Copy, record: StoreRecord): Flaw | null {
  const expected = copy.log.end + 1;
  try {
    const entry = decodeEntry(record.value);
    if (entry.index === expected) {
      copy.replay(entry);
      return null;
    }
    const why = `entry ${expected} is missing, found ${entry.index}`;
    return { what: 'data', why, tail: true };
  } catch (e) {
    return flawOf(`entry ${expected}`, e, copy.log.end < expected);
  }
}

function flawOf(what: string, e: unknown, tail: boolean): Flaw {
  const format = e instanceof NewerFormatError;
  return { what: format ? 'format' : 'data', why: `${what}: ${reason(e)}`, tail };
}

function reason(e: unknown): string {
  return e instanceof Error ? e.message : String(e);
}
