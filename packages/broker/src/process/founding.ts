/** Whether a start founds a cluster, and in which order it boots. */
import type { Identity } from '../node/members/identity.ts';

/**
 * The identity that this start goes on with. A folder of no cluster, told of no member, founds one. Its cluster
 * id follows from the folder's store id, which is on disk before any packet: members may join before the folder
 * says that it is of a cluster, and a founder that loses power in between must found the same one again.
 *
 * @param told addresses of members, and ways to find them
 * @returns `founds`: the core is to write the first view of every shard
 */
export function foundingIdentity<I extends Pick<Identity, 'clusterId' | 'shardCount' | 'storeId'>>(
  identity: I,
  told: readonly string[],
): { readonly identity: I; readonly founds: boolean } {
  if (identity.clusterId !== '' || told.length > 0) return { identity, founds: false };
  const clusterId = `c${identity.storeId}`;
  return { identity: { ...identity, clusterId }, founds: identity.shardCount === 0 };
}

export type BootStep = 'join' | 'load';

/**
 * Joining membership, and loading the shards from disk. A founder is a member first, so that it founds nothing
 * where a port is taken. Any other node loads first, so that peers find it only once it can answer.
 */
export function bootOrder(founds: boolean): readonly [BootStep, BootStep] {
  return founds ? ['join', 'load'] : ['load', 'join'];
}
