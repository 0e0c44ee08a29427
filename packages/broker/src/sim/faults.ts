/**
 * The faults that the simulator knows, each a named option of its own.
 *
 * A seed enables a random subset (swarm testing: a run with few kinds of faults reaches states that
 * a run with all of them never does).
 */
export const FAULTS = [
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

export type FaultName = (typeof FAULTS)[number];

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
]);

/**
 * Faults that no run draws by itself: what they break is promised by later versions only, or needs
 * the command line's `--fault`.
 */
export const OPTIONAL_FAULTS: ReadonlySet<FaultName> = new Set<FaultName>(['bitRot']);

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
  'rel',
  'done',
  'will',
  'expire',
  'tick',
  'retain',
  'takeover',
] as const;

export type PhaseName = (typeof PHASES)[number];
