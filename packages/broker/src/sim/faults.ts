import type { Prng } from '@shoal/swim/sim';

/**
 * The faults that the simulator knows, each a named option of its own.
 *
 * A seed enables a random subset (swarm testing: a run with few kinds of faults reaches states that
 * a run with all of them never does).
 */
const FIRST_FAULTS = [
  // Datagrams of SWIM, for the whole run.
  'datagramDrop',
  'datagramDuplicate',
  'datagramReorder',
  'datagramDelay',
  // Push-pull streams of SWIM.
  'streamFail',
  // Links between nodes.
  'linkDelay',
  'linkStall',
  'linkReset',
  'oneWayCut',
  'pairCut',
  'partition',
  'isolate',
  // Disks.
  'slowDisk',
  'diskStall',
  'bitRot',
  // Processes.
  'kill',
  'powerCut',
  'pause',
  'clockStep',
  'clockSkew',
  // Membership by an operator.
  'addNode',
  'removeNode',
  // Client connections.
  'clientBreak',
  'clientHalfOpen',
  'clientStall',
] as const;

/** Drawn apart from the first ones, so that a seed goes on drawing of those what it drew before. */
const LATER_FAULTS = [
  // A node, or a pair of them, is cut off and its links are reset at once: both sides know.
  'cutReset',
  // A pause, stall or cut that ends close to the time at which a node gives up.
  'edge',
  // Several nodes die at once and come back each at its time.
  'killSome',
  'powerCutSome',
  // A disk stops to sync, and its machine, alone or with others, loses power before it goes on.
  'stallThenCut',
  // One machine's disk syncs slowly for the whole run.
  'slowOneDisk',
  // One machine's folder is lost, replaced by an older copy of itself, or lacks its last batches.
  'loseDisk',
  'oldFolder',
  'tornLog',
  // Power cut under `durability: memory`.
  'memoryCut',
  // A node is started with settings that are not the cluster's.
  'otherSettings',
  // Links carry only so many bytes a millisecond.
  'thinLinks',
] as const;

export type FaultName = (typeof FIRST_FAULTS | typeof LATER_FAULTS)[number];

export const FAULTS: readonly FaultName[] = [...FIRST_FAULTS, ...LATER_FAULTS];

/** Faults that hold for a whole run instead of striking at a moment. */
export const STANDING_FAULTS: ReadonlySet<FaultName> = new Set<FaultName>([
  'datagramDrop',
  'datagramDuplicate',
  'datagramReorder',
  'datagramDelay',
  'streamFail',
  'linkDelay',
  'slowDisk',
  'clockSkew',
  'slowOneDisk',
  'otherSettings',
  'thinLinks',
]);

/** Faults that strike neither nodes nor disks, and leave links as good as they may be expected. */
export const HARMLESS_FAULTS: ReadonlySet<FaultName> = new Set<FaultName>([
  'clientBreak',
  'clientHalfOpen',
  'clientStall',
  'addNode',
  'thinLinks',
]);

/** Faults of the kind that each run may have one of: what a copy held is gone, once. */
export const DAMAGES: ReadonlySet<FaultName> = new Set<FaultName>([
  'bitRot',
  'loseDisk',
  'oldFolder',
  'tornLog',
  'memoryCut',
]);

/** The chance of each later fault, in a run that has faults at all. */
const LATER_CHANCE: Readonly<Record<(typeof LATER_FAULTS)[number], number>> = {
  cutReset: 0.3,
  edge: 0.3,
  killSome: 0.2,
  powerCutSome: 0.25,
  stallThenCut: 0.25,
  slowOneDisk: 0.15,
  loseDisk: 0.1,
  oldFolder: 0.1,
  tornLog: 0.1,
  memoryCut: 0.5,
  otherSettings: 0.1,
  thinLinks: 0.15,
};

/**
 * The faults of a run.
 *
 * @param later draws the later faults, a stream of its own
 */
export function drawFaults(random: Prng, later: Prng, durability: 'disk' | 'memory'): FaultName[] {
  const intensity = random.pick([0, 0.15, 0.15, 0.3, 0.3, 0.5, 0.5, 0.7]);
  // `memory` acknowledges from the page cache: a power cut of all may lose it, and it says so.
  const may = (fault: FaultName) =>
    durability === 'disk' ? fault !== 'memoryCut' : !LOSES_POWER.has(fault);
  const first = FIRST_FAULTS.filter((fault) => {
    const drawn = random.chance(intensity);
    // Without kills there is little to find.
    return (drawn || (fault === 'kill' && intensity > 0)) && may(fault);
  });
  const more = LATER_FAULTS.filter((fault) => {
    const drawn = later.chance(LATER_CHANCE[fault]);
    return drawn && intensity > 0 && may(fault);
  });
  return [...first, ...more];
}

const LOSES_POWER: ReadonlySet<FaultName> = new Set<FaultName>([
  'powerCut',
  'powerCutSome',
  'stallThenCut',
]);

/** Protocol phases that the core reports through `NodeEnv.trace`. */
export const PHASES = [
  'append',
  'promise',
  'install',
  'established',
  'snapshot',
  'learner',
  'handover',
  'truncate',
  'open',
  'sub',
  'enq',
  'rx2',
  'pubrec',
  'pubcomp',
  'will',
  'expire',
  'tick',
  'retain',
  'takeover',
] as const;

export type PhaseName = (typeof PHASES)[number];
