/** The hybrid clock: what stamps messages, so that they have one order on all nodes. */

/** Steps of the hybrid clock in a millisecond: room to count events between. */
const HLC_PER_MS = 2048;

export interface ClockSource {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Wall-clock milliseconds since 1970. */
  wallMs(): number;
}

/**
 * The clock follows the wall only when the process starts, then the monotonic clock and the fastest
 * node heard: later stamps are greater, even if an operator sets a machine's clock back.
 */
export class HybridClock {
  readonly #source: ClockSource;
  #last = 0;
  /** The clock's value at a time of the monotonic clock. */
  #base: number;
  #atMs: number;

  /** @param aheadMs what {@link aheadMs} was when the process before this one ended */
  constructor(source: ClockSource, aheadMs = 0) {
    this.#source = source;
    this.#atMs = source.nowMs();
    this.#base = Math.floor(source.wallMs() + aheadMs) * HLC_PER_MS;
  }

  /** By how much this clock is ahead of the wall, because that was set back or other nodes are faster. */
  get aheadMs(): number {
    const elapsedMs = this.#source.nowMs() - this.#atMs;
    return Math.max(0, Math.floor(this.#base / HLC_PER_MS + elapsedMs - this.#source.wallMs()));
  }

  /** How long ago this stamp was given, as far as this clock knows; below 0 if it is ahead of it. */
  ageMs(hlc: number): number {
    const elapsed = (this.#source.nowMs() - this.#atMs) * HLC_PER_MS;
    return (Math.max(this.#last, this.#base + elapsed) - hlc) / HLC_PER_MS;
  }

  /** A stamp greater than every one given or heard before. */
  next(): number {
    const elapsed = Math.floor((this.#source.nowMs() - this.#atMs) * HLC_PER_MS);
    this.#last = Math.max(this.#last + 1, this.#base + elapsed);
    return this.#last;
  }

  /** The clock goes on after this stamp of another node, or of a log. */
  observe(hlc: number): void {
    if (hlc > this.#last) this.#last = hlc;
    const nowMs = this.#source.nowMs();
    const elapsed = Math.floor((nowMs - this.#atMs) * HLC_PER_MS);
    if (hlc <= this.#base + elapsed) return;
    this.#base = hlc;
    this.#atMs = nowMs;
  }
}
