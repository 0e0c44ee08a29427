/**
 * Bringing a copy up to date: by entries after the common prefix where they still exist, otherwise by
 * a snapshot of state and live entries.
 *
 * The copy is a learner all the while: nothing waits for it and its log does not count in an
 * election. One message is under way at a time; the acknowledgement, sent when durable, asks for the
 * next.
 */
import { BytesError } from '../bytes.ts';
import { type Copy, checkpointOf } from './copy.ts';
import { onSynced } from './formation.ts';
import { holdAnew, STALL_MS } from './holding.ts';
import { checkpointKey, entryKey } from './keys.ts';
import { decodeEntry, readBack } from './log.ts';
import type { ShardMessage } from './message.ts';
import { dropPartial, keepLive, putPartial, readPartial } from './partial.ts';
import type { Outgoing, Receiving, Sync } from './procedures.ts';
import { readEntries } from './read.ts';
import { setBack } from './sync.ts';
import { type CopyId, compareNumbers, sameNumber, type ViewNumber } from './view.ts';

const CHUNK_BYTES = 256 * 1024;
/** Entries read for one part of a snapshot; the first time, of unknown size, fewer. */
const READ_ENTRIES_MAX = 256;
const READ_ENTRIES_FIRST = 4;
/**
 * A learner this close to the end, with no more than one message to go, may join the active set: the
 * installation brings the rest.
 */
const READY_LAG = 512;
/** A learner that has this much to store is slow if it takes more than the share of a view's step. */
const PROMPT_BYTES = 64 * 1024;
const PROMPT_SHARE = 0.8;
const WIPE_PAGE = 1024;

// ---- the sender ----------------------------------------------------------------------------------

/** The transfer with this peer if it belongs to the view that we lead or form. */
function current(r: Copy, id: CopyId, number: ViewNumber): Sync | null {
  const s = r.syncs.get(id);
  if (!s || !sameNumber(s.number, number)) return null;
  if (r.role === 'follower') return null;
  s.lastMs = r.host.nowMs();
  if (r.formation) r.formation.stepMs = s.lastMs;
  return s;
}

export function onStatus(r: Copy, from: CopyId, m: ShardMessage & { type: 'status' }): void {
  const s = current(r, from, m.number);
  if (s?.phase !== 'probe') return;
  s.busy = false;
  const common = m.valid ? r.log.commonPrefix(m.terms, m.end) : -1;
  if (common >= r.log.tailStart && common >= m.floor) {
    s.phase = 'stream';
    s.acked = common;
    return next(r, from, s);
  }
  s.phase = 'snapshot';
  s.upto = m.valid ? 0 : Math.max(0, Math.min(m.upto, r.log.commonPrefix(m.terms, m.end)));
  nextPart(r, from, s);
}

/** Whether this transfer has its turn: others to the same peer wait meanwhile. */
function moves(r: Copy, id: CopyId, s: Sync): boolean {
  // A shard that has no view before this copy is brought up waits for nobody.
  if (!s.moving && !s.ready && !r.formation && r.host.mayTransfer?.(id) === false) return false;
  s.moving = !s.ready;
  return true;
}

function outgoing(r: Copy, from: number): Outgoing {
  return {
    index: r.log.end,
    from,
    terms: [...r.log.terms],
    state: r.machine.encode(),
    live: r.machine.liveIndexes().filter((index) => index > from),
    stateAt: 0,
    liveAt: 0,
    readCount: READ_ENTRIES_FIRST,
    seq: 0,
  };
}

function isNear({ log }: Copy, { acked, reached }: Sync): boolean {
  if (log.end - acked > READY_LAG) return false;
  // What has come during one round trip, about as much as during the one before.
  if (reached) return true;
  let bytes = 0;
  for (let i = acked + 1; i <= log.end && bytes <= CHUNK_BYTES; i++)
    // What is not in memory is of unknown size.
    bytes += log.get(i)?.bytes.length ?? CHUNK_BYTES + 1;
  return bytes <= CHUNK_BYTES;
}

