/**
 * Load averages as `$SYS` has them: events a minute, over the last minutes, as an exponentially weighted
 * moving average.
 */

/** Minutes that an average looks back over. */
export const LOAD_MINUTES = [1, 5, 15] as const;

export class Load {
  /** By {@link LOAD_MINUTES}. */
  readonly perMinute: number[] = [0, 0, 0];
  #counted = 0;

  /**
   * @param count events since the start
   * @param elapsedMs since the last sample, more than 0
   */
  sample(count: number, elapsedMs: number): void {
    const minutes = elapsedMs / 60_000;
    const rate = (count - this.#counted) / minutes;
    this.#counted = count;
    for (const [i, over] of LOAD_MINUTES.entries()) {
      const old = Math.exp(-minutes / over);
      this.perMinute[i] = this.perMinute[i]! * old + rate * (1 - old);
    }
  }
}
