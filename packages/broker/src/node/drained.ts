/** Whether a node that leaves is still needed. */
import { nameOf } from '../shard/view.ts';
import type { Peers } from './peers.ts';
import type { ShardView, Views } from './views.ts';

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

/** What of a node says whether it is needed. */
export interface LeavingNode {
  readonly name: string;
  readonly shardCount: number;
  readonly views: Views;
  readonly peers: Peers;
  readonly shards: { readonly led: ReadonlySet<unknown> };
  readonly draining: { readonly done: boolean };
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
  return shardsNeeding(views, name) === 0;
}
