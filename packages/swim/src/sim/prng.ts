/**
 * Seeded chance for simulators and benchmarks, and their only source of it: sfc32, seeded from a number or
 * a text.
 *
 * One seed draws a whole history, so that a failure is reproduced by its seed alone. It is not
 * fit for cryptography.
 *
 * Streams are split by label ({@link Prng.fork}), never by drawing from the parent: adding a draw
 * to one part of a simulation must not change what every other part draws.
 */
import { FNV_BASIS, fnv1a } from '../core/fnv.ts';

export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  readonly #key: string;

  /** @param seed any number or text; equal seeds give equal streams. */
  constructor(seed: number | string) {
    this.#key = String(seed);
    this.#a = hash32(this.#key, FNV_BASIS);
    this.#b = hash32(this.#key, 0x9e3779b9);
    this.#c = hash32(this.#key, 0x85ebca6b);
    // sfc32 needs a dozen rounds before its output no longer shows the seed.
    for (let round = 0; round < 15; round++) this.uint32();
  }

  /** The next 32 random bits, as an unsigned integer. */
  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A number in [0, 1) with 53 random bits. */
  next(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** An integer, lo ≤ n ≤ hiInclusive. */
  int(lo: number, hiInclusive: number): number {
    if (hiInclusive < lo) throw new RangeError(`no integer in ${lo}..${hiInclusive}`);
    return lo + Math.floor(this.next() * (hiInclusive - lo + 1));
  }

  /** A number in [lo, hi). */
  between(lo: number, hi: number): number {
    return lo + this.next() * (hi - lo);
  }

  /** True with the given probability; always draws once, so that p does not shift the stream. */
  chance(p: number): boolean {
    return this.next() < p;
  }

  /** One element of a non-empty array. */
  pick<T>(arr: readonly T[]): T {
    if (arr.length === 0) throw new RangeError('cannot pick from nothing');
    return arr[this.int(0, arr.length - 1)] as T;
  }

  /** Shuffles in place (Fisher–Yates) and returns the same array. */
  shuffle<T>(arr: T[]): T[] {
    for (let last = arr.length - 1; last > 0; last--) {
      const other = this.int(0, last);
      const kept = arr[last] as T;
      arr[last] = arr[other] as T;
      arr[other] = kept;
    }
    return arr;
  }

  /**
   * An independent stream for one part of the simulation.
   *
   * Depends on this generator's seed and the label only, not on what was drawn so far.
   */
  fork(label: string): Prng {
    return new Prng(`${this.#key}/${label}`);
  }
}

/** FNV-1a over UTF-16 code units with a final avalanche (MurmurHash3's fmix32). */
function hash32(text: string, basis: number): number {
  let hash = fnv1a(text, basis);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
