/**
 * A set of topics in code unit order that can be searched by Topic Filters: where retained messages are.
 *
 * Sorted runs of at most {@link RUN_MAX}: 8 to 16 bytes a topic beside its string, a binary search to
 * find, add and delete. A search can stop anywhere and go on from a topic later, even if topics
 * were added or deleted meanwhile.
 */
import type { FilterSet } from './filter-set.ts';

/** Topics of one run; a longer one is parted. */
const RUN_MAX = 512;

export class TopicIndex {
  readonly #runs: string[][] = [];
  #topics = 0;

  get size(): number {
    return this.#topics;
  }

  has(topic: string): boolean {
    const run = this.#runs[this.#runOf(topic)];
    return run !== undefined && run[placeOf(run, topic)] === topic;
  }

  /** @returns false if it was in already */
  add(topic: string): boolean {
    const runs = this.#runs;
    const r = Math.min(this.#runOf(topic), Math.max(0, runs.length - 1));
    const run = runs[r];
    if (!run) {
      runs.push([topic]);
    } else {
      const at = placeOf(run, topic);
      if (run[at] === topic) return false;
      run.splice(at, 0, topic);
      if (run.length > RUN_MAX) runs.splice(r + 1, 0, run.splice(run.length >>> 1));
    }
    this.#topics++;
    return true;
  }

  /** @returns false if it was not in */
  delete(topic: string): boolean {
    const runs = this.#runs;
    const r = this.#runOf(topic);
    const run = runs[r];
    if (!run) return false;
    const at = placeOf(run, topic);
    if (run[at] !== topic) return false;
    run.splice(at, 1);
    this.#topics--;
    const next = runs[r + 1];
    if (run.length === 0) {
      runs.splice(r, 1);
    } else if (next && run.length + next.length < RUN_MAX / 4) {
      run.push(...next);
      runs.splice(r + 1, 1);
    }
    return true;
  }

  /** The first run that reaches up to `topic` or beyond; the number of runs if none does. */
  #runOf(topic: string): number {
    const runs = this.#runs;
    let low = 0;
    let high = runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const run = runs[middle]!;
      if (run[run.length - 1]! < topic) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Visits topics from `from` on that a filter matches, in ascending order, until `visit` returns
   * false or the search has cost `steps`.
   *
   * @returns from where to go on, undefined at the end
   */
  search(
    filters: FilterSet,
    from: string,
    steps: number,
    visit: (topic: string) => boolean,
  ): string | undefined {
    const runs = this.#runs;
    const stepsEnd = filters.steps + steps;
    let r = this.#runOf(from);
    let at = r < runs.length ? placeOf(runs[r]!, from) : 0;
    while (r < runs.length) {
      const run = runs[r]!;
      const topic = run[at]!;
      if (filters.steps >= stepsEnd) return topic;
      const found = filters.probe(topic);
      if (found === undefined) return undefined;
      if (found === true && !visit(topic)) return `${topic}\0`;
      at++;
      if (at === run.length) {
        r++;
        at = 0;
      }
      const next = runs[r]?.[at];
      if (found === true || next === undefined || next >= found) continue;
      // A leap: most often within this run.
      const within = r < runs.length && found <= runs[r]![runs[r]!.length - 1]!;
      if (!within) r = this.#runOf(found);
      at = r < runs.length ? placeOf(runs[r]!, found) : 0;
    }
    return undefined;
  }

  /** Every topic, ascending. */
  *[Symbol.iterator](): IterableIterator<string> {
    for (const run of this.#runs) yield* run;
  }

  clear(): void {
    this.#runs.length = 0;
    this.#topics = 0;
  }
}

/** The first place in a run whose topic is not below `topic`. */
function placeOf(run: readonly string[], topic: string): number {
  let low = 0;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (run[middle]! < topic) low = middle + 1;
    else high = middle;
  }
  return low;
}
