/** Calls `tick` for as long as the process runs, each time after the pause that is asked for then. */

export interface Ticked {
  tick(): void;
  /** Until the next call, in milliseconds. */
  readonly pauseMs: number;
}

export class Ticker {
  readonly #ticked: Ticked;
  readonly #onTick: (lateMs: number) => void;
  #stopped = false;
  #timer: NodeJS.Timeout;
  #pauseMs: number;
  #dueMs: number;

  /** @param onTick how many milliseconds late a tick comes */
  constructor(ticked: Ticked, onTick: (lateMs: number) => void = () => {}) {
    this.#ticked = ticked;
    this.#onTick = onTick;
    this.#pauseMs = ticked.pauseMs;
    this.#dueMs = performance.now() + this.#pauseMs;
    this.#timer = setTimeout(this.#onTime, this.#pauseMs);
  }

  /** The pause may have become shorter. */
  hasten(): void {
    if (this.#ticked.pauseMs >= this.#pauseMs) return;
    clearTimeout(this.#timer);
    this.#later();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  readonly #onTime = (): void => {
    this.#onTick(Math.max(0, performance.now() - this.#dueMs));
    this.#ticked.tick();
    this.#later();
  };

  #later(): void {
    if (this.#stopped) return;
    this.#pauseMs = this.#ticked.pauseMs;
    this.#dueMs = performance.now() + this.#pauseMs;
    this.#timer = setTimeout(this.#onTime, this.#pauseMs);
  }
}
