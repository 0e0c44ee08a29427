/**
 * The state of one copy of one shard and its steady path: append, acknowledge, commit, checkpoint.
 *
 * What is durable before what leaves: a promise, an installation and an acknowledgement are sent from
 * `onDurable`; a leader counts its own copy only when durable. Everything else may leave at once.
 *
 * ```
 *             promise to another                    all active installed, quorum recorded
 *   follower ◀──────────────────── candidate ─────────────────────────────▶ leader
 *      │  leader silent or ended, or handed over ▲   ▲ member silent, caught up or moved │
 *      └─────────────────────────────────────────┘   └─────────────────────────────────┘
 * ```
 */
import type { Writer } from '../bytes.ts';
import { LAG_ENTRIES_MAX, sendAppend } from './appending.ts';
import { heldFrom } from './holding.ts';
import type { ReplicaHost, ShardMachine } from './host.ts';
import { checkpointKey, entryKey, hardKey } from './keys.ts';
import { decodeEntry, type Entry, encodeEntry, Log } from './log.ts';
import { markHard, printOf } from './marking.ts';
import type { ShardMessage } from './message.ts';
import type { Formation, Receiving, SetBack, Sync } from './procedures.ts';
import { encodeCheckpoint, encodeHard, type Partial } from './record.ts';
import {
  type CopyId,
  compareNumbers,
  NO_NUMBER,
  NO_VIEW,
  sameNumber,
  type View,
  type ViewNumber,
} from './view.ts';

/** Entries at the end of a log that stay in memory; older ones are read from disk when wanted. */
const MEM_KEEP = 4;
/** Bytes of those; larger entries are read from disk. */
const MEM_KEEP_BYTES = 64 * 1024;

export type Role = 'follower' | 'candidate' | 'leader';

/** State at `index`, encoded when that was the end of the log; written once it is committed. */
interface PendingCheckpoint {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly deletes: readonly number[];
  readonly kept: number[];
  readonly tailStart: number;
}

export abstract class Copy {
  readonly shard: number;
  readonly host: ReplicaHost;
  readonly machine: ShardMachine;
  readonly log = new Log();

  promised: ViewNumber = NO_NUMBER;
  view: View = NO_VIEW;
  /** The newest established view heard of, from its leader. */
  known: ViewNumber = NO_NUMBER;
  /** A view of which its leader said that it does not lead it. */
  leaderless: ViewNumber = NO_NUMBER;
  /** False while the log is being replaced by a snapshot, or was found corrupt. */
  valid = true;
  /**
   * The log was cut below what this copy held in the view that it has recorded, by a leader of a later
   * one: it does not vouch for the recorded view any more.
   */
  cut = false;
  /** The store has a record of promises and view: entries without one are a vote forgotten. */
  recorded = false;
  /** Why this copy takes no part: it holds committed entries that a later view lacks. */
  contradiction: string | null = null;
  /** True while the machine is rebuilt from disk. */
  loading = false;
  role: Role = 'follower';
  commit = 0;
  /** Last index durable here. */
  durable = 0;
  /** Last index applied to the machine. */
  applied = 0;

  formation: Formation | null = null;
  /** Highest counter seen in a refusal. */
  counterSeen = 0;
  retryAtMs = 0;
  leaderlessSinceMs = 0;
  establishedAtMs = 0;
  /** Last look at what placement wants. */
  plannedAtMs = 0;
  handingOver: { to: CopyId; deadlineMs: number; sent: boolean } | null = null;
  /** Leader: another copy was asked to lead, so that voters may promise it whom they hear: no lease. */
  yielded = false;
  syncs = new Map<CopyId, Sync>();
  /** Copies that were too slow, and until when each is left alone. */
  readonly setBack = new Map<CopyId, SetBack>();
  /** Leaders that handed over to this copy, and until when it does not hand back. */
  readonly handBack = new Map<CopyId, SetBack>();
  receiving: Receiving | null = null;
  /** What this copy last said that it has of an interrupted snapshot. */
  partial: Partial | null = null;

  /** Leader: voters that have the record of this view, and so refuse other candidates for its sake. */
  readonly witnesses = new Set<CopyId>();
  /** Equal for views whose leader lease depends on the same voters; '' = to be made anew. */
  leaseKey = '';
  /** Leader: last durable index of each other active copy, and last index sent to it. */
  readonly match = new Map<CopyId, number>();
  readonly sent = new Map<CopyId, number>();
  commitSent = 0;
  /** Leader: active copies that broke their word: dropped, or made anew, at the next maintenance. */
  readonly broken = new Set<CopyId>();

