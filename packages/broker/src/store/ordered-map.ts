/**
 * A map whose keys iterate in order, for the memory store: strings compared by UTF-16 code unit.
 *
 * Keys live in sorted chunks, so that an insertion moves at most one chunk:
 *
 *     chunks ─► [ a b c ] [ d f ] [ g h i … ]     each 1 … CHUNK_KEYS_MAX keys, chunks in order
 *     values ─► Map key → value
 *
 * Lookup is one Map access; insertion and removal are O(log n + CHUNK_KEYS_MAX); a range costs what
 * it returns.
 */

/** Keys in a chunk before it splits in two. */
const CHUNK_KEYS_MAX = 256;

export class OrderedMap<V> {
  readonly #values = new Map<string, V>();
  readonly #chunks: string[][] = [];

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: V): void {
    if (!this.#values.has(key)) this.#insertKey(key);
    this.#values.set(key, value);
  }

  delete(key: string): void {
    if (!this.#values.delete(key)) return;
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at]!;
    chunk.splice(lowerBound(chunk, key), 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** Calls `visit` with entries of gte ≤ key < lt in key order until it returns false. */
  range(gte: string, lt: string, visit: (key: string, value: V) => boolean): void {
    for (let at = this.#chunkOf(gte); at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at]!;
      for (let i = lowerBound(chunk, gte); i < chunk.length; i++) {
        const key = chunk[i]!;
        if (key >= lt || !visit(key, this.#values.get(key)!)) return;
      }
    }
  }

  /** Every entry in key order. */
  *entries(): IterableIterator<[string, V]> {
    for (const chunk of this.#chunks) {
      for (const key of chunk) yield [key, this.#values.get(key)!];
    }
  }

  #insertKey(key: string): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push([key]);
      return;
    }
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at]!;
    chunk.splice(lowerBound(chunk, key), 0, key);
    if (chunk.length > CHUNK_KEYS_MAX) {
      this.#chunks.splice(at + 1, 0, chunk.splice(chunk.length >> 1));
    }
  }

  /** Index of the last chunk that starts at or before `key`; 0 if none does. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#chunks[middle]![0]! <= key) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : low - 1;
  }
}

/** Index of the first key that is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
