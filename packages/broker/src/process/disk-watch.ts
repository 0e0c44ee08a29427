import type { Log } from '../ports.ts';

/** Says when a write to the disk hangs, and when the disk writes again. */
export class DiskWatch {
  /** A write has been under way for longer than the node bears. */
  hangs = false;
  readonly #unwellAfterMs: number;
  readonly #log: Log;

  constructor(unwellAfterMs: number, log: Log) {
    this.#unwellAfterMs = unwellAfterMs;
    this.#log = log;
  }

  /** @returns whether that has changed */
  look(underWayMs: number): boolean {
    const hangs = underWayMs > this.#unwellAfterMs;
    if (hangs === this.hangs) return false;
    this.hangs = hangs;
    this.#log('warn', hangs ? 'a write to the disk hangs' : 'the disk writes again', {});
    return true;
  }
}
