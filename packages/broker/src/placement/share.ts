/** What placement needs to know of a member. */
export interface PlacementMember {
  /** Unique. */
  readonly name: string;
  readonly zone: string;
  /** At most one copy of a shard per host. A host counts to one zone, its first member's by name. */
  readonly host: string;
  /** Relative capacity, > 0; a member with another value gets nothing. */
  readonly weight: number;
}

/** What a member may take above its weighted share before others are preferred. */
const CAP_FACTOR = 1.1;
/** Caps have this many steps per doubling, so that they rarely change when members come and go. */
const CAP_STEPS_PER_OCTAVE = 16;
/** Halvings of an interval of doubles that reach its last bit, with some to spare. */
const BISECTIONS = 80;

/** Members by host and zone, and how many copies a shard may have in each zone. */
export interface Topology {
  /** Sorted by name, weight > 0. */
  readonly members: readonly PlacementMember[];
  /** Host index by member; zone index by member. */
  readonly hostOf: Int32Array;
  readonly zoneOf: Int32Array;
  readonly hosts: number;
  readonly zones: number;
  readonly hostsInZone: Int32Array;
  /** Copies of each shard: min(replicas, hosts). */
  readonly copies: number;
  /** Every zone has this many copies of each shard, or as many as it has hosts. */
  readonly zoneBase: number;
  /** Zones that have one copy of a shard more than `zoneBase`. */
  readonly zoneExtras: number;
}

/** Sorts and numbers the members: the only place where their order of arrival is seen. */
export function topologyOf(input: readonly PlacementMember[], replicas: number): Topology {
  const members = input
    .filter(({ weight }) => weight > 0 && Number.isFinite(weight))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const hostIndex = new Map<string, number>();
  const zoneIndex = new Map<string, number>();
  /** A host is in one zone: that of its first member by name. */
  const zoneOfHost: number[] = [];
  const hostOf = new Int32Array(members.length);
  const zoneOf = new Int32Array(members.length);
  for (const [m, { host, zone }] of members.entries()) {
    let h = hostIndex.get(host);
    if (h === undefined) {
      h = hostIndex.size;
      hostIndex.set(host, h);
      if (!zoneIndex.has(zone)) zoneIndex.set(zone, zoneIndex.size);
      zoneOfHost.push(zoneIndex.get(zone)!);
    }
    hostOf[m] = h;
    zoneOf[m] = zoneOfHost[h]!;
  }
  const hostsInZone = new Int32Array(zoneIndex.size);
  for (const zone of zoneOfHost) hostsInZone[zone]!++;
  const copies = Math.min(replicas, hostIndex.size);
  const { zoneBase, zoneExtras } = zoneQuota(hostsInZone, copies);
  return {
    members,
    hostOf,
    zoneOf,
    hosts: hostIndex.size,
    zones: zoneIndex.size,
    hostsInZone,
    copies,
    zoneBase,
    zoneExtras,
  };
}

/** Fills the zones evenly, one copy each in turn, as far as they have hosts. */
function zoneQuota(hostsInZone: Int32Array, copies: number) {
  const filled = (level: number): number =>
    hostsInZone.reduce((sum, hosts) => sum + Math.min(hosts, level), 0);
  let zoneBase = 0;
  while (zoneBase < copies && filled(zoneBase + 1) <= copies) zoneBase++;
  return { zoneBase, zoneExtras: copies - filled(zoneBase) };
}

/**
 * Each member's share of all copies: proportional to its weight, as far as one copy of a shard per
 * host and the zones' quotas allow. The shares add up to shardCount × copies.
 */
export function copyShares(topology: Topology, shardCount: number): number[] {
  const { members, hostOf, zoneOf, hosts, zones, hostsInZone, zoneBase, copies } = topology;
  const hostWeight = new Array<number>(hosts).fill(0);
  const zoneWeight = new Array<number>(zones).fill(0);
  const zoneOfHost = new Int32Array(hosts);
  for (const [m, { weight }] of members.entries()) {
    hostWeight[hostOf[m]!]! += weight;
    zoneWeight[zoneOf[m]!]! += weight;
    zoneOfHost[hostOf[m]!] = zoneOf[m]!;
  }
  const zoneShare = waterFill(
    copies * shardCount,
    zoneWeight,
    zoneWeight.map((_, z) => Math.min(zoneBase, hostsInZone[z]!) * shardCount),
    zoneWeight.map((_, z) => Math.min(zoneBase + 1, hostsInZone[z]!) * shardCount),
  );
  const hostShare = new Array<number>(hosts).fill(0);
  for (let z = 0; z < zones; z++) {
    const inZone = [...hostShare.keys()].filter((h) => zoneOfHost[h] === z);
    const shares = waterFill(
      zoneShare[z]!,
      inZone.map((h) => hostWeight[h]!),
      inZone.map(() => 0),
      inZone.map(() => shardCount),
    );
    for (const [i, h] of inZone.entries()) hostShare[h] = shares[i]!;
  }
  return members.map(({ weight }, m) => {
    const host = hostOf[m]!;
    return (hostShare[host]! * weight) / hostWeight[host]!;
  });
}

/** Each member's share of all leaderships: proportional to its weight, at most its copies. */
export function leaderShares(
  topology: Topology,
  copyShare: readonly number[],
  shardCount: number,
): number[] {
  return waterFill(
    shardCount,
    topology.members.map(({ weight }) => weight),
    copyShare.map(() => 0),
    copyShare,
  );
}

/**
 * The cap that goes with a share: ⌈1.1 × share⌉, rounded up to a sixteenth of its power of two, at
 * most `shardCount`.
 *
 * Rounding is what a pure function can do for hysteresis: without it the caps of all members change
 * with each member that comes or goes, and with them copies that need not have moved.
 */
export function capOf(share: number, shardCount: number): number {
  const cap = Math.ceil(CAP_FACTOR * share - 1e-6);
  const step = Math.max(1, 2 ** (31 - Math.clz32(cap)) / CAP_STEPS_PER_OCTAVE);
  return Math.min(shardCount, Math.ceil(cap / step) * step);
}

/** Amounts level × weight, each within [low, high], that add up to `total`. */
function waterFill(
  total: number,
  weights: readonly number[],
  low: readonly number[],
  high: readonly number[],
): number[] {
  const at = (level: number): number[] =>
    weights.map((weight, i) => Math.min(high[i]!, Math.max(low[i]!, level * weight)));
  let under = 0;
  let over = total / Math.max(Number.MIN_VALUE, Math.min(...weights));
  for (let i = 0; i < BISECTIONS; i++) {
    const level = (under + over) / 2;
    if (at(level).reduce((sum, amount) => sum + amount, 0) < total) under = level;
    else over = level;
  }
  return at(over);
}
