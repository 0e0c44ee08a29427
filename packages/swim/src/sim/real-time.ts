import type { PlannedCall, TimeSource } from './scheduler.ts';

/** Real time, as a simulated network takes it. */
export class RealTime implements TimeSource {
  get nowMs(): number {
    return performance.now();
  }

  after(delayMs: number, fn: () => void): PlannedCall {
    return new RealCall(delayMs, fn);
  }

  cancel(call: PlannedCall): void {
    call.fn = undefined;
    if (call instanceof RealCall) call.free();
  }
}

/** Immediates keep their order, which timers of no delay do not promise. */
class RealCall implements PlannedCall {
  fn: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(delayMs: number, fn: () => void) {
    this.fn = fn;
    const run = (): void => this.fn?.();
    if (delayMs > 0) this.#timer = setTimeout(run, delayMs);
    else setImmediate(run);
  }

  free(): void {
    clearTimeout(this.#timer);
  }
}