/** Sends the next entries, or notes that the learner has caught up. */
function next(r: Copy, id: CopyId, s: Sync): void {
  if (s.busy) return;
  const wasReady = s.ready;
  const near = isNear(r, s);
  if (near) {
    holdAnew(r, s);
    s.moving = false;
    if (s.prompt && !s.ready) {
      s.ready = true;
      // The next look at what placement wants need not wait.
      r.plannedAtMs = Number.NEGATIVE_INFINITY;
    }
  }
  if (s.acked >= r.log.end) {
    if (r.formation || (s.ready && !wasReady)) onSynced(r, id, s.acked);
    // A view that waits for it in vain holds the shard: how long it takes is asked before.
    if (r.formation || s.prompt) return;
  }
  // The last few entries, or the question how long the learner takes, need not wait behind large shards.
  if (!near && !moves(r, id, s)) return;
  s.busy = true;
  s.lastMs = r.host.nowMs();
  const prev = s.acked;
  const { end } = r.log;
  readEntries(r, prev, CHUNK_BYTES, (entries) => {
    if (r.syncs.get(id) !== s) return;
    if (entries.length === 0 && prev < end) {
      // Outrun by the shard: it begins anew.
      r.syncs.delete(id);
      return setBack(r, id, null);
    }
    const { number } = s;
    s.sentMs = r.host.nowMs();
    const bytes = entries.reduce((sum, e) => sum + e.length, 0);
    s.reached = bytes < CHUNK_BYTES;
    s.light = bytes <= PROMPT_BYTES;
    r.host.send(id, r.shard, { type: 'learn', number, prev, commit: r.commit, entries });
  });
}

export function onLearned(r: Copy, from: CopyId, m: ShardMessage & { type: 'learned' }): void {
  const s = current(r, from, m.number);
  if (s?.phase !== 'stream') return;
  s.busy = false;
  s.acked = Math.max(s.acked, m.index);
  const tookMs = r.host.nowMs() - s.sentMs;
  if (tookMs <= PROMPT_SHARE * r.host.timings.formationTimeoutMs) s.prompt = true;
  else if (s.light && !r.formation) {
    r.syncs.delete(from);
    return setBack(r, from, tookMs);
  }
  next(r, from, s);
}

function nextPart(r: Copy, id: CopyId, s: Sync): void {
  if (!moves(r, id, s)) return;
  if (!s.snapshot) {
    s.snapshot = outgoing(r, s.upto);
    holdAnew(r, s);
  }
  const o = s.snapshot;
  s.busy = true;
  s.lastMs = r.host.nowMs();
  const commit = Math.min(r.commit, o.index);
  const { index, from, seq } = o;
  const head = { type: 'snapshot', number: s.number, seq, index, commit, from } as const;
  if (o.stateAt < o.state.length) {
    const state = o.state.subarray(o.stateAt, o.stateAt + CHUNK_BYTES);
    o.stateAt += state.length;
    const last = o.stateAt >= o.state.length && o.live.length === 0;
    r.host.trace('snapshot');
    r.host.send(id, r.shard, { ...head, terms: o.terms, state, entries: [], last });
    return;
  }
  const indexes = o.live.slice(o.liveAt, o.liveAt + o.readCount);
  const keys = indexes.map((i) => entryKey(r.shard, i));
  r.host.store.getMany(keys, (values) => {
    if (r.syncs.get(id) !== s) return;
    const entries: Uint8Array[] = [];
    let bytes = 0;
    let used = 0;
    for (const value of values) {
      if (bytes >= CHUNK_BYTES) break;
      used++;
      // Acknowledged and deleted meanwhile: the learner hears of that in the entries that follow.
      if (!value) continue;
      if (readBack(value) === null) {
        r.syncs.delete(id);
        return r.corrupt('an entry of the snapshot is damaged on the disk');
      }
      entries.push(value);
      bytes += value.length;
    }
    o.liveAt += used;
    // As many as will probably fill the next part: read and not sent is read again.
    const each = Math.max(1, bytes / Math.max(1, used));
    o.readCount = Math.min(READ_ENTRIES_MAX, Math.max(1, Math.ceil(CHUNK_BYTES / each)));
    const last = o.liveAt >= o.live.length;
    r.host.trace('snapshot');
    r.host.send(id, r.shard, { ...head, terms: o.terms, state: EMPTY, entries, last });
  });
}

