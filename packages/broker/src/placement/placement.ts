import { type MatchingProblem, match } from './matching.ts';
import { nameHash, score } from './score.ts';
import {
  capOf,
  copyShares,
  leaderShares,
  type PlacementMember,
  type Topology,
  topologyOf,
} from './share.ts';

export type { PlacementMember };

/** Who should hold each shard: advice to the shards' views, never itself an agreement. */
export interface Placement {
  readonly shardCount: number;
  /**
   * The members that should hold a copy of `shard`, preferred leader first, then by descending
   * preference: min(replicas, hosts) names, on distinct hosts; empty without members.
   */
  targets(shard: number): readonly string[];
  /**
   * The members whose majority decides about views of `shard`: the largest odd number that is at most
   * the number of hosts and at most `replicas` rounded up to odd. The targets first; with an even
   * number of replicas and a host to spare, one more that holds no data.
   */
  voters(shard: number): readonly string[];
}

/**
 * Places `shardCount` shards with `replicas` copies each on the members.
 *
 * Pure: every node with the same members computes the same table, in any order in which it learned of
 * them. All (shard, member) pairs are taken in descending weighted rendezvous score, with these rules
 * before the score: one copy of a shard per host; zones filled evenly, so that losing one costs the
 * fewest copies; no member above its cap (see share.ts). The rules of a shard win over caps.
 * Preferred leaders are chosen from each shard's copies the same way, with caps of their own.
 *
 * Costs about 1 ms per 10,000 pairs; 100 members × 1024 shards are some 0.1 s, which is why the
 * caller computes large tables off the event loop or between heartbeats.
 *
 * @param members live and not leaving, in any order, at most 1,000
 * @param shardCount 1 ≤ shardCount ≤ 65,536
 * @param replicas ≥ 1
 * @see "Weighted distributed hash tables" (2005), "Consistent Hashing with Bounded Loads" (2016)
 */
export function place(
  members: readonly PlacementMember[],
  shardCount: number,
  replicas: number,
): Placement {
  const topology = topologyOf(members, replicas);
  const memberCount = topology.members.length;
  if (memberCount === 0) {
    return { shardCount, targets: () => [], voters: () => [] };
  }
  const scores = scoresOf(topology, shardCount);
  const order = descending(scores);
  const shares = copyShares(topology, shardCount);
  const copies = match({
    shardCount,
    memberCount,
    slots: topology.copies,
    caps: shares.map((share) => capOf(share, shardCount)),
    order,
    fits: copyRule(topology),
  });
  const leaders = match({
    shardCount,
    memberCount,
    slots: 1,
    caps: leaderShares(topology, shares, shardCount).map((share) => capOf(share, shardCount)),
    order,
    fits: (shard, taken, member, without) =>
      (taken[0] === -1 || taken[0] === without) &&
      member !== without &&
      copies.subarray(shard * topology.copies, (shard + 1) * topology.copies).includes(member),
  });
  const targets = preferenceLists(topology, scores, copies, leaders);
  const voters = targets.map((list, shard) => votersOf(topology, scores, list, shard, replicas));
  const names = topology.members.map(({ name }) => name);
  const named = (lists: readonly (readonly number[])[]): readonly (readonly string[])[] =>
    lists.map((list) => list.map((m) => names[m]!));
  const targetNames = named(targets);
  const voterNames = named(voters);
  return {
    shardCount,
    targets: (shard) => targetNames[shard] ?? [],
    voters: (shard) => voterNames[shard] ?? [],
  };
}

/** Score by shard × memberCount + member. */
function scoresOf({ members }: Topology, shardCount: number): Float64Array {
  const scores = new Float64Array(shardCount * members.length);
  for (const [m, { name, weight }] of members.entries()) {
    const hash = nameHash(name);
    for (let shard = 0; shard < shardCount; shard++) {
      scores[shard * members.length + m] = score(hash, shard, weight);
    }
  }
  return scores;
}

/** Pairs by descending score; among equals the lower shard, then the lower name. */
function descending(scores: Float64Array): Uint32Array {
  const order = new Uint32Array(scores.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  return order.sort((a, b) => scores[b]! - scores[a]! || a - b);
}

/** One copy per host; each zone its base number of copies, and as many with one more as needed. */
function copyRule(topology: Topology): MatchingProblem['fits'] {
  const { hostOf, zoneOf, hostsInZone, zoneBase, zoneExtras } = topology;
  const inZone = new Int32Array(topology.zones);
  return (_, taken, member, without) => {
    const zone = zoneOf[member]!;
    let fits = true;
    let extras = 0;
    for (const other of taken) {
      if (other === -1 || other === without) continue;
      if (hostOf[other] === hostOf[member]) fits = false;
      if (++inZone[zoneOf[other]!]! > zoneBase) extras++;
    }
    // A shard is asked about again only when a slot is free, so the member it would replace is out.
    const here = inZone[zone]!;
    if (here >= Math.min(zoneBase + 1, hostsInZone[zone]!)) fits = false;
    if (here >= zoneBase && extras >= zoneExtras) fits = false;
    for (const other of taken) if (other !== -1) inZone[zoneOf[other]!] = 0;
    return fits && member !== without;
  };
}

/** Each shard's copies, the leader first, the others by descending score. */
function preferenceLists(
  { members, copies: slots }: Topology,
  scores: Float64Array,
  copies: Int32Array,
  leaders: Int32Array,
): number[][] {
  return Array.from(leaders, (leader, shard) => {
    const row = shard * members.length;
    return Array.from(copies.subarray(shard * slots, (shard + 1) * slots))
      .filter((m) => m !== -1)
      .sort((a, b) => {
        if (a === leader || b === leader) return a === leader ? -1 : 1;
        return scores[row + b]! - scores[row + a]! || a - b;
      });
  });
}

/** A prefix of the targets, or all of them and one more, see {@link Placement.voters}. */
function votersOf(
  { members, hosts, hostOf, zoneOf }: Topology,
  scores: Float64Array,
  targets: readonly number[],
  shard: number,
  replicas: number,
): readonly number[] {
  const roundedUp = replicas % 2 === 0 ? replicas + 1 : replicas;
  const wanted = Math.min(hosts % 2 === 0 ? hosts - 1 : hosts, roundedUp);
  if (wanted <= targets.length) return targets.slice(0, wanted);
  const hostsUsed = new Set(targets.map((m) => hostOf[m]));
  const zonesUsed = new Set(targets.map((m) => zoneOf[m]));
  let best = -1;
  for (let m = 0; m < members.length; m++) {
    if (hostsUsed.has(hostOf[m])) continue;
    if (best !== -1) {
      const row = shard * members.length;
      const newZone = Number(!zonesUsed.has(zoneOf[m])) - Number(!zonesUsed.has(zoneOf[best]));
      if (newZone < 0 || (newZone === 0 && scores[row + m]! <= scores[row + best]!)) continue;
    }
    best = m;
  }
  return best === -1 ? targets : [...targets, best];
}
