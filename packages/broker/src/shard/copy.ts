/**
 * What one copy of one shard has promised, recorded and stored, and which role it has.
 *
 * Its fields change by the verbs below alone, so that each rule about them is kept in one place:
 *
 * - A promise never goes down, and a view is adopted under its own promise.
 * - What is recorded is put to disk by the verb that changes it. What must be durable before something
 *   leaves is sent from `onDurable`: a promise, an installation, an acknowledgement.
 * - `commit` and `durable` never pass the end of the log; only a snapshot and an operator lower `commit`.
 * - While a snapshot replaces the log the copy is not valid.
 *
 * ```
 *             promise to another                    all active installed, quorum recorded
 *   follower ◀──────────────────── candidate ─────────────────────────────▶ leader
 *      │  leader silent or ended, or handed over ▲   ▲ member silent, caught up or moved │
 *      └─────────────────────────────────────────┘   └─────────────────────────────────┘
 * ```
 */
import { Checkpoints } from './checkpoints.ts';
import type { Mark, ReplicaHost, ShardMachine } from './host.ts';
import { entryKey, hardKey } from './keys.ts';
import { decodeEntry, type Entry, Log, type Term } from './log.ts';
import { Marking } from './marking.ts';
import { type Checkpoint, encodeHard, type HardState } from './record.ts';
import { type CopyId, NO_NUMBER, NO_VIEW, type View, type ViewNumber } from './view.ts';

/** Entries at the end of a log that stay in memory; older ones are read from disk when wanted. */
const MEM_KEEP = 4;
/** Bytes of those; larger entries are read from disk. */
const MEM_KEEP_BYTES = 64 * 1024;

export type Role = 'follower' | 'candidate' | 'leader';

/** The log as others see it: only its copy changes it. */
export type LogReading = Readonly<
  Pick<
    Log,
    | 'end'
    | 'tailStart'
    | 'memStart'
    | 'memCount'
    | 'memBytes'
    | 'lastBefore'
    | 'get'
    | 'numberAt'
    | 'commonPrefix'
  >
> & { readonly terms: readonly Term[] };

/** What a copy asks of the procedures around it. */
export interface CopyParts {
  readonly recovery: {
    /** Rebuilds the machine from disk, and ends with {@link Copy.ready}. */
    reload(): void;
  };
  readonly trust: {
    /** A record of this copy was read and is damaged. */
    corrupt(why: string): void;
  };
  readonly appending: {
    /** Leader: the last entry, `unused` at most, that no active copy is to be sent from memory. */
    unneeded(unused: number): number;
  };
  readonly transfer: {
    /** Entries after this index are wanted on disk by learners. */
    heldFrom(): number;
  };
}

export class Copy {
  readonly shard: number;
  readonly host: ReplicaHost;
  readonly machine: ShardMachine;
  readonly #parts: CopyParts;
  readonly #log = new Log();
  readonly #checkpoints: Checkpoints;
  readonly #marking: Marking | null;

  #promised: ViewNumber = NO_NUMBER;
  #view: View = NO_VIEW;
  #valid = true;
  #cut = false;
  /** The store has a record of promises and view: entries without one are a vote forgotten. */
  #recorded = false;
  #contradiction: string | null = null;
  #loading = false;
  #role: Role = 'follower';
  #commit = 0;
  #durable = 0;
  /** Last index applied to the machine. */
  #applied = 0;
  #storedBytes = 0;
  /** The end of the log when what is left of it in memory was last compacted. */
  #compactedEnd = -1;

  constructor(shard: number, host: ReplicaHost, machine: ShardMachine, parts: CopyParts) {
    this.shard = shard;
    this.host = host;
    this.machine = machine;
    this.#parts = parts;
    this.#checkpoints = new Checkpoints(shard, host, machine, this.#log);
    this.#marking = host.marks ? new Marking(shard, host.marks) : null;
  }

  get self(): CopyId {
    return this.host.self;
  }

  get log(): LogReading {
    return this.#log;
  }

  get promised(): ViewNumber {
    return this.#promised;
  }

  /** The view recorded here. */
  get view(): View {
    return this.#view;
  }

  get role(): Role {
    return this.#role;
  }

  /** False while the log is being replaced by a snapshot, or was found corrupt. */
  get valid(): boolean {
    return this.#valid;
  }

  /**
   * The log was cut below what this copy held in the view that it has recorded, by a leader of a later
   * one: it does not vouch for the recorded view any more.
   */
  get cut(): boolean {
    return this.#cut;
  }

  /** Why this copy takes no part: it holds committed entries that a later view lacks. */
  get contradiction(): string | null {
    return this.#contradiction;
  }

  /** True while the machine is rebuilt from disk. */
  get loading(): boolean {
    return this.#loading;
  }

  /** Last index known to be committed. */
  get commit(): number {
    return this.#commit;
  }

  /** Last index durable here. */
  get durable(): number {
    return this.#durable;
  }

