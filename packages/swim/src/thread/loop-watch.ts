/** Between two looks at the counter. */
export const LOOK_MS = 100;
/** Between two beats of the main loop. */
export const BEAT_MS = 100;
/** Longest time that one look accounts for. */
const AWAKE_MS_MAX = 2 * LOOK_MS;

/** How the main loop is, as seen from the thread. */
export type LoopState = 'well' | 'unwell' | 'dead';

/** When a silent main loop counts as what. */
export interface LoopWatchOptions {
  /** Silence after which it is unwell. */
  readonly unwellAfterMs: number;
  /** Silence after which it is as good as dead; 0 for never. */
  readonly deadAfterMs: number;
}

/**
 * Judges another event loop by a counter that it raises.
 *
 * Time passes only as far as this thread was awake to look: after a pause of the whole process
 * (SIGSTOP, a suspended machine) the other loop gets its chance before it is blamed.
 */
export class LoopWatch {
  readonly #options: LoopWatchOptions;
  #beats: number;
  #lastMs: number;
  #silent = 0;

  constructor(options: LoopWatchOptions, beats: number, nowMs: number) {
    this.#options = options;
    this.#beats = beats;
    this.#lastMs = nowMs;
  }

  /** Time without a beat, as far as this thread was awake. */
  get silentMs(): number {
    return this.#silent;
  }

  /** To be called every {@link LOOK_MS}. @param beats the counter, whatever it began with */
  look(beats: number, nowMs: number): LoopState {
    const passedMs = Math.min(nowMs - this.#lastMs, AWAKE_MS_MAX);
    this.#lastMs = nowMs;
    this.#silent = beats === this.#beats ? this.#silent + passedMs : 0;
    this.#beats = beats;
    const { unwellAfterMs, deadAfterMs } = this.#options;
    if (deadAfterMs > 0 && this.#silent > deadAfterMs) return 'dead';
    return this.#silent > unwellAfterMs ? 'unwell' : 'well';
  }
}
