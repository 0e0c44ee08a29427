/**
 * Which copies are looked at in a tick: those with something under way often, all others now and then. An
 * idle node with a thousand copies is to cost next to nothing.
 */

/** What a round needs of a copy. */
export interface LookedAt {
  readonly shard: number;
  /** A view is being formed: looked at in each tick. */
  readonly forming: boolean;
}

/** A copy with something under way is looked at in each tick of so many. */
export const TURNS = 5;
/** Any copy in each of so many ticks; a multiple of {@link TURNS}. */
const SELDOM = 25;
/** A copy counts as busy for one to two of these after it said or heard something. */
const BUSY_MS = 1000;

export class Rounds<Copy extends LookedAt> {
  #round = 0;
  #busy = new Set<Copy>();
  #before = new Set<Copy>();
  #turnedMs = 0;
  #allUntilMs = Number.NEGATIVE_INFINITY;

  /** Something is under way in this copy. */
  stir(copy: Copy): void {
    this.#busy.add(copy);
  }

  /** Something has happened that may concern every copy, and what follows takes so long. */
  stirAll(untilMs: number): void {
    this.#allUntilMs = Math.max(this.#allUntilMs, untilMs);
  }

  /** What followed from something that may concern every copy has had its time. */
  calm(nowMs: number): boolean {
    return nowMs >= this.#allUntilMs;
  }

  /** In this tick all that is counted over all copies is counted anew. */
  get counts(): boolean {
    return this.turn === 0;
  }

  /** Shards whose number is this modulo {@link TURNS} are looked at in this tick, if they are often. */
  get turn(): number {
    return this.#round % TURNS;
  }

  /** One tick. @param copies by shard */
  tick(copies: readonly Copy[], nowMs: number, look: (copy: Copy) => void): void {
    const every = nowMs < this.#allUntilMs ? TURNS : SELDOM;
    for (let shard = this.#round % every; shard < copies.length; shard += every)
      look(copies[shard]!);
    for (const set of [this.#busy, this.#before])
      for (const copy of set) {
        if (copy.shard % every === this.#round % every) continue;
        if (set === this.#before && this.#busy.has(copy)) continue;
        if (copy.forming || copy.shard % TURNS === this.turn) look(copy);
      }
    if (nowMs - this.#turnedMs < BUSY_MS) return;
    this.#turnedMs = nowMs;
    this.#before = this.#busy;
    this.#busy = new Set();
  }

  next(): void {
    this.#round++;
  }
}
