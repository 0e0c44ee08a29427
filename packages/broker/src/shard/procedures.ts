/** State of the procedures that change what a copy is: forming a view, and transfer. Types only. */
import type { Term } from './log.ts';
import type { ShardMessage } from './message.ts';
import type { CopyId, View, ViewNumber } from './view.ts';

export type Promised = ShardMessage & { type: 'promise' };

/** What the new view should differ in, beyond who answers. */
export interface Intent {
  readonly add?: readonly CopyId[];
  /** Copies that go, unless too few would remain. */
  readonly drop?: readonly CopyId[];
  /** Copies that go in any case: what they miss has left memory, or they hold less than they said. */
  readonly shed?: readonly CopyId[];
  readonly voters?: readonly CopyId[];
  /** The base view is established (its leader forms this one): a change of voters may be finished. */
  readonly settle?: boolean;
}

/** One attempt to form a view. */
export interface Attempt {
  readonly number: ViewNumber;
  intent: Intent;
  /** Its leader forms this view, and has led without a break. */
  again: boolean;
  readonly handoverOf: ViewNumber;
  startedMs: number;
  /** Last progress, for the timeout of a step. */
  stepMs: number;
  /** When prepare was last sent. */
  askedMs: number;
  phase: 'prepare' | 'fetch' | 'sync' | 'install' | 'record';
  base: View;
  readonly asked: Set<CopyId>;
  readonly refusedBy: Set<CopyId>;
  readonly promises: Map<CopyId, Promised>;
  holder: CopyId;
  next: View | null;
  /** Active copies of the base view that did not answer or hold nothing valid. */
  unheard: readonly CopyId[];
  /** Copies whose starting log is under way, and how far. */
  readonly installing: Map<CopyId, Installing>;
  readonly installed: Set<CopyId>;
  readonly recorded: Set<CopyId>;
}

/** Where the starting log of one copy stands. */
export interface Installing {
  /** Sent up to here. */
  prev: number;
  /** The next page is being read. */
  reading: boolean;
}

/** Leader's or candidate's side of one transfer. */
export interface Sync {
  readonly number: ViewNumber;
  phase: 'probe' | 'stream' | 'snapshot';
  acked: number;
  /** A message is under way. */
  busy: boolean;
  ready: boolean;
  /** Has its turn among the transfers to this peer, until it has caught up. */
  moving: boolean;
  lastMs: number;
  /** When the last entries were sent. */
  sentMs: number;
  /** They did not fill a message: they were all that there were. */
  reached: boolean;
  /** They were few, so that the answer tells how long the learner's disk takes. */
  light: boolean;
  /** The learner was seen to answer in time. */
  prompt: boolean;
  /** Since when, and at which {@link Copy.storedBytes}, the tail of the log is held for it. */
  heldSinceMs: number;
  heldAtBytes: number;
  snapshot: SnapshotSending | null;
  /** Of an interrupted snapshot the learner has live entries up to this one. */
  upto: number;
}

/** Leader's side of a snapshot. */
export interface SnapshotSending {
  readonly index: number;
  /** Live entries up to this one are with the learner already. */
  readonly from: number;
  readonly terms: readonly Term[];
  readonly state: Uint8Array;
  readonly live: readonly number[];
  stateAt: number;
  liveAt: number;
  /** Entries to read at once: about what one part takes. */
  readCount: number;
  seq: number;
}

/** Learner's side of a snapshot. */
export interface Receiving {
  readonly number: ViewNumber;
  readonly from: CopyId;
  readonly index: number;
  seq: number;
  wiped: boolean;
  readonly state: Uint8Array[];
  /** Last live entry that is here. */
  upto: number;
}
