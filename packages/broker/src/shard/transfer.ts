/**
 * Bringing a copy up to date: by entries after the common prefix where they still exist, otherwise by
 * a snapshot of state and live entries.
 *
 * The copy is a learner all the while: nothing waits for it and its log does not count in an
 * election. One message is under way at a time; the acknowledgement, sent when durable, asks for the
 * next. Here is the sender's side; the learner's is in learning.ts.
 */
import type { Copy } from './copy.ts';
import { heldFrom, holdAnew, STALL_MS } from './holding.ts';
import { entryKey } from './keys.ts';
import { readBack } from './log.ts';
import type { ShardMessage } from './message.ts';
import type { SnapshotSending, Sync } from './procedures.ts';
import { PuttingOff } from './putting-off.ts';
import { readEntries } from './read.ts';
import { type CopyId, sameNumber, type ViewNumber } from './view.ts';

/** Bytes of entries, or of the state, in one message. */
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
/** Pause before a copy that was too slow is tried again; each time it doubles. */
const SET_BACK_MIN_MS = 1000;
/** Longest pause before a copy that was too slow is tried again. */
const SET_BACK_MAX_MS = 30_000;

const EMPTY = new Uint8Array(0);

/** What bringing up copies asks of the other parts of a replica. */
export interface TransferParts {
  readonly formation: {
    readonly underWay: boolean;
    onProgress(nowMs: number): void;
    onSynced(id: CopyId, end: number): void;
  };
  /** The next look at what placement wants need not wait. */
  readonly maintenance: { planSoon(): void };
}

export class Transfer {
  readonly #copy: Copy;
  readonly #parts: TransferParts;
  readonly #syncs = new Map<CopyId, Sync>();
  /** Copies that were too slow. */
  readonly #setBack = new PuttingOff(SET_BACK_MIN_MS, SET_BACK_MAX_MS);

  constructor(copy: Copy, parts: TransferParts) {
    this.#copy = copy;
    this.#parts = parts;
  }

  /** Copies that are brought up now. */
  get learners(): Iterable<CopyId> {
    return this.#syncs.keys();
  }

  get count(): number {
    return this.#syncs.size;
  }

  has(id: CopyId): boolean {
    return this.#syncs.has(id);
  }

  /** The learner is so close to the end that it may become active. */
  isReady(id: CopyId): boolean {
    return this.#syncs.get(id)?.ready === true;
  }

  /** Last index that the learner has acknowledged, null while it has no end. */
  endOf(id: CopyId): number | null {
    const s = this.#syncs.get(id);
    return s?.phase === 'stream' ? s.acked : null;
  }

  /** The learner has its turn among those of its node. */
  isMoving(id: CopyId): boolean {
    return this.#syncs.get(id)?.moving === true;
  }