  /** Bytes of entries stored since this process started. */
  storedBytes = 0;
  checkpointIndex = 0;
  /** Freed entries above tailStart, still on disk for copies that return. */
  kept: number[] = [];
  #pending: PendingCheckpoint | null = null;
  #markedCommit = -1;
  #markedDurable = -1;
  /** The end of the log when what is left of it in memory was last compacted. */
  #compactedEnd = -1;

  constructor(shard: number, host: ReplicaHost, machine: ShardMachine) {
    this.shard = shard;
    this.host = host;
    this.machine = machine;
  }

  get self(): CopyId {
    return this.host.self;
  }

  /** Established leader that takes operations now. */
  get canPropose(): boolean {
    return this.role === 'leader' && this.handingOver === null;
  }

  isActive(id: CopyId): boolean {
    return this.view.active.includes(id);
  }

  /** View 1, formed by the founder alone. */
  found(): void {
    const number = { counter: 1, leader: this.self, bootEpoch: this.host.bootEpoch };
    this.promised = number;
    this.view = { number, voters: [this.self], oldVoters: [], active: [this.self], startIndex: 0 };
    this.putHard();
  }

  // ---- the steady path -------------------------------------------------------------------------

  /**
   * Appends an operation and applies it. Only while {@link canPropose}.
   * @returns the entry's index; it counts once `commit` has reached it
   */
  propose(hlc: number, writeOperation: (w: Writer) => void, operation: unknown): number {
    const entry = encodeEntry(this.log.end + 1, this.view.number, hlc, writeOperation);
    this.store(entry);
    this.machine.apply(entry, operation);
    this.applied = entry.index;
    this.host.dirty(this.shard);
    return entry.index;
  }

  /** Log, memory and this turn's batch; not the machine. */
  store(entry: Entry): void {
    this.log.append(entry);
    this.storedBytes += entry.bytes.length;
    this.host.put(entryKey(this.shard, entry.index), entry.bytes);
  }

  /** Stores and applies entries received; those held already are skipped. */
  accept(records: readonly Uint8Array[]): void {
    if (!this.recorded && records.length > 0) this.putHard();
    for (const bytes of records) {
      const entry = decodeEntry(bytes);
      if (entry.index <= this.log.end) continue;
      this.store(entry);
      if (!this.loading) {
        this.machine.apply(entry);
        this.applied = entry.index;
      }
    }
  }

  /** End of turn: sends what was appended to the active copies and counts it when durable. */
  flush(): void {
    if (this.role !== 'leader') return;
    const end = this.log.end;
    for (const id of this.view.active) if (id !== this.self) sendAppend(this, id);
    if (this.durable < end) {
      const number = this.view.number;
      this.host.onDurable(() => {
        if (this.role !== 'leader' || !sameNumber(number, this.view.number)) return;
        if (end > this.durable) this.durable = end;
        this.advance();
      });
    }
  }

  /** Active copies for which the next entries are being read from disk. */
  readonly reading = new Set<CopyId>();

  /** Active copies whose missing entries are too many, or gone: dropped at the next maintenance. */
  readonly lagging = new Set<CopyId>();

  /** Commits what every active copy has made durable. */
  advance(): void {
    let index = this.durable;
    if (this.broken.size > 0) return;
    for (const id of this.view.active) {
      if (id === this.self) continue;
      const at = this.match.get(id) ?? 0;
      if (at < index) index = at;
    }
    if (index > this.commit) {
      this.commit = index;
      this.writeCheckpoint();
      this.host.onCommitted(this.shard);
    }
  }

  /** There is room again for what is sent to this copy. */
  onDrained(id: CopyId): void {
    if (this.role === 'leader' && this.isActive(id)) sendAppend(this, id);
  }

  /** Led here until now, and the copy has entries under way that it has not acknowledged. */
  awaits(id: CopyId): boolean {
    const led = this.role === 'leader' || this.formation?.again === true;
    return led && (this.sent.get(id) ?? 0) > (this.match.get(id) ?? 0);
  }

