import { crc32 } from 'node:zlib';
import { FNV_BASIS, fnv1a, fnvStep } from '@shoal/swim/sim';

/**
 * What happened, in order: as a hash always, as readable lines when asked.
 *
 * Two runs of one seed must give one hash; that is how the simulator knows that it replays bit for
 * bit, so everything that crosses a boundary (packets, frames, faults, disk answers) is noted here.
 */
export class Transcript {
  /** Lines in order, at most {@link linesMax}; empty unless `readable`. */
  readonly lines: string[] = [];
  readonly readable: boolean;
  /** Bound of `lines`; the oldest fall away. */
  readonly linesMax: number;
  readonly #nowMs: () => number;
  #hash = FNV_BASIS;
  #count = 0;

  constructor(o: { nowMs: () => number; readable: boolean; linesMax?: number }) {
    this.#nowMs = o.nowMs;
    this.readable = o.readable;
    this.linesMax = o.linesMax ?? 200_000;
  }

  /** Events noted so far. */
  get events(): number {
    return this.#count;
  }

  /** Hash of all events so far, eight hexadecimal digits. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  /**
   * Notes one event. `bytes`, if any, enter the hash only.
   *
   * @param actor node or client
   * @param what name of the event, with its fields
   */
  note(actor: string, what: string, bytes?: Uint8Array): void {
    this.#count++;
    let hash = fnvStep(this.#hash, (this.#nowMs() * 1000) | 0);
    hash = fnv1a(what, fnv1a(actor, hash));
    if (bytes) hash = fnvStep(hash, crc32(bytes));
    this.#hash = hash;
    if (this.readable) this.say(actor, bytes === undefined ? what : `${what} [${bytes.length} B]`);
  }

  /** Adds a readable line that is not part of the hash (logs, remarks). */
  say(actor: string, what: string): void {
    if (!this.readable) return;
    if (this.lines.length >= this.linesMax) this.lines.splice(0, this.linesMax >> 2);
    this.lines.push(`${this.#nowMs().toFixed(3).padStart(11)} ${actor.padEnd(8)} ${what}`);
  }
}
