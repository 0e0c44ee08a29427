/** Copies that are left alone for a while: each time that this comes again soon, for twice as long. */
import type { CopyId } from './view.ts';

interface Pause {
  readonly untilMs: number;
  readonly delayMs: number;
}

export class PuttingOff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #pauses = new Map<CopyId, Pause>();

  /** @param minMs the first pause @param maxMs the longest, and how soon after one it counts as again */
  constructor(minMs: number, maxMs: number) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
  }

  /** @returns whether it was not put off already */
  put(id: CopyId, nowMs: number): boolean {
    const held = this.#pauses.get(id);
    if (held !== undefined && nowMs < held.untilMs) return false;
    const again = held !== undefined && nowMs < held.untilMs + this.#maxMs;
    const delayMs = again ? Math.min(2 * held.delayMs, this.#maxMs) : this.#minMs;
    this.#pauses.set(id, { untilMs: nowMs + delayMs, delayMs });
    return true;
  }

  has(id: CopyId, nowMs: number): boolean {
    const held = this.#pauses.get(id);
    return held !== undefined && nowMs < held.untilMs;
  }
}