  /** Bytes of entries stored since this process started. */
  get storedBytes(): number {
    return this.#storedBytes;
  }

  /** The log cannot be cut below this index. */
  get checkpointIndex(): number {
    return this.#checkpoints.index;
  }

  /** What is noted beside the log. */
  get mark(): Mark | undefined {
    return this.#marking?.mark;
  }

  isActive(id: CopyId): boolean {
    return this.#view.active.includes(id);
  }

  // ---- promises, views, role -------------------------------------------------------------------

  /** View 1, formed by the founder alone. */
  found(): void {
    const number = { counter: 1, leader: this.self, bootEpoch: this.host.bootEpoch };
    const { self } = this;
    this.adopt({ number, voters: [self], oldVoters: [], active: [self], startIndex: 0 });
  }

  /** From now on nothing of a lower view is taken. */
  promise(number: ViewNumber): void {
    this.#promised = number;
    this.#putHard();
  }

  /** Takes this view as its own, under the promise of its number. */
  adopt(view: View): void {
    this.#promised = view.number;
    this.#view = view;
    this.#cut = false;
    this.#putHard();
  }

  /** Stands for leader of this number. */
  stand(number: ViewNumber): void {
    this.#role = 'candidate';
    this.promise(number);
  }

  /** Leads the view that is recorded here. */
  lead(): void {
    this.#role = 'leader';
  }

  /** @returns whether it led or stood before */
  follow(): boolean {
    const was = this.#role;
    this.#role = 'follower';
    return was !== 'follower';
  }

  /**
   * Says that a higher number is promised than the one that the sender acts for.
   *
   * @param promised the one that is about to be
   */
  refuse(from: CopyId, number: ViewNumber, promised = this.#promised): void {
    this.host.send(from, this.shard, { type: 'refused', number, promised });
  }

  // ---- the log ---------------------------------------------------------------------------------

  /** The leader's next entry: into log, machine and this turn's batch. */
  append(entry: Entry, operation: unknown): void {
    this.#store(entry);
    this.machine.apply(entry, operation);
    this.#applied = entry.index;
  }

