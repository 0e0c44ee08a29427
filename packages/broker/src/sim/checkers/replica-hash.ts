import type { ShardInspection } from '../core-port.ts';
import { Checker, type World } from './checker.ts';

/**
 * Invariant 11: once all is quiet, copies' state hashes are equal; and at any time a view has one
 * leader.
 */
export class ReplicaHash extends Checker {
  readonly invariant = '11 replicas agree';
  /** shard/view → leader that was seen to lead it. */
  private readonly leaders = new Map<string, string>();

  override onInterval(world: World): void {
    for (const { node, inspection } of world.inspections()) {
      for (const copy of inspection.shards) {
        if (copy.role !== 'leader') continue;
        const key = `${copy.shard}/${copy.view}`;
        const leader = this.leaders.get(key);
        if (leader === undefined) this.leaders.set(key, node);
        else if (leader !== node) {
          this.leaders.set(key, node);
          this.fail(`shard ${copy.shard}: ${leader} and ${node} both lead view ${copy.view}`);
        }
      }
    }
  }

  override pending(world: World): string | undefined {
    return this.difference(world);
  }

  override finish(world: World): void {
    const difference = this.difference(world);
    if (difference !== undefined) this.fail(difference);
  }

  private difference(world: World): string | undefined {
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
      for (const { node, copy } of list) {
        if (copy.view !== leader.copy.view || !leader.copy.active.includes(node)) continue;
        if (copy.commitIndex !== leader.copy.commitIndex) {
          return `shard ${shard}: ${node} at ${copy.commitIndex}, leader ${leader.node} at ${leader.copy.commitIndex}`;
        }
        if (copy.stateHash !== leader.copy.stateHash) {
          return `shard ${shard}: state of ${node} differs from that of ${leader.node} at index ${copy.commitIndex}`;
        }
      }
    }
    return undefined;
  }
}
