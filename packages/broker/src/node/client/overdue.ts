/** Requests of clients that are answered with an error when they have waited for too long. */

/** How long a request waits for a leader of its shard before it is answered with an error. */
export const ANSWER_TIMEOUT_MS = 10_000;

export class Overdue {
  /** In the order in which they are due; bounded by what connections may have under way. */
  readonly #waiting = new Map<() => void, number>();

  /** @param run called once {@link ANSWER_TIMEOUT_MS} have passed, unless it is {@link settled} before */
  add(run: () => void, nowMs: number): void {
    this.#waiting.set(run, nowMs + ANSWER_TIMEOUT_MS);
  }

  settled(run: () => void): void {
    this.#waiting.delete(run);
  }

  tick(nowMs: number): void {
    for (const [run, dueMs] of this.#waiting) {
      if (dueMs > nowMs) return;
      this.#waiting.delete(run);
      run();
    }
  }
}
