import type { SwimErrorCode } from '../errors.ts';
import type { Context } from './context.ts';

const INTERVAL_MS = 10_000;
/** Subjects whose last notice is remembered, to repeat it seldom; beyond, all are forgotten. */
const NOTICES_MAX = 256;

/** What an operator is told: the same at most once in ten seconds. */
export class Notices {
  readonly #context: Context;
  readonly #saidMs = new Map<string, number>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Notices that are not to be repeated yet. */
  get size(): number {
    return this.#saidMs.size;
  }

  say(code: SwimErrorCode, address: string): void {
    const { nowMs } = this.#context;
    const key = `${code} ${address}`;
    const lastMs = this.#saidMs.get(key);
    if (lastMs !== undefined && nowMs - lastMs < INTERVAL_MS) return;
    if (this.#saidMs.size >= NOTICES_MAX) this.#saidMs.clear();
    this.#saidMs.set(key, nowMs);
    this.#context.emit({ type: 'notice', code, address });
  }
}