  onAppend(from: CopyId, m: ShardMessage & { type: 'append' }): void {
    if (!sameNumber(m.number, this.promised) || !sameNumber(m.number, this.view.number)) {
      if (compareNumbers(this.promised, m.number) > 0) this.refuse(from, m.number);
      return;
    }
    if (!this.valid) {
      this.host.send(from, this.shard, { type: 'broken', number: m.number });
      return;
    }
    if (m.prev > this.log.end) {
      // A gap: the leader goes on from what is here.
      this.host.send(from, this.shard, { type: 'appended', number: m.number, index: this.durable });
      return;
    }
    this.accept(m.entries);
    const end = this.log.end;
    this.learnCommit(m.commit);
    if (m.entries.length === 0) return;
    this.host.onDurable(() => {
      if (end > this.durable) this.durable = end;
      if (sameNumber(m.number, this.promised))
        this.host.send(from, this.shard, { type: 'appended', number: m.number, index: end });
    });
  }

  onAppended(from: CopyId, m: ShardMessage & { type: 'appended' }): void {
    if (this.role !== 'leader' || !sameNumber(m.number, this.view.number)) return;
    if (this.broken.has(from)) return;
    const before = this.match.get(from) ?? 0;
    if (m.index < before) {
      // It has less than it acknowledged: a broken promise. Nothing counts on it from now on.
      this.host.trace('broken', { shard: this.shard, index: m.index, match: before });
      this.broken.add(from);
      this.host.send(from, this.shard, { type: 'short', number: m.number, index: before });
    } else if (m.index > before) {
      this.match.set(from, m.index);
      this.advance();
    } else if (m.index < (this.sent.get(from) ?? 0) && m.index === before) {
      this.sent.set(from, m.index);
      this.host.dirty(this.shard);
    }
  }

  learnCommit(commit: number): void {
    const to = Math.min(commit, this.log.end);
    if (to > this.commit) {
      this.commit = to;
      this.writeCheckpoint();
    }
  }

  refuse(from: CopyId, number: ViewNumber): void {
    this.host.send(from, this.shard, { type: 'refused', number, promised: this.promised });
  }

  /** Followers learn of the last commit without waiting for the next append. */
  announceCommit(): void {
    this.commitSent = this.commit;
    for (const id of this.view.active) {
      if (id === this.self || !this.host.heard(id)) continue;
      this.host.send(id, this.shard, {
        type: 'append',
        number: this.view.number,
        prev: this.sent.get(id) ?? this.view.startIndex,
        commit: this.commit,
        entries: [],
      });
    }
  }

  /** The link to a peer is new: what was in flight on the old one is sent again. */
  onLinkUp(id: CopyId): void {
    if (this.role === 'leader' && this.view.active.includes(id)) {
      this.sent.set(id, Math.max(this.match.get(id) ?? 0, this.view.startIndex));
      this.host.dirty(this.shard);
    }
    this.syncs.delete(id);
    if (!this.valid && this.view.number.leader === id && this.isActive(this.self))
      this.host.send(id, this.shard, { type: 'broken', number: this.view.number });
    // What was said on the old link may be lost, and a lease must not outlive this promise.
    if (this.view.number.leader === id && compareNumbers(this.promised, this.view.number) > 0)
      this.refuse(id, this.view.number);
  }

  becomeFollower(): void {
    const was = this.role;
    this.role = 'follower';
    this.handingOver = null;
    this.syncs.clear();
    this.leaderlessSinceMs = 0;
    if (was !== 'follower') this.host.onDeposed(this.shard);
  }

  /** Rebuilds the machine from disk; see recovery.ts. */
  protected abstract reload(): void;

  /** A record of this copy was read and is damaged; see replica.ts. */
  abstract corrupt(why: string): void;

  // ---- durable state ---------------------------------------------------------------------------

  putHard(): void {
    this.recorded = true;
    this.host.put(hardKey(this.shard), encodeHard(this));
    const { marks } = this.host;
    if (!marks) return;
    const promised = this.promised.counter;
    const { number } = this.view;
    const keeps = !this.cut;
    this.host.onDurable(() => markHard(marks, this.shard, promised, number, keeps));
  }

