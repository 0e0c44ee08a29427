/** How often a shard's state refers to log entries: which of them are not needed any more. */

export class References {
  /** Log indexes with more than one reference. */
  readonly #multi = new Map<number, number>();
  #freed: number[] = [];

  /** Nothing refers to a new entry. */
  free(index: number): void {
    this.#freed.push(index);
  }

  /** More than one reference to a new entry; a single one is not counted. */
  share(index: number, references: number): void {
    this.#multi.set(index, references);
  }

  /** One reference less. @returns whether it was the last one */
  release(index: number): boolean {
    const count = this.#multi.get(index);
    if (count === undefined) {
      this.#freed.push(index);
      return true;
    }
    if (count > 2) this.#multi.set(index, count - 1);
    else this.#multi.delete(index);
    return false;
  }

  /** Entries without a reference since the last call, in the order in which they lost it. */
  takeFreed(): number[] {
    const freed = this.#freed;
    this.#freed = [];
    return freed;
  }

  /** @param references all that there are; an index that is referred to twice comes twice */
  count(references: Iterable<number>): void {
    const once = new Set<number>();
    for (const index of references) {
      if (once.has(index)) this.#multi.set(index, (this.#multi.get(index) ?? 1) + 1);
      else once.add(index);
    }
  }

  clear(): void {
    this.#multi.clear();
    this.#freed = [];
  }
}
