import { Checker, type World } from './checker.ts';

const LOOK_EVERY_MS = 500;

/**
 * Invariant 12: cutting power on all nodes at any step violates none of the others.
 *
 * The others are asserted as in every run; what this adds is the log's own side of it: a commit
 * point that some leader has shown is never behind again once the cluster is whole.
 */
export class CommittedDurable extends Checker {
  readonly invariant = '12 committed is durable';
  #lookedMs = 0;
  /** shard → highest commit index that a leader showed. */
  readonly #committed = new Map<number, number>();

  override onInterval(world: World): void {
    if (world.nowMs - this.#lookedMs < LOOK_EVERY_MS) return;
    this.#lookedMs = world.nowMs;
    for (const { inspection } of world.inspections()) {
      for (const copy of inspection.shards) {
        if (copy.role !== 'leader') continue;
        const before = this.#committed.get(copy.shard) ?? 0;
        if (copy.commitIndex > before) this.#committed.set(copy.shard, copy.commitIndex);
      }
    }
  }

  override finish(world: World): void {
    const now = new Map<number, number>();
    for (const { inspection } of world.inspections()) {
      for (const copy of inspection.shards) {
        now.set(copy.shard, Math.max(now.get(copy.shard) ?? 0, copy.commitIndex));
      }
    }
    for (const [shard, index] of this.#committed) {
      if ((now.get(shard) ?? 0) < index) {
        this.fail(
          `shard ${shard}: index ${index} was committed, the cluster is at ${now.get(shard)}`,
        );
      }
    }
  }
}
