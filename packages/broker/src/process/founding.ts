/** Whether a start founds a cluster, and in which order it boots. */
import { type Identity, randomId } from '../node/members/identity.ts';

const CLUSTER_ID_CHARACTERS = 16;

/**
 * The identity that this start goes on with. A folder of no cluster, told of no member, founds one, under a new
 * cluster id.
 *
 * @param told addresses of members, and ways to find them
 * @returns `founds`: the core is to write the first view of every shard
 */
export function foundingIdentity<I extends Pick<Identity, 'clusterId' | 'shardCount'>>(
  identity: I,
  told: readonly string[],
  random: () => number,
): { readonly identity: I; readonly founds: boolean } {
  if (identity.clusterId !== '' || told.length > 0) return { identity, founds: false };
  const clusterId = randomId(random, CLUSTER_ID_CHARACTERS);
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
