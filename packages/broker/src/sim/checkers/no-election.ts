import { Checker, type World } from './checker.ts';

/**
 * Invariant 13: an election follows only from a fault, never from load.
 *
 * Judged in runs in which nothing strikes nodes, disks or links, with any load of clients and links
 * that carry little.
 */
export class NoElection extends Checker {
  readonly invariant = '13 load causes no election';
  readonly #calm: boolean;
  #failed = false;
  readonly #founding = new Map<string, number>();

  /** @param calm no fault of the run is one of nodes, disks or links */
  constructor(calm: boolean) {
    super();
    this.#calm = calm;
  }

  override onInterval(world: World): void {
    if (!this.#calm || this.#failed) return;
    for (const { node, inspection } of world.inspections()) {
      const { elections = 0 } = inspection;
      // A founder stands once for every shard, before any client publishes.
      if (this.history.messages.length === 0) this.#founding.set(node, elections);
      const more = elections - (this.#founding.get(node) ?? 0);
      if (more === 0) continue;
      this.#failed = true;
      this.fail(`${node} stood for leader of ${more} shards though nothing failed`);
      return;
    }
  }
}
