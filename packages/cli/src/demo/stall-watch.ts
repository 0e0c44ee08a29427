/** Waits for something that advances in steps, and gives up when it stands still. */
export class StallWatch {
  #advanced: (() => void) | null = null;

  /** Something happened: the wait under way looks again. */
  advance(): void {
    this.#advanced?.();
  }

  /**
   * One wait at a time.
   *
   * @param stillMs gives up after this long without a call of {@link advance}
   * @returns whether `reached()` came to hold
   */
  until(reached: () => boolean, stillMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (ok: boolean) => {
        clearTimeout(timer);
        this.#advanced = null;
        resolve(ok);
      };
      const timer = setTimeout(() => finish(false), stillMs);
      this.#advanced = () => {
        if (reached()) finish(true);
        else timer.refresh();
      };
      this.#advanced();
    });
  }
}