const EMPTY = new Uint8Array(0);

export function onSnapshotted(
  r: Copy,
  from: CopyId,
  m: ShardMessage & { type: 'snapshotted' },
): void {
  const s = current(r, from, m.number);
  const o = s?.snapshot;
  if (!s || !o || m.seq !== o.seq) return;
  s.busy = false;
  if (o.stateAt >= o.state.length && o.liveAt >= o.live.length) {
    s.phase = 'stream';
    s.acked = o.index;
    s.snapshot = null;
    return next(r, from, s);
  }
  o.seq++;
  nextPart(r, from, s);
}

/** Goes on with learners that were idle, and starts stalled transfers anew. */
export function tickSyncs(r: Copy, nowMs: number): void {
  for (const [id, s] of r.syncs) {
    if (s.busy && nowMs - s.lastMs > STALL_MS) r.syncs.delete(id);
    else if (s.busy) continue;
    else if (s.phase === 'stream') next(r, id, s);
    else if (s.phase === 'snapshot') nextPart(r, id, s);
  }
}

// ---- the learner ---------------------------------------------------------------------------------

/** A learner takes data from the leader of the highest number it knows only. */
function mayLearn(r: Copy, from: CopyId, number: ViewNumber): boolean {
  if (compareNumbers(r.promised, number) > 0) {
    r.refuse(from, number);
    return false;
  }
  if (r.contradiction !== null) return false;
  const installed = sameNumber(r.view.number, number) && r.isActive(r.self);
  return !installed && compareNumbers(r.view.number, number) <= 0 && r.role === 'follower';
}

/**
 * What is learned is of this view: a leader of an earlier one, who does not know yet that there is a
 * later, brings nothing any more. Durable with what is learned.
 */
function learnsFrom(r: Copy, number: ViewNumber): void {
  if (compareNumbers(r.promised, number) >= 0) return;
  r.promised = number;
  r.putHard();
}

export function onProbe(r: Copy, from: CopyId, number: ViewNumber): void {
  if (!mayLearn(r, from, number)) return;
  r.receiving = null;
  const { end, terms } = r.log;
  const floor = r.checkpointIndex;
  const status = { type: 'status', number, floor, valid: r.valid } as const;
  if (r.valid) return r.host.send(from, r.shard, { ...status, end, terms, upto: 0 });
  readPartial(r, (partial) => {
    if (r.valid || r.receiving || r.loading || !mayLearn(r, from, number)) return;
    r.partial = partial;
    const { index, upto } = partial ?? { index: 0, upto: 0 };
    r.host.send(from, r.shard, { ...status, end: index, terms: partial?.terms ?? [], upto });
  });
}

export function onLearn(r: Copy, from: CopyId, m: ShardMessage & { type: 'learn' }): void {
  if (!mayLearn(r, from, m.number) || !r.valid) return;
  if (m.prev > r.log.end || m.prev < r.checkpointIndex || !r.mayCut(m.prev)) return;
  r.truncate(m.prev);
  if (r.loading) return;
  learnsFrom(r, m.number);
  r.accept(m.entries);
  r.learnCommit(m.commit);
  const index = r.log.end;
  r.host.onDurable(() => {
    r.durable = Math.max(r.durable, index);
    r.host.send(from, r.shard, { type: 'learned', number: m.number, index });
  });
}

