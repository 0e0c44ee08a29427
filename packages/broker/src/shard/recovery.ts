/**
 * Reading a shard back from disk: at boot, and after a tail was discarded.
 *
 * A folder can come back with less than its copies acknowledged: a bit rotted in the store's log, power
 * was lost before the disk had what it was given, somebody restored an older copy. Such a copy, believed,
 * would elect itself and make the whole ones delete what only they have. So what is read is compared with
 * what was said: the copy's own record of its view, and the marks beside the store (DESIGN §5, ADR 0017).
 */
import { NewerFormatError } from '../bytes.ts';
import type { StoreRecord } from '../ports.ts';
import type { Copy } from './copy.ts';
import type { Mark } from './host.ts';
import { checkpointKey, entryKey, hardKey } from './keys.ts';
import { decodeEntry } from './log.ts';
import { printOf } from './marking.ts';
import { decodeCheckpoint, decodeHard } from './record.ts';
import { short } from './trust.ts';

const PAGE = 512;
/** Entries of a loaded shard that are in memory. */
const KEPT = 4;
/** Bytes of log entries read at once while a shard is loaded, and kept in memory until it is. */
const PAGE_BYTES_MAX = 512 * 1024;

function readHard(r: Copy, bytes: Uint8Array): void {
  const { valid, cut, promised, view } = decodeHard(bytes);
  r.valid = valid;
  r.cut = cut;
  r.promised = promised;
  r.view = view;
}

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

/**
 * Loads hard state, checkpoint and log.
 *
 * A copy that is short becomes invalid, on disk as well: it takes part in promises but its log does not
 * count, and a leader replaces it by a snapshot. The only copy stays as it is, for nothing could replace
 * it: the node is not to start, unless `acceptLoss`.
 */
export function load(r: Copy, done: (corruption: Corruption | null) => void): void {
  r.loading = true;
  const mark = r.host.marks?.get(r.shard);
  const fail = (what: Corruption['what'], why: string) =>
    done({ what, why, alone: false, accepted: false });
  r.host.store.getMany([hardKey(r.shard), checkpointKey(r.shard)], ([hard, checkpoint]) => {
    try {
      if (hard) readHard(r, hard);
      r.recorded = hard !== undefined;
    } catch (e) {
      return fail(e instanceof NewerFormatError ? 'format' : 'vote', reason(e));
    }
    const lost = lostVote(r, mark);
    if (lost) return fail('vote', lost);
    rebuild(r, checkpoint, (flaw) => {
      r.durable = r.log.end;
      if (flaw?.what === 'format') return fail('format', flaw.why);
      if (!hard && (checkpoint || r.log.end > 0 || flaw))
        return fail('vote', 'there are entries, but no record of promises and view');
      if (mark && r.valid) r.commit = Math.max(r.commit, Math.min(mark.commit, r.log.end));
      judge(r, mark, flaw, done);
    });
  });
}

/** Promises or views that the marks know of are not in the record of them. */
function lostVote(r: Copy, mark: Mark | undefined): string | null {
  if (!mark) return null;
  if (r.promised.counter < mark.promised)
    return `promised ${mark.promised}, the record says ${r.promised.counter}`;
  if (r.view.number.counter < mark.view)
    return `recorded view ${mark.view}, the record says ${r.view.number.counter}`;
  return null;
}

function judge(
  r: Copy,
  mark: Mark | undefined,
  flaw: Flaw | null,
  done: (corruption: Corruption | null) => void,
): void {
  const holds = r.log.end > 0 || r.isActive(r.self) || flaw !== null;
  const alone = r.view.active.length === 1 && r.isActive(r.self);
  const end = (corruption: Corruption | null) => {
    r.loading = false;
    done(corruption);
  };
  if (!r.valid && !alone) return end(null);
  const why =
    flaw?.why ??
    (r.valid ? shortOf(r, mark) : 'found short before') ??
    (holds ? (r.host.damage ?? null) : null);
  if (why === null) return end(null);
  const accepted = alone && r.host.acceptLoss === true && flaw?.tail !== false;
  const corruption: Corruption = { what: 'data', why, alone, accepted };
  if (!accepted) {
    r.valid = alone && r.valid;
    if (!alone) r.putHard();
    return end(corruption);
  }
  r.valid = true;
  r.commit = Math.min(r.commit, r.log.end);
  r.putHard();
  if (mark) r.host.marks?.set(r.shard, { ...mark, durable: 0, commit: r.commit });
  dropAfter(r, r.log.end + 1, () => end(corruption));
}