  /** Notes how far this copy has come, apart from its log; see {@link Mark}. */
  mark(): void {
    const { marks } = this.host;
    const { commit, durable } = this;
    if (!marks || this.loading || !this.valid) return;
    if (commit === this.#markedCommit && durable === this.#markedDurable) return;
    const m = marks.get(this.shard);
    if (!m) return;
    const vouches = !this.cut && this.isActive(this.self);
    // The record of this view is not durable yet.
    if (vouches && (m.view !== this.view.number.counter || m.print !== printOf(this.view.number)))
      return;
    this.#markedCommit = commit;
    this.#markedDurable = durable;
    marks.set(this.shard, {
      ...m,
      durable: vouches ? Math.max(m.durable, durable) : m.durable,
      commit: Math.max(m.commit, Math.min(commit, durable)),
    });
  }

  /**
   * Whether entries after `index` may be dropped. A view that lacks an entry which this copy knows to be
   * committed was formed by copies that had lost it: then this copy stands still, and says so.
   */
  mayCut(index: number): boolean {
    if (this.contradiction !== null) return false;
    if (!this.valid || index >= this.commit) return true;
    this.contradiction = `entries ${index + 1} to ${this.commit} are committed here, a later view lacks them`;
    this.host.trace('contradiction', { shard: this.shard, why: this.contradiction });
    this.host.report?.(this.shard, 'contradiction', this.contradiction);
    return false;
  }

  /**
   * Drops entries after `index`; the machine is rebuilt if it had applied any of them. Only if
   * {@link mayCut}.
   */
  truncate(index: number): void {
    if (index >= this.log.end) return;
    this.host.trace('truncate');
    if (!this.cut && this.isActive(this.self)) {
      this.cut = true;
      this.putHard();
    }
    for (let i = index + 1; i <= this.log.end; i++) this.host.put(entryKey(this.shard, i), null);
    this.log.truncate(index);
    if (this.durable > index) this.durable = index;
    if (this.#pending && this.#pending.index > index) this.#pending = null;
    if (this.applied > index || this.loading) {
      this.loading = true;
      this.host.onDurable(() => this.reload());
    }
  }

  /** Encodes the state when enough has been appended since the last checkpoint. */
  checkpoint(): void {
    if (this.#pending || this.loading || !this.valid || this.applied !== this.log.end) return;
    const index = this.log.end;
    const { checkpointEvery, tailKeep } = this.host.limits;
    // What is kept is written with each checkpoint: the more of it, the fewer of them.
    if (index - this.checkpointIndex < Math.max(checkpointEvery, this.kept.length / 4)) return;
    const tailStart = Math.max(this.log.tailStart, Math.min(index - tailKeep, heldFrom(this)));
    const deletes: number[] = [];
    const kept: number[] = [];
    for (const i of this.kept) (i <= tailStart ? deletes : kept).push(i);
    for (const i of this.machine.takeFreed()) (i <= tailStart ? deletes : kept).push(i);
    this.kept = [];
    const bytes = checkpointOf(this, index, index, tailStart, kept);
    this.#pending = { index, bytes, deletes, kept, tailStart };
    this.writeCheckpoint();
  }

  /** Writes the pending checkpoint once what it covers is committed. */
  writeCheckpoint(): void {
    const p = this.#pending;
    if (!p || p.index > this.commit) return;
    this.#pending = null;
    this.host.put(checkpointKey(this.shard), p.bytes);
    for (const i of p.deletes) this.host.put(entryKey(this.shard, i), null);
    this.kept = p.kept.concat(this.kept);
    this.checkpointIndex = p.index;
    this.log.tailStart = Math.max(this.log.tailStart, p.tailStart);
    this.host.trace('checkpoint');
  }

  /** The log starts anew from a snapshot: no checkpoint of before may be written. */
  dropPending(): void {
    this.#pending = null;
  }

  /** Lets go of entries in memory that nobody needs soon; they are on disk. */
  forget(): void {
    const { memCount, memBytes, end } = this.log;
    if (memCount === 0 || this.loading) return;
    if (end === this.#compactedEnd && memCount <= MEM_KEEP && memBytes <= MEM_KEEP_BYTES) return;
    const unused = this.log.lastBefore(MEM_KEEP, MEM_KEEP_BYTES);
    let upTo = unused;
    if (this.role === 'leader') {
      for (const id of this.view.active) {
        if (id !== this.self) upTo = Math.min(upTo, this.match.get(id) ?? 0);
      }
      // A copy that stays behind is sent the rest from disk instead of holding memory.
      const { keepBytes = MEM_KEEP_BYTES } = this.host;
      const most = Math.max(keepBytes, MEM_KEEP_BYTES);
      upTo = Math.max(upTo, Math.min(unused, this.log.lastBefore(LAG_ENTRIES_MAX, most)));
    }
    this.log.forget(Math.min(upTo, this.durable));
    if (this.log.memCount > MEM_KEEP) return;
    this.log.compact();
    this.#compactedEnd = end;
  }
}

/** @param commit last index known to be committed once the record is written */
export function checkpointOf(
  r: Copy,
  index: number,
  commit: number,
  tailStart: number,
  kept: readonly number[],
): Uint8Array {
  const { terms } = r.log;
  return encodeCheckpoint({ index, commit, tailStart, terms, kept, state: r.machine.encode() });
}