export function onSnapshot(r: Copy, from: CopyId, m: ShardMessage & { type: 'snapshot' }): void {
  if (!mayLearn(r, from, m.number)) return;
  // Read here, where what cannot be read ends the link: it is taken later, where it would end more.
  for (const bytes of m.entries) decodeEntry(bytes);
  if (m.seq === 0) {
    const common = r.log.commonPrefix(m.terms, m.index);
    if (common >= 0 && !r.mayCut(common)) return;
    const { number, index, terms } = m;
    const upto = m.from;
    if (upto > 0 && (r.valid || upto > (r.partial?.upto ?? 0))) return;
    r.receiving = { number, from, index, seq: 0, wiped: false, state: [], upto };
    const receiving = r.receiving;
    r.valid = false;
    putPartial(r, { index, upto, terms });
    r.dropPending();
    learnsFrom(r, number);
    r.putHard();
    r.host.put(checkpointKey(r.shard), null);
    r.host.onDurable(() =>
      wipe(r, receiving, () => {
        receiving.wiped = true;
        take(r, receiving, m);
      }),
    );
    return;
  }
  const receiving = r.receiving;
  if (!receiving?.wiped || receiving.seq !== m.seq || !sameNumber(receiving.number, m.number))
    return;
  take(r, receiving, m);
}

/**
 * Deletes what the copy held, but for what it has of this snapshot already: a newer view without it is
 * established, so nothing depends on it.
 */
function wipe(r: Copy, receiving: Receiving, done: () => void): void {
  const lt = entryKey(r.shard, 2 ** 48 - 1);
  r.host.store.scan(
    entryKey(r.shard, receiving.upto + 1),
    lt,
    WIPE_PAGE,
    CHUNK_BYTES,
    (records, more) => {
      if (r.receiving !== receiving) return;
      for (const record of records) r.host.put(record.key, null);
      if (!more) return done();
      r.host.onDurable(() => wipe(r, receiving, done));
    },
  );
}

function take(r: Copy, receiving: Receiving, m: ShardMessage & { type: 'snapshot' }): void {
  receiving.seq = m.seq + 1;
  if (m.state.length > 0) receiving.state.push(m.state);
  for (const bytes of m.entries) {
    receiving.upto = decodeEntry(bytes).index;
    r.host.put(entryKey(r.shard, receiving.upto), bytes);
  }
  if (m.last) return complete(r, receiving, m);
  if (m.entries.length > 0) putPartial(r, { index: m.index, upto: receiving.upto, terms: m.terms });
  snapshotted(r, receiving, m.seq);
}

function snapshotted(r: Copy, { from, number }: Receiving, seq: number): void {
  r.host.onDurable(() => r.host.send(from, r.shard, { type: 'snapshotted', number, seq }));
}

function complete(r: Copy, receiving: Receiving, m: ShardMessage & { type: 'snapshot' }): void {
  try {
    r.machine.restore(Buffer.concat(receiving.state));
  } catch (e) {
    if (!(e instanceof BytesError)) throw e;
    // The copy stays invalid; the leader gets no answer, and begins anew.
    r.machine.reset();
    r.receiving = null;
    return r.host.trace('snapshot-unreadable', { shard: r.shard, why: e.message });
  }
  const end = (whole: boolean): void => {
    r.receiving = null;
    dropPartial(r);
    // What was noted of the part before is not so: all of it is sent again.
    if (!whole) return r.host.trace('partial-broken', { shard: r.shard });
    restore(r, m);
    snapshotted(r, receiving, m.seq);
  };
  if (m.from === 0) return end(true);
  keepLive(r, m.from, () => r.receiving === receiving, end);
}

function restore(r: Copy, m: ShardMessage & { type: 'snapshot' }): void {
  r.partial = null;
  r.log.restart(m.index, m.terms, m.index);
  r.applied = m.index;
  r.commit = m.commit;
  r.durable = 0;
  r.checkpointIndex = m.index;
  r.kept = [];
  r.valid = true;
  r.cut = r.isActive(r.self);
  r.host.put(checkpointKey(r.shard), checkpointOf(r, m.index, m.commit, m.index, []));
  r.putHard();
  r.host.onDurable(() => {
    r.durable = Math.max(r.durable, m.index);
  });
}
