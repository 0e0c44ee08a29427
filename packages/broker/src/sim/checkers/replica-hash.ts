import type { ShardInspection } from '../core-port.ts';
import { Checker, type World } from './checker.ts';

/** How often committed states are compared while faults go on. */
const COMPARE_EVERY_MS = 1000;

/**
 * Invariant 11: once all is quiet, copies' state hashes are equal; and at any time two copies whose
 * whole log is committed up to the same index are in the same state.
 */
export class ReplicaHash extends Checker {
  readonly invariant = '11 replicas agree';
  /** shard/index → hash of the state after it, and who showed it. */
  readonly #committed = new Map<string, { hash: string | number; node: string }>();
  #comparedMs = 0;

  override onInterval(world: World): void {
    if (world.nowMs - this.#comparedMs < COMPARE_EVERY_MS) return;
    this.#comparedMs = world.nowMs;
    for (const { node, inspection } of world.inspections()) {
      for (const copy of inspection.shards) {
        // A learner's snapshot may be ahead of the commit point.
        if (!copy.valid || !copy.active.includes(node)) continue;
        if (copy.commitIndex !== copy.endIndex) continue;
        const key = `${copy.shard}/${copy.endIndex}`;
        const hash = copy.stateHash;
        const known = this.#committed.get(key);
        if (known === undefined) this.#committed.set(key, { hash, node });
        else if (known.hash !== hash) {
          this.fail(
            `shard ${copy.shard}: after committed index ${copy.endIndex} the state of ${node} is ` +
              `not what ${known.node} showed`,
          );
        }
      }
    }
  }

  override pending(world: World): string | undefined {
    return this.#difference(world);
  }

  override finish(world: World): void {
    const difference = this.#difference(world);
    if (difference !== undefined) this.fail(difference);
  }

  #difference(world: World): string | undefined {
    const copies = new Map<number, { node: string; copy: ShardInspection }[]>();
    for (const { node, inspection } of world.inspections()) {
      for (const copy of inspection.shards) {
        if (copy.role !== 'leader' && copy.role !== 'follower') continue;
        const list = copies.get(copy.shard);
        if (list === undefined) copies.set(copy.shard, [{ node, copy }]);
        else list.push({ node, copy });
      }
    }
    for (const [shard, list] of copies) {
      const leader = list.find((c) => c.copy.role === 'leader');
      if (leader === undefined) return `shard ${shard} has no leader`;
      if (leader.copy.commitIndex !== leader.copy.endIndex) {
        return `shard ${shard}: leader ${leader.node} has uncommitted entries`;
      }
      for (const { node, copy } of list) {
        if (copy.view !== leader.copy.view || !leader.copy.active.includes(node)) continue;
        if (copy.endIndex !== leader.copy.endIndex) {
          return (
            `shard ${shard}: log of ${node} ends at ${copy.endIndex}, that of leader ` +
            `${leader.node} at ${leader.copy.endIndex}`
          );
        }
        if (copy.stateHash !== leader.copy.stateHash) {
          return `shard ${shard}: state of ${node} differs from that of ${leader.node} at index ${copy.endIndex}`;
        }
      }
    }
    return undefined;
  }
}
