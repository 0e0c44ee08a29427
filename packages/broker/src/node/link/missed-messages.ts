/** What a node was not sent while it did not answer. */
export interface MissedMessages {
  /** Messages of any topic. */
  readonly everything: boolean;
  readonly topics: readonly string[];
  /** Clock of the newest of them: a subscription made later misses none. */
  readonly hlc: number;
}
