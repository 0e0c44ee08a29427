/** Messages behind the newest that are still taken, each once. */
export const WINDOW_MESSAGES = 1_024;

/*
 * A ring of 1024 bits: the bit of counter n is n mod 1024. As the newest counter moves on, the bits
 * that it passes are cleared for the counters that come to stand there.
 *
 *        newest − 1023            newest
 *    too old │  seen? one bit each  │  new
 */

/**
 * Which counters of one sender have been seen: each is taken once, in any order within the window
 * (as in RFC 4303 §3.4.3).
 */
export class ReplayWindow {
  readonly #seen = new Uint32Array(WINDOW_MESSAGES / 32);
  #newest = -1;

  /** Whether a counter (an integer ≥ 0) is neither seen nor too old to tell. */
  isFresh(counter: number): boolean {
    if (counter > this.#newest) return true;
    if (counter <= this.#newest - WINDOW_MESSAGES) return false;
    return !this.#bit(counter);
  }

  /** Records a counter that {@link isFresh}. Only after authentication, or anyone could move it. */
  record(counter: number): void {
    if (counter > this.#newest) {
      if (counter - this.#newest >= WINDOW_MESSAGES) this.#seen.fill(0);
      else for (let n = this.#newest + 1; n < counter; n++) this.#clear(n);
      this.#newest = counter;
    }
    const at = counter % WINDOW_MESSAGES;
    this.#seen[at >>> 5] = (this.#seen[at >>> 5] as number) | (1 << (at & 31));
  }

  #bit(counter: number): boolean {
    const at = counter % WINDOW_MESSAGES;
    return ((this.#seen[at >>> 5] as number) & (1 << (at & 31))) !== 0;
  }

  #clear(counter: number): void {
    const at = counter % WINDOW_MESSAGES;
    this.#seen[at >>> 5] = (this.#seen[at >>> 5] as number) & ~(1 << (at & 31));
  }
}
