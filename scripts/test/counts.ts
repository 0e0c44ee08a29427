/** What a mocha run leaves behind for the stage runner, as JSON. */
export interface MochaCounts {
  passed: number;
  failed: number;
  /** Full titles of the tests that were skipped. */
  skipped: string[];
  /** Full titles of the tests that failed. */
  failures: string[];
  /** False while mocha runs: what it leaves behind when it is killed or dies. */
  complete: boolean;
}

/** The result of one stage of `npm test`: each check or test is one item. */
export interface StageResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly string[];
  /** One line per failed item, repeated in the summary. */
  readonly failures: readonly string[];
}
