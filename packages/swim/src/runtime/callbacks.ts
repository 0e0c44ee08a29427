/**
 * Calls of the owner's functions, after everything that this package had to do itself.
 *
 * One that throws keeps none of the others from being called, and leaves nothing half done: its
 * exception goes to the process, as one of any event handler does.
 */
export class Callbacks {
  #waiting: (() => void)[] = [];
  #running = false;

  /** Adds a call, made by the next {@link run}, or by that under way. */
  add(call: () => void): void {
    this.#waiting.push(call);
  }

  /** Makes the calls in order; those that one of them adds come last, not within it. */
  run(): void {
    if (this.#running) return;
    this.#running = true;
    while (this.#waiting.length > 0) {
      const calls = this.#waiting;
      this.#waiting = [];
      for (const call of calls) surface(call);
    }
    this.#running = false;
  }
}

/**
 * Calls; what it throws is thrown to the process, outside of everything.
 *
 * @param onThrow puts right what the call leaves behind
 * @returns undefined if it throws
 */
export function surface<T>(call: () => T, onThrow: () => void = () => {}): T | undefined {
  try {
    return call();
  } catch (error) {
    onThrow();
    setImmediate(() => {
      throw error;
    });
    return undefined;
  }
}