/** Why the log is too short for what this copy has said of it; null if it is not. */
function shortOf(r: Copy, mark: Mark | undefined): string | null {
  const { end } = r.log;
  if (mark && end < mark.commit) return `the log ends at ${end}, ${mark.commit} is committed`;
  // Cut by the leader of a later view: what it held in its own one is not claimed any more.
  if (r.cut || !r.isActive(r.self)) return null;
  const { number, startIndex } = r.view;
  if (end < startIndex) return `the log ends at ${end}, its view begins at ${startIndex}`;
  const same = mark?.view === number.counter && mark.print === printOf(number);
  if (same && end < mark.durable) return `the log ends at ${end}, acknowledged is ${mark.durable}`;
  return null;
}

/** Deletes entries behind a hole. */
function dropAfter(r: Copy, from: number, done: () => void): void {
  r.host.store.scan(entryKey(r.shard, from), LAST(r), PAGE, PAGE_BYTES_MAX, (records, more) => {
    for (const { key } of records) r.host.put(key, null);
    if (!more) return done();
    r.host.onDurable(() => dropAfter(r, from, done));
  });
}

/**
 * Rebuilds the machine after entries that it had applied were discarded. Until it is done the copy
 * answers nothing that changes its log; then it tells its leader where it stands.
 */
export function reload(r: Copy): void {
  r.host.store.getMany([checkpointKey(r.shard)], ([checkpoint]) => {
    rebuild(r, checkpoint, (flaw) => {
      r.loading = false;
      r.durable = r.log.end;
      if (flaw) return short(r, flaw.why);
      const leader = r.view.number.leader;
      if (leader !== r.self)
        r.host.send(leader, r.shard, {
          type: 'appended',
          number: r.view.number,
          index: r.durable,
        });
    });
  });
}

function rebuild(r: Copy, record: Uint8Array | undefined, done: (flaw: Flaw | null) => void): void {
  r.machine.reset();
  r.dropPending();
  r.kept = [];
  let from = 0;
  try {
    if (record) {
      const c = decodeCheckpoint(record);
      r.machine.restore(c.state);
      r.log.restart(c.index, c.terms, c.tailStart);
      r.kept = [...c.kept];
      r.checkpointIndex = c.index;
      r.commit = Math.max(r.commit, c.commit);
      from = c.index;
    } else {
      r.log.restart(0, [], 0);
      r.checkpointIndex = 0;
    }
  } catch (e) {
    r.machine.reset();
    r.log.restart(0, [], 0);
    r.applied = 0;
    return done(flawOf('checkpoint', e, false));
  }
  r.applied = from;
  page(r, from + 1, done);
}

function page(r: Copy, from: number, done: (flaw: Flaw | null) => void): void {
  r.host.store.scan(entryKey(r.shard, from), LAST(r), PAGE, PAGE_BYTES_MAX, (records, more) => {
    for (const record of records) {
      const flaw = replay(r, record);
      if (flaw) return done(flaw);
    }
    // They are on disk.
    r.log.forget(r.log.end - KEPT);
    if (!more) return done(null);
    page(r, r.log.end + 1, done);
  });
}

function replay(r: Copy, record: StoreRecord): Flaw | null {
  const expected = r.log.end + 1;
  try {
    const entry = decodeEntry(record.value);
    if (entry.index !== expected) {
      const why = `entry ${expected} is missing, found ${entry.index}`;
      return { what: 'data', why, tail: true };
    }
    r.log.append(entry);
    r.machine.apply(entry);
    r.applied = entry.index;
    return null;
  } catch (e) {
    return flawOf(`entry ${expected}`, e, r.log.end < expected);
  }
}

function flawOf(what: string, e: unknown, tail: boolean): Flaw {
  const format = e instanceof NewerFormatError;
  return { what: format ? 'format' : 'data', why: `${what}: ${reason(e)}`, tail };
}

const LAST = (r: Copy): Uint8Array => entryKey(r.shard, 2 ** 48 - 1);

function reason(e: unknown): string {
  return e instanceof Error ? e.message : String(e);
}
