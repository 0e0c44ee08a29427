/** What a copy of a shard asks of the node it lives on, and of the state it keeps: types only. */
import type { Store } from '../ports.ts';
import type { Entry } from './log.ts';
import type { ShardMessage } from './message.ts';
import type { CopyId, ViewNumber } from './view.ts';

export interface ReplicaTimings {
  /** A copy or leader not heard for this long is silent: dropped, or replaced as leader. */
  readonly silenceMs: number;
  /** Between the candidacies of successive copies of the preference list. */
  readonly electionStaggerMs: number;
  /** A step of a view change that gets no answer for this long is given up and tried anew. */
  readonly formationTimeoutMs: number;
}

export interface ReplicaLimits {
  /** Entries between checkpoints of a shard's state. */
  readonly checkpointEvery: number;
  /** Complete entries kept below a checkpoint, for copies that return. */
  readonly tailKeep: number;
}

/**
 * What a copy was known to hold, kept apart from its log so that a loss of the one shows by the other.
 *
 * All four only ever trail the truth: they are noted after it is durable. `durable` counts within view
 * `view` alone, and only while the copy is active in it.
 */
export interface Mark {
  /** Counter of the highest number promised. */
  readonly promised: number;
  /** Counter of the view recorded, and a print of the rest of its number. */
  readonly view: number;
  readonly print: number;
  /** Last index acknowledged as durable. */
  readonly durable: number;
  /** Last index known to be committed: no view to come may lack it. */
  readonly commit: number;
}

export interface Marks {
  get(shard: number): Mark | undefined;
  set(shard: number, mark: Mark): void;
}

/** What a turn changes on disk. */
export interface ReplicaBatch {
  /** @param sync elections depend on it: synced at either durability; default false */
  put(key: Uint8Array, value: Uint8Array | null, sync?: boolean): void;
  /** Runs `fn` once everything put so far is durable. */
  onDurable(fn: () => void): void;
}

export interface ReplicaHost {
  readonly self: CopyId;
  /** Absent where nothing is kept beside the log. */
  readonly marks?: Marks;
  /** Why no copy of this node's can be believed, found before its store was opened; null if none. */
  readonly damage?: string | null;
  /** An operator goes on with what a shard's only copy still holds. */
  readonly acceptLoss?: boolean;
  readonly bootEpoch: number;
  readonly replicas: number;
  /** Active copies without which nothing commits, once more than one voter decides. */
  readonly minCopies: number;
  readonly timings: ReplicaTimings;
  readonly limits: ReplicaLimits;
  readonly store: Store;
  nowMs(): number;
  random(): number;
  send(to: CopyId, shard: number, message: ShardMessage): void;
  readonly batch: ReplicaBatch;
  /** So much waits to be sent to the peer that data should wait: {@link Copy.onDrained} follows. */
  full?(to: CopyId): boolean;
  /** Bytes of entries that a shard may hold in memory for copies that are behind. */
  readonly keepBytes?: number;
  /**
   * Whether one more learner may be sent data: few at a time of each peer, the others wait. Asked again
   * at each tick; what is begun goes on until it has caught up.
   */
  mayTransfer?(to: CopyId): boolean;
  /** Asks for {@link Replica.flush} at the end of the turn. */
  dirty(shard: number): void;
  /** The peer's process was heard within the silence limit (always true of oneself). */
  heard(id: CopyId): boolean;
  /** The process that led this view has ended: its node runs under a newer boot epoch. */
  ended(number: ViewNumber): boolean;
  /** This process is younger than the silence limit: it may have forgotten which peers it heard. */
  justBooted(): boolean;
  /** Members wanted for the shard, preferred leader first; empty while membership is unknown. */
  targets(shard: number): readonly CopyId[];
  voters(shard: number): readonly CopyId[];
  /**
   * Whether a copy may be dropped for good: it is known, and alive, leaving, left, or dead for long
   * (then only for a replacement, so that a death never lessens the number of voters).
   */
  removable(id: CopyId): 'yes' | 'replace' | 'no';
  /** Whether the node may start one more planned change of leader now. */
  mayHandover(): boolean;
  /** Whether the node may bring up one more learner now; absent: always. */
  mayLearn?(): boolean;
  /** A copy took so long that it cannot be active, though its process is heard. */
  onSlow?(shard: number, id: CopyId, tookMs: number): void;
  /** A follower stands for leader. */
  onElection(): void;
  onEstablished(shard: number, again: boolean): void;
  onDeposed(shard: number): void;
  onCommitted(shard: number): void;
  trace(phase: string, fields?: Record<string, unknown>): void;
  /** A copy is not to be believed any more, or contradicts its shard: for people. */
  report?(shard: number, what: Complaint, why: string): void;
}

/**
 * `short`: the copy has less than it acknowledged, or is damaged, and is replaced by a snapshot.
 * `contradiction`: it holds committed entries that a later view of its shard lacks.
 */
export type Complaint = 'short' | 'contradiction';

/** The deterministic state behind a shard's log. */
export interface ShardMachine {
  /** Applies the next entry. `operation` is given where the caller has it decoded already. */
  apply(entry: Entry, operation?: unknown): void;
  encode(): Uint8Array;
  restore(state: Uint8Array): void;
  reset(): void;
  /** Indexes of entries that nothing refers to any more, since the last call. */
  takeFreed(): number[];
  /** Indexes of the entries that the state refers to, ascending. */
  liveIndexes(): number[];
}
