/** What nodes ask each other for of retained messages, and the pages of answers: types only. */
import type { Message } from '../../session/message.ts';

export type PageStatus = 'page' | 'complete' | 'moved' | 'unknown' | 'busy';

/** `items` ascend by topic; a `page` that is not the last has at least one. */
export interface Page {
  readonly status: PageStatus;
  readonly items: readonly Message[];
}

export interface RetainedQuestion {
  readonly filters: readonly string[];
  /** The shards to read; null: all that this node leads. */
  readonly shards: readonly number[] | null;
  /** With all: their print as the reader knows it. */
  readonly print: number;
  /** Topics above this one only. */
  readonly after: string;
}

/** What one node asks another of retained messages; without a question, the next page. */
export interface RetainedQuery {
  readonly id: number;
  readonly pageBytes: number;
  readonly question: RetainedQuestion | null;
}
