/** How many copies a shard should have, and which of those that its view names are really there. */
import type { MemberInfo } from '../../ports.ts';
import { type CopyId, copyId, nameOf } from '../../shard/view.ts';
import type { ShardView } from '../link/views.ts';
import { isPresent, type Membership } from './membership.ts';

/** A member that placement gives shards to. */
export function isUsable(m: MemberInfo): boolean {
  return isPresent(m) && !m.meta.leaving;
}

/**
 * Copies wanted of each shard: min(replicas, hosts).
 *
 * The hosts of dead members count until those are forgotten: who lost one of three copies has one
 * too few, also when there is no fourth host to make it anew.
 */
export function copiesWanted(membership: Membership, replicas: number): number {
  const hosts = new Set<string>();
  for (const m of membership.members)
    if (m.state !== 'left' && !m.meta.leaving) hosts.add(m.meta.host);
  return Math.max(1, Math.min(replicas, hosts.size));
}

/** Those copies whose member runs, with the data folder that the view means. */
export function presentCopies(membership: Membership, active: readonly CopyId[]): CopyId[] {
  return active.filter((id) => {
    const m = membership.get(nameOf(id));
    if (!m || !isPresent(m)) return false;
    return copyId(m.name, m.meta.storeId) === id;
  });
}

/**
 * Whether the shard's voters are as many as its copies allow, and no change of them is under way:
 * before that the loss of one node may stop it, however many copies there are.
 */
export function isSettled(view: ShardView | null, wanted: number): boolean {
  if (!view || view.oldVoters.length > 0) return false;
  return view.voters.length >= (wanted % 2 === 1 ? wanted : wanted - 1);
}
