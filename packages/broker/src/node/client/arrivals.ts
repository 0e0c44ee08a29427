/** When what clients' connections bring now was sent, as far as order between nodes depends on it. */

/** A gap between two ticks that shows a standstill: a process stopped, a machine suspended, a loop held up. */
const STANDSTILL_MS = 250;
/** So many ticks later all that came during a standstill has been read: accepted in one turn, read in the next. */
const TICKS_TO_CATCH_UP = 5;

/**
 * A socket's bytes carry no time. After a standstill they may be as old as its beginning, and their client may
 * have connected elsewhere since: what is read then is stamped with the moment before the standstill. A client
 * that did connect just now, and was elsewhere in between, is refused once and comes again.
 */
export class Arrivals {
  readonly #clock: { next(): number };
  #tickedMs = Number.POSITIVE_INFINITY;
  /** The clock at the last tick. */
  #ticked = 0;
  /** The last stamp given for what may be old. */
  #old = 0;
  #catchingUp = 0;

  constructor(clock: { next(): number }) {
    this.#clock = clock;
  }

  tick(nowMs: number): void {
    if (this.#stoodStill(nowMs)) {
      this.#old = Math.max(this.#old, this.#ticked);
      this.#catchingUp = TICKS_TO_CATCH_UP;
    } else if (this.#catchingUp > 0) this.#catchingUp--;
    this.#tickedMs = nowMs;
    this.#ticked = this.#clock.next();
  }

  /** A stamp of the hybrid clock for what is read now: no later than it was sent, greater than those before. */
  stamp(nowMs: number): number {
    if (this.#stoodStill(nowMs)) this.#old = Math.max(this.#old, this.#ticked);
    else if (this.#catchingUp === 0) return this.#clock.next();
    return ++this.#old;
  }

  #stoodStill(nowMs: number): boolean {
    return nowMs - this.#tickedMs > STANDSTILL_MS;
  }
}