  /** Last index that no transfer needs: complete entries above it stay on disk. */
  heldFrom(): number {
    return heldFrom(this.#copy, this.#syncs.values());
  }

  start(id: CopyId, number: ViewNumber): void {
    const { host, shard, storedBytes } = this.#copy;
    const nowMs = host.nowMs();
    this.#syncs.set(id, {
      number,
      phase: 'probe',
      acked: 0,
      busy: true,
      ready: false,
      moving: false,
      lastMs: nowMs,
      sentMs: nowMs,
      reached: false,
      light: false,
      prompt: false,
      heldSinceMs: nowMs,
      heldAtBytes: storedBytes,
      snapshot: null,
      upto: 0,
    });
    host.trace('learner');
    host.send(id, shard, { type: 'probe', number });
  }

  /** @returns whether this copy was brought up */
  end(id: CopyId): boolean {
    return this.#syncs.delete(id);
  }

  endAll(): void {
    this.#syncs.clear();
  }

  /**
   * A copy that cannot keep up is not tried again for a while: a view that waits for it holds its shard.
   *
   * @param tookMs how long it took, if that is why
   */
  setBack(id: CopyId, tookMs: number | null): void {
    const { host, shard } = this.#copy;
    if (this.#setBack.put(id, host.nowMs()) && tookMs !== null) host.onSlow?.(shard, id, tookMs);
  }

  isSetBack(id: CopyId): boolean {
    return this.#setBack.has(id, this.#copy.host.nowMs());
  }

  /** Goes on with learners that were idle, and starts stalled transfers anew. */
  tick(nowMs: number): void {
    for (const [id, s] of this.#syncs) {
      if (s.busy && nowMs - s.lastMs > STALL_MS) this.#syncs.delete(id);
      else if (s.busy) continue;
      else if (s.phase === 'stream') this.#next(id, s);
      else if (s.phase === 'snapshot') this.#nextPart(id, s);
    }
  }

  /** The transfer with this peer if it belongs to the view that this copy leads or forms. */
  #current(id: CopyId, number: ViewNumber): Sync | null {
    const s = this.#syncs.get(id);
    if (!s || !sameNumber(s.number, number)) return null;
    if (this.#copy.role === 'follower') return null;
    s.lastMs = this.#copy.host.nowMs();
    this.#parts.formation.onProgress(s.lastMs);
    return s;
  }

  onStatus(from: CopyId, m: ShardMessage & { type: 'status' }): void {
    const s = this.#current(from, m.number);
    if (s?.phase !== 'probe') return;
    s.busy = false;
    const { log } = this.#copy;
    const common = m.valid ? log.commonPrefix(m.terms, m.end) : -1;
    if (common >= log.tailStart && common >= m.floor) {
      s.phase = 'stream';
      s.acked = common;
      return this.#next(from, s);
    }
    s.phase = 'snapshot';
    s.upto = m.valid ? 0 : Math.max(0, Math.min(m.upto, log.commonPrefix(m.terms, m.end)));
    this.#nextPart(from, s);
  }

  /** Whether this transfer has its turn: others to the same peer wait meanwhile. */
  #moves(id: CopyId, s: Sync): boolean {
    // A shard that has no view before this copy is brought up waits for nothing.
    const waits = !s.moving && !s.ready && !this.#parts.formation.underWay;
    if (waits && this.#copy.host.mayTransfer?.(id) === false) return false;
    s.moving = !s.ready;
    return true;
  }

  // ---- entries ---------------------------------------------------------------------------------

  #isNear({ acked, reached }: Sync): boolean {
    const { log } = this.#copy;
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
  #next(id: CopyId, s: Sync): void {
    if (s.busy) return;
    const copy = this.#copy;
    const { formation, maintenance } = this.#parts;
    const wasReady = s.ready;
    const near = this.#isNear(s);
    if (near) {
      holdAnew(copy, s);
      s.moving = false;
      if (s.prompt && !s.ready) {
        s.ready = true;
        maintenance.planSoon();
      }
    }
    if (s.acked >= copy.log.end) {
      if (formation.underWay || (s.ready && !wasReady)) formation.onSynced(id, s.acked);
      // A view that waits for it in vain holds the shard: how long it takes is asked before.
      if (formation.underWay || s.prompt) return;
    }
    // The last few entries, or the question how long the learner takes, need not wait behind large shards.
    if (!near && !this.#moves(id, s)) return;
    this.#sendEntries(id, s);
  }

  #sendEntries(id: CopyId, s: Sync): void {
    const copy = this.#copy;
    s.busy = true;
    s.lastMs = copy.host.nowMs();
    const prev = s.acked;
    const { end } = copy.log;
    readEntries(copy, prev, CHUNK_BYTES, (entries) => {
      if (this.#syncs.get(id) !== s) return;
      if (entries.length === 0 && prev < end) {
        // Outrun by the shard: it begins anew.
        this.#syncs.delete(id);
        return this.setBack(id, null);
      }
      const { number } = s;
      s.sentMs = copy.host.nowMs();
      const bytes = entries.reduce((sum, e) => sum + e.length, 0);
      s.reached = bytes < CHUNK_BYTES;
      s.light = bytes <= PROMPT_BYTES;
      const { commit } = copy;
      copy.host.send(id, copy.shard, { type: 'learn', number, prev, commit, entries });
    });
  }

  onLearned(from: CopyId, m: ShardMessage & { type: 'learned' }): void {
    const s = this.#current(from, m.number);
    if (s?.phase !== 'stream') return;
    s.busy = false;
    s.acked = Math.max(s.acked, m.index);
    const { host } = this.#copy;
    const tookMs = host.nowMs() - s.sentMs;
    if (tookMs <= PROMPT_SHARE * host.timings.formationTimeoutMs) s.prompt = true;
    else if (s.light && !this.#parts.formation.underWay) {
      this.#syncs.delete(from);
      return this.setBack(from, tookMs);
    }
    this.#next(from, s);
  }

  // ---- a snapshot ------------------------------------------------------------------------------

  /** @param from live entries up to this one are with the learner already */
  #beginSnapshot(from: number): SnapshotSending {
    const { log, machine } = this.#copy;
    return {
      index: log.end,
      from,
      terms: [...log.terms],
      state: machine.encode(),
      live: machine.liveIndexes().filter((index) => index > from),
      stateAt: 0,
      liveAt: 0,
      readCount: READ_ENTRIES_FIRST,
      seq: 0,
    };
  }

  #nextPart(id: CopyId, s: Sync): void {
    if (!this.#moves(id, s)) return;
    const { host, shard } = this.#copy;
    if (!s.snapshot) {
      s.snapshot = this.#beginSnapshot(s.upto);
      holdAnew(this.#copy, s);
    }
    const o = s.snapshot;
    s.busy = true;
    s.lastMs = host.nowMs();
    if (o.stateAt >= o.state.length) return this.#readLive(id, s, o);
    const state = o.state.subarray(o.stateAt, o.stateAt + CHUNK_BYTES);
    o.stateAt += state.length;
    const last = o.stateAt >= o.state.length && o.live.length === 0;
    host.trace('snapshot');
    host.send(id, shard, { ...this.#head(s, o), state, entries: [], last });
  }

  #head({ number }: Sync, { index, from, seq, terms }: SnapshotSending) {
    const commit = Math.min(this.#copy.commit, index);
    return { type: 'snapshot', number, seq, index, commit, from, terms } as const;
  }

  /** The next live entries, from disk. */
  #readLive(id: CopyId, s: Sync, o: SnapshotSending): void {
    const { host, shard } = this.#copy;
    const head = this.#head(s, o);
    const indexes = o.live.slice(o.liveAt, o.liveAt + o.readCount);
    const keys = indexes.map((i) => entryKey(shard, i));
    host.store.getMany(keys, (values) => {
      if (this.#syncs.get(id) !== s) return;
      const entries: Uint8Array[] = [];
      let bytes = 0;
      let used = 0;
      for (const value of values) {
        if (bytes >= CHUNK_BYTES) break;
        used++;
        // Acknowledged and deleted meanwhile: the learner hears of that in the entries that follow.
        if (!value) continue;
        if (readBack(value) === null) {
          this.#syncs.delete(id);
          return this.#copy.corrupt('an entry of the snapshot is damaged on the disk');
        }
        entries.push(value);
        bytes += value.length;
      }
      o.liveAt += used;
      // As many as will probably fill the next part: read and not sent is read again.
      const each = Math.max(1, bytes / Math.max(1, used));
      o.readCount = Math.min(READ_ENTRIES_MAX, Math.max(1, Math.ceil(CHUNK_BYTES / each)));
      const last = o.liveAt >= o.live.length;
      host.trace('snapshot');
      host.send(id, shard, { ...head, state: EMPTY, entries, last });
    });
  }

  onSnapshotted(from: CopyId, m: ShardMessage & { type: 'snapshotted' }): void {
    const s = this.#current(from, m.number);
    const o = s?.snapshot;
    if (!s || !o || m.seq !== o.seq) return;
    s.busy = false;
    if (o.stateAt >= o.state.length && o.liveAt >= o.live.length) {
      s.phase = 'stream';
      s.acked = o.index;
      s.snapshot = null;
      return this.#next(from, s);
    }
    o.seq++;
    this.#nextPart(from, s);
  }
}
