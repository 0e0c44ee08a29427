/** Whether a node that leaves is still needed. */
import { type CopyId, compareNumbers, nameOf, type ViewNumber } from '../../shard/view.ts';
import type { Peers } from '../link/peers.ts';
import type { ShardView, Views } from '../link/views.ts';

/** The view names the node: as one that holds, that votes, or whose vote is being taken away. */
function names({ active, voters, oldVoters }: ShardView, name: string): boolean {
  const isIt = (id: string) => nameOf(id) === name;
  return active.some(isIt) || voters.some(isIt) || oldVoters.some(isIt);
}

/** Shards whose view names the node. */
export function shardsNeeding(views: Views, name: string): number {
  let count = 0;
  for (const view of views) if (names(view, name)) count++;
  return count;
}

/** The parts of a node that decide whether it is still needed. */
export interface LeavingNode {
  readonly name: string;
  readonly shardCount: number;
  readonly views: Views;
  readonly peers: Peers;
  readonly draining: { readonly done: boolean };
  readonly shards: { readonly led: ReadonlySet<unknown>; readonly copies: readonly OwnCopy[] };
}

/** What this node's copy of a shard has promised or recorded. */
interface OwnCopy {
  readonly shard: number;
  readonly promised: ViewNumber;
  readonly view: { readonly number: ViewNumber };
  refuse(leader: CopyId, number: ViewNumber): void;
}

/**
 * It has no clients any more, and every shard is known to be led elsewhere, by a node within reach and a
 * view that does not name it.
 */
export function isDrained(node: LeavingNode): boolean {
  const { name, shardCount, views, peers, shards, draining } = node;
  if (shards.led.size > 0 || !draining.done) return false;
  for (let shard = 0; shard < shardCount; shard++) {
    const leader = views.leader(shard);
    if (leader === '' || leader === name || peers.get(leader)?.up !== true) return false;
  }
  return shardsNeeding(views, name) === 0 && shards.copies.every((c) => !isBeyond(c, views));
}

/** The copy knows of a view newer than the one announced, which may name this node. */
function isBeyond({ shard, promised, view }: OwnCopy, views: Views): boolean {
  const announced = views.get(shard);
  if (!announced) return true;
  return (
    compareNumbers(promised, announced.number) > 0 ||
    compareNumbers(view.number, announced.number) > 0
  );
}

/**
 * Tells leaders of promises that this node gave for views which were never announced, so that they
 * form newer ones: otherwise the node could never say that none of them will need it.
 */
export function takeBackPromises({ views, shards }: LeavingNode): void {
  for (const copy of shards.copies) {
    const announced = views.get(copy.shard);
    if (announced && isBeyond(copy, views)) copy.refuse(announced.number.leader, announced.number);
  }
}
