/** What the state of a shard weighs, alone and together with the others of its node. */
import type { Session } from './session.ts';

/** What the states of a node hold together. */
export interface StateSums {
  queuedBytes: number;
  filterBytes: number;
}

export class StateBytes {
  /** Bytes of all queued messages, each counted once however many sessions it waits for. */
  queued = 0;
  /** Bytes of the Topic Filters of all sessions. */
  filters = 0;
  readonly #sums: StateSums;

  constructor(sums: StateSums = { queuedBytes: 0, filterBytes: 0 }) {
    this.#sums = sums;
  }

  addQueued(bytes: number): void {
    this.queued += bytes;
    this.#sums.queuedBytes += bytes;
  }

  addFilter(bytes: number): void {
    this.filters += bytes;
    this.#sums.filterBytes += bytes;
  }

  /**
   * All queues of a state that was read.
   *
   * @param others log index and bytes of what waits elsewhere, an index more than once perhaps
   */
  addQueues(
    sessions: Iterable<Session>,
    others: Iterable<readonly [index: number, bytes: number]> = [],
  ): void {
    const counted = new Set<number>();
    for (const s of sessions) {
      for (let p = s.first; p < s.tail; p = s.unsettledFrom(p + 1)) {
        const ref = s.refAt(p);
        if (ref === 0 || counted.has(ref)) continue;
        counted.add(ref);
        this.addQueued(s.bytesAt(p));
      }
    }
    for (const [index, bytes] of others) {
      if (counted.has(index)) continue;
      counted.add(index);
      this.addQueued(bytes);
    }
  }

  reset(): void {
    this.addQueued(-this.queued);
    this.addFilter(-this.filters);
  }
}
