import type { Context } from './context.ts';
import type { Timers } from './timers.ts';

/** The stable view looks at the time at least so often while it waits for something. */
const CUT_WAKE_MS_MAX = 5_000;

/** Looks at the stable view at the end of each step, and when its next change may be due. */
export class ViewWatch {
  readonly #context: Context;
  readonly #timers: Timers;
  #token = 0;
  #wakeMs = Number.POSITIVE_INFINITY;

  constructor(context: Context, timers: Timers) {
    this.#context = context;
    this.#timers = timers;
  }

  /** Gives a new stable view, if there is one, and asks to be woken for the next. */
  look(): void {
    const { cut, counters, health, nowMs } = this.#context;
    const { change, massBegan } = cut.step(nowMs);
    if (massBegan) {
      counters.massSuspicions++;
      health.adjust(1);
    }
    if (change !== undefined) {
      counters.viewChanges++;
      this.#context.emit({ type: 'view-changed', ...change });
    }
    this.#arm();
  }

  /** Looks again in time; at least now and then, so that few timers wait though the time changes. */
  #arm(): void {
    const { nowMs, phase, cut } = this.#context;
    const wakeMs = phase === 'left' ? Number.POSITIVE_INFINITY : Math.max(nowMs, cut.dueMs);
    if (this.#wakeMs > nowMs && this.#wakeMs <= wakeMs) return;
    this.#timers.disarm(this.#token);
    const afterMs = Math.min(wakeMs - nowMs, CUT_WAKE_MS_MAX);
    this.#wakeMs = wakeMs === Number.POSITIVE_INFINITY ? wakeMs : nowMs + afterMs;
    if (wakeMs < Number.POSITIVE_INFINITY) this.#token = this.#timers.arm({ kind: 'cut' }, afterMs);
  }
}
