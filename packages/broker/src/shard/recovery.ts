/** Reading a shard back from disk: at boot, and after a tail was discarded. */
import { BytesError, crc32c, Reader } from '../bytes.ts';
import type { StoreRecord } from '../ports.ts';
import type { Copy } from './copy.ts';
import { checkpointKey, entryKey, hardKey } from './keys.ts';
import { decodeEntry, readTerms, type Term } from './log.ts';
import { readNumber, readView } from './view.ts';

const PAGE = 512;

interface Checkpoint {
  readonly index: number;
  readonly commit: number;
  readonly tailStart: number;
  readonly terms: Term[];
  readonly kept: number[];
  readonly state: Uint8Array;
}

function checked(bytes: Uint8Array): Reader {
  if (bytes.length < 5) throw new BytesError('record too short');
  const end = bytes.length - 4;
  if (new Reader(bytes, end).u32() !== crc32c(bytes, 0, end))
    throw new BytesError('record checksum differs');
  const r = new Reader(bytes, 0, end);
  const version = r.u8();
  if (version !== 1) throw new BytesError(`record of format ${version}`);
  return r;
}

function readCheckpoint(bytes: Uint8Array): Checkpoint {
  const r = checked(bytes);
  return {
    index: r.varint(),
    commit: r.varint(),
    tailStart: r.varint(),
    terms: readTerms(r),
    kept: r.list((i) => i.varint()),
    state: r.bytes(),
  };
}

/** What was found corrupt; `vote` when it is the record of promises, without which none may vote. */
export interface Corruption {
  readonly what: 'vote' | 'data';
  readonly why: string;
}

/**
 * Loads hard state, checkpoint and log.
 *
 * A log record that fails its checksum makes the copy invalid: it takes part in promises but its log
 * does not count, and a leader replaces it by a snapshot.
 */
export function load(r: Copy, done: (corruption: Corruption | null) => void): void {
  r.loading = true;
  r.host.store.getMany([hardKey(r.shard), checkpointKey(r.shard)], ([hard, checkpoint]) => {
    try {
      if (hard) {
        const reader = checked(hard);
        r.valid = reader.u8() === 1;
        r.promised = readNumber(reader);
        r.view = readView(reader);
      }
    } catch (e) {
      return done({ what: 'vote', why: reason(e) });
    }
    rebuild(r, checkpoint, (why) => {
      r.loading = false;
      r.durable = r.log.end;
      if (why) {
        r.valid = false;
        r.putHard();
      }
      done(why ? { what: 'data', why } : null);
    });
  });
}

/**
 * Rebuilds the machine after entries that it had applied were discarded. Until it is done the copy
 * answers nothing that changes its log; then it tells its leader where it stands.
 */
export function reload(r: Copy): void {
  r.host.store.getMany([checkpointKey(r.shard)], ([checkpoint]) => {
    rebuild(r, checkpoint, (why) => {
      if (why) r.valid = false;
      r.loading = false;
      r.durable = r.log.end;
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

function rebuild(
  r: Copy,
  record: Uint8Array | undefined,
  done: (corrupt: string | null) => void,
): void {
  r.machine.reset();
  r.dropPending();
  r.kept = [];
  let from = 0;
  try {
    if (record) {
      const c = readCheckpoint(record);
      r.machine.restore(c.state);
      r.log.restart(c.index, c.terms, c.tailStart);
      r.kept = c.kept;
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
    return done(`checkpoint: ${reason(e)}`);
  }
  r.applied = from;
  page(r, from + 1, done);
}

function page(r: Copy, from: number, done: (corrupt: string | null) => void): void {
  const lt = entryKey(r.shard, 2 ** 48 - 1);
  r.host.store.scan(entryKey(r.shard, from), lt, PAGE, (records) => {
    for (const record of records) {
      const why = replay(r, record);
      if (why) return done(why);
    }
    if (records.length < PAGE) return done(null);
    page(r, r.log.end + 1, done);
  });
}

function replay(r: Copy, record: StoreRecord): string | null {
  try {
    const entry = decodeEntry(record.value);
    if (entry.index !== r.log.end + 1)
      return `entry ${r.log.end + 1} is missing, found ${entry.index}`;
    r.log.append(entry);
    r.machine.apply(entry);
    r.applied = entry.index;
    if (r.log.memCount > PAGE) r.log.forget(entry.index - 64);
    return null;
  } catch (e) {
    return `entry ${r.log.end + 1}: ${reason(e)}`;
  }
}

function reason(e: unknown): string {
  return e instanceof Error ? e.message : String(e);
}
