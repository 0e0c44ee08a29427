/** State of the procedures that change what a copy is: forming a view, and transfer. Types only. */
import type { Term } from './log.ts';
import type { ShardMessage } from './message.ts';
import type { CopyId, View, ViewNumber } from './view.ts';

export type Promised = ShardMessage & { type: 'promise' };

/** What the new view should differ in, beyond who answers. */
export interface Intent {
  readonly add?: readonly CopyId[];
  readonly drop?: readonly CopyId[];
  readonly voters?: readonly CopyId[];
  /** The base view is established (its leader forms this one): a change of voters may be finished. */
  readonly settle?: boolean;
}

export interface Formation {
  readonly number: ViewNumber;
  intent: Intent;
  /** Its leader forms this view, and has led without a break. */
  again: boolean;
  readonly handoverOf: ViewNumber;
  startedMs: number;
  /** Last progress, for the timeout of a step. */
  stepMs: number;
  phase: 'prepare' | 'fetch' | 'sync' | 'install' | 'record';
  base: View;
  readonly asked: Set<CopyId>;
  readonly refusedBy: Set<CopyId>;
  readonly promises: Map<CopyId, Promised>;
  holder: CopyId;
  next: View | null;
  readonly installed: Set<CopyId>;
  readonly recorded: Set<CopyId>;
}

/** Leader's or candidate's side of one transfer. */
export interface Sync {
  readonly number: ViewNumber;
  phase: 'probe' | 'stream' | 'snapshot';
  acked: number;
  /** A message is under way. */
  busy: boolean;
  ready: boolean;
  lastMs: number;
  snapshot: Outgoing | null;
}

export interface Outgoing {
  readonly index: number;
  readonly terms: readonly Term[];
  readonly state: Uint8Array;
  readonly live: readonly number[];
  stateAt: number;
  liveAt: number;
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
}