  /** Stores and applies entries received; those held already are skipped. */
  accept(records: readonly Uint8Array[]): void {
    if (!this.#recorded && records.length > 0) this.#putHard();
    for (const bytes of records) {
      const entry = decodeEntry(bytes);
      if (entry.index <= this.#log.end) continue;
      this.#store(entry);
      if (!this.#loading) {
        this.machine.apply(entry);
        this.#applied = entry.index;
      }
    }
  }

  /** Log, memory and this turn's batch; not the machine. */
  #store(entry: Entry): void {
    this.#log.append(entry);
    this.#storedBytes += entry.bytes.length;
    this.host.batch.put(entryKey(this.shard, entry.index), entry.bytes);
  }

  /** The log is durable up to `index`. */
  durableUpTo(index: number): void {
    if (index > this.#durable) this.#durable = index;
  }

  /** All active copies have the log up to `index`. */
  commitUpTo(index: number): void {
    this.#commit = index;
    this.#checkpoints.write(index);
  }

  /** Another says that the log is committed up to `commit`, as far as this copy has it. */
  learnCommit(commit: number): void {
    const to = Math.min(commit, this.#log.end);
    if (to > this.#commit) this.commitUpTo(to);
  }

  /**
   * Whether entries after `index` may be dropped. A view that lacks an entry which this copy knows to be
   * committed was formed by copies that had lost it: then this copy stands still, and says so.
   */
  mayCut(index: number): boolean {
    if (this.#contradiction !== null) return false;
    if (!this.#valid || index >= this.#commit) return true;
    const why = `entries ${index + 1} to ${this.#commit} are committed here, a later view lacks them`;
    this.#contradiction = why;
    this.host.trace('contradiction', { shard: this.shard, why });
    this.host.report?.(this.shard, 'contradiction', why);
    return false;
  }

  /**
   * Drops entries after `index`; the machine is rebuilt if it had applied any of them. Only if
   * {@link mayCut}.
   */
  truncate(index: number): void {
    if (index >= this.#log.end) return;
    this.host.trace('truncate');
    if (!this.#cut && this.isActive(this.self)) {
      this.#cut = true;
      this.#putHard();
    }
    for (let i = index + 1; i <= this.#log.end; i++)
      this.host.batch.put(entryKey(this.shard, i), null);
    this.#log.truncate(index);
    if (this.#durable > index) this.#durable = index;
    this.#checkpoints.truncate(index);
    if (this.#applied > index || this.#loading) {
      this.#loading = true;
      this.host.batch.onDurable(() => this.#parts.recovery.reload());
    }
  }

  /** A record of this copy was read and is damaged. */
  corrupt(why: string): void {
    this.#parts.trust.corrupt(why);
  }

  // ---- a log that is not to be believed --------------------------------------------------------

  /** The log does not count any more: another copy replaces it by a snapshot. */
  distrust(): void {
    this.#valid = false;
    this.#putHard();
  }

  /** The log counts again, as it is: an operator says so. */
  believe(): void {
    this.#valid = true;
    this.#putHard();
  }

  /** An operator goes on with what is left of the only copy. */
  acceptLoss(): void {
    this.#commit = Math.min(this.#commit, this.#log.end);
    this.believe();
    this.#marking?.lower(this.#commit);
  }

  /** An operator gives up what this copy holds against its shard: it is a learner from now on. */
  giveUp(): void {
    this.#contradiction = null;
    this.#commit = 0;
    this.distrust();
    this.#marking?.lower(0);
  }

  /** A snapshot begins to replace the log; until {@link restore} it does not count. */
  discard(): void {
    this.#checkpoints.discard();
    this.distrust();
  }

  /** The machine has the state of a snapshot: the log starts at its index. */
  restore(index: number, commit: number, terms: readonly Term[]): void {
    this.#log.restart(index, terms, index);
    this.#applied = index;
    this.#commit = commit;
    this.#durable = 0;
    this.#checkpoints.restart(index, commit);
    this.#cut = this.isActive(this.self);
    this.believe();
    this.host.batch.onDurable(() => this.durableUpTo(index));
  }

  // ---- reading the disk ------------------------------------------------------------------------

  /** The disk is read: until {@link ready} the copy takes part in nothing. */
  load(): void {
    this.#loading = true;
  }

  /** @param hard the record of promises and view, undefined if there is none */
  resume(hard: HardState | undefined): void {
    this.#recorded = hard !== undefined;
    if (hard === undefined) return;
    this.#valid = hard.valid;
    this.#cut = hard.cut;
    this.#promised = hard.promised;
    this.#view = hard.view;
  }

  /**
   * Log and machine are as of this checkpoint, or empty.
   *
   * @throws BytesError when the machine cannot read its state: then they are empty
   */
  rewind(checkpoint: Checkpoint | null): void {
    this.machine.reset();
    this.#log.restart(0, [], 0);
    this.#applied = 0;
    this.#checkpoints.resume(0, []);
    if (checkpoint === null) return;
    const { index, terms, tailStart, kept, commit, state } = checkpoint;
    try {
      this.machine.restore(state);
    } catch (e) {
      this.machine.reset();
      throw e;
    }
    this.#log.restart(index, terms, tailStart);
    this.#applied = index;
    this.#checkpoints.resume(index, kept);
    this.#commit = Math.max(this.#commit, commit);
  }

  /** Applies the next entry of the log, which is on disk. */
  replay(entry: Entry): void {
    this.#log.append(entry);
    this.machine.apply(entry);
    this.#applied = entry.index;
  }

  /** What was replayed is on disk: its last entries alone stay in memory. */
  trim(): void {
    this.#log.forget(this.#log.end - MEM_KEEP);
  }

  /** The whole log was read. */
  replayed(): void {
    this.#durable = this.#log.end;
  }

  /** The copy takes part again. */
  ready(): void {
    this.#loading = false;
  }

  // ---- durable state ---------------------------------------------------------------------------

  #putHard(): void {
    this.#recorded = true;
    const [promised, view, valid, cut] = [this.#promised, this.#view, this.#valid, this.#cut];
    this.host.batch.put(hardKey(this.shard), encodeHard({ promised, view, valid, cut }), true);
    const marking = this.#marking;
    if (marking)
      this.host.batch.onDurable(() => marking.onHard(promised.counter, view.number, !cut));
  }

  /** Notes how far this copy has come, apart from its log; see {@link Mark}. */
  noteProgress(): void {
    if (!this.#marking || this.#loading || !this.#valid) return;
    const vouches = !this.#cut && this.isActive(this.self);
    this.#marking.note(this.#durable, this.#commit, vouches ? this.#view.number : null);
  }

  /** Encodes the state when enough has been appended since the last checkpoint. */
  checkpoint(): void {
    if (this.#loading || !this.#valid || this.#applied !== this.#log.end) return;
    if (this.#checkpoints.due)
      this.#checkpoints.take(this.#parts.transfer.heldFrom(), this.#commit);
  }

  /** Lets go of entries in memory that are on disk and not to be sent soon. */
  forget(): void {
    const { memCount, memBytes, end } = this.#log;
    if (memCount === 0 || this.#loading) return;
    if (end === this.#compactedEnd && memCount <= MEM_KEEP && memBytes <= MEM_KEEP_BYTES) return;
    const unused = this.#log.lastBefore(MEM_KEEP, MEM_KEEP_BYTES);
    const leads = this.#role === 'leader';
    const upTo = leads ? this.#parts.appending.unneeded(unused) : unused;
    this.#log.forget(Math.min(upTo, this.#durable));
    if (this.#log.memCount > MEM_KEEP) return;
    this.#log.compact();
    this.#compactedEnd = end;
  }
}
