/**
 * A small seeded source of randomness (Chris Doty-Humphrey's sfc32), so that a run's choices, though
 * not the timing of real processes, can be drawn again from the seed that it printed.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed any string; equal seeds draw equal sequences */
  constructor(seed: string) {
    const [a, b, c] = mix(seed);
    this.#a = a;
    this.#b = b;
    this.#c = c;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** Uniform in [0, 1). */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4294967296;
  }

  /** Uniform integer, both ends included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** Uniform real in [low, high). */
  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** @throws RangeError if `items` is empty */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('nothing to pick from');
    return items[Math.floor(this.next() * items.length)] as T;
  }

  /** An independent source: drawing from it does not disturb this one. */
  fork(label: string): Random {
    return new Random(`${this.next()}/${label}`);
  }
}

/** Three 32-bit words from a string: FNV-1a with three offsets. */
function mix(seed: string): [number, number, number] {
  const words: [number, number, number] = [0x811c9dc5, 0x01000193, 0x9e3779b9];
  for (let i = 0; i < seed.length; i++) {
    const unit = seed.charCodeAt(i);
    words[0] = Math.imul(words[0] ^ unit, 0x01000193);
    words[1] = Math.imul(words[1] ^ (unit + 0x55), 0x01000193);
    words[2] = Math.imul(words[2] ^ (unit + 0xaa), 0x01000193);
  }
  return words;
}
