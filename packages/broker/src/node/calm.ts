/**
 * Whether nothing is under way in a node. One that is calm is looked at, and answers heartbeats, less often:
 * on an idle machine the cost of a node is how often it wakes.
 */

/** Without an event for so long, and with nothing that waits, a node is calm. */
const CALM_AFTER_MS = 1000;

export class Calm {
  readonly #hasten: () => void;
  #stirred = true;
  #stirredMs = Number.NEGATIVE_INFINITY;
  #calm = false;

  /** @param hasten the next tick is to come soon */
  constructor(hasten: () => void) {
    this.#hasten = hasten;
  }

  get now(): boolean {
    return this.#calm;
  }

  /** Something happens that may need to be looked at soon: anything but heartbeats and what they cause. */
  stir(): void {
    this.#stirred = true;
    if (!this.#calm) return;
    this.#calm = false;
    this.#hasten();
  }

  /** One tick. @param waits something is under way that no event tells of */
  tick(nowMs: number, waits: boolean): void {
    if (this.#stirred || waits) this.#stirredMs = nowMs;
    this.#stirred = false;
    this.#calm = nowMs - this.#stirredMs >= CALM_AFTER_MS;
  }
}
