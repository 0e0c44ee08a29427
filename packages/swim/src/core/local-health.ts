/**
 * Lifeguard's local health: how far this process should doubt itself.
 *
 * 0 is well. Each sign that it may be the one that hears badly (a failed probe whose helpers kept
 * silent too, a suspicion about itself, a late timer) adds one; each probe that succeeds takes one
 * away. Period and timeout of its probes are scaled by score + 1.
 */
export class LocalHealth {
  #value = 0;
  readonly #scoreMax: number;

  constructor(scoreMax: number) {
    this.#scoreMax = scoreMax;
  }

  /** 0 (well) ≤ score ≤ scoreMax. */
  get score(): number {
    return this.#value;
  }

  adjust(delta: number): void {
    this.#value = Math.min(this.#scoreMax, Math.max(0, this.#value + delta));
  }

  scale(durationMs: number): number {
    return durationMs * (this.#value + 1);
  }
}
