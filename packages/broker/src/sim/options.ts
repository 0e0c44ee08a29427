import { Prng } from '@shoal/swim/sim';
import { type BehaviourName, drawBehaviours } from './behaviours.ts';
import type { ReplicationOptions } from './core-port.ts';
import type { DiskOptions } from './disk.ts';
import { drawFaults, type FaultName } from './faults.ts';
import type { NetworkOptions } from './network.ts';
import { drawSplit, type SplitShape } from './split.ts';

/** How many actors of each kind a run has. */
export interface WorkloadOptions {
  /** Persistent sessions that hop between nodes. */
  readonly subscribers: number;
  readonly publishers: number;
  /** Sessions that end with their connection. */
  readonly transients: number;
  readonly willers: number;
  /** Pairs of devices that fight for one Client Identifier. */
  readonly twins: number;
  /** Topics m/0 … m/(topics−1), and half as many retained ones. */
  readonly topics: number;
  /** Mean time between two publishes of one publisher. */
  readonly publishEveryMs: number;
  /** Mean stay on one connection, and away from any. */
  readonly stayMs: number;
  readonly awayMs: number;
  /** Unacknowledged publishes of one publisher at once. */
  readonly window: number;
  readonly ackDelayMs: number;
  readonly patienceMs: number;
  readonly cleanStartChance: number;
  readonly unsubscribeChance: number;
  readonly retainChance: number;
  readonly paddingMax: number;
  readonly behaviours: readonly BehaviourName[];
}

/** Everything that shapes a run; drawn from the seed by {@link drawOptions}, or given. */
export interface SimOptions {
  readonly seed: string;
  readonly nodes: number;
  readonly shards: number;
  readonly replicas: number;
  readonly durability: 'disk' | 'memory';
  readonly replication: ReplicationOptions;
  /** Virtual time in which faults strike. */
  readonly chaosMs: number;
  /** Mean time between two strikes. */
  readonly faultEveryMs: number;
  readonly faults: readonly FaultName[];
  /** Faults may strike from the first moment, while the cluster forms. */
  readonly chaosFromBirth: boolean;
  /** How the cluster is cut after the faults, when all is in order again; null for not. */
  readonly split: SplitShape | null;
  readonly network: NetworkOptions;
  readonly disk: DiskOptions;
  /** The machine whose disk is slow, from 1, and what its syncs take at most; 0 for none. */
  readonly slowMachine: { readonly index: number; readonly syncMaxMs: number };
  readonly workload: WorkloadOptions;
}

/** What the command line may fix; everything else is drawn. */
export interface SimOverrides {
  readonly nodes?: number | undefined;
  readonly shards?: number | undefined;
  readonly replicas?: number | undefined;
  readonly durability?: 'disk' | 'memory' | undefined;
  readonly chaosMs?: number | undefined;
  /** Exactly these faults. */
  readonly faults?: readonly FaultName[] | undefined;
  readonly split?: SplitShape | null | undefined;
  /** Exactly these behaviours of clients. */
  readonly behaviours?: readonly BehaviourName[] | undefined;
}

/** Draws a run from its seed: sizes, a random subset of faults and features, all rates. */
export function drawOptions(seed: string | number, overrides: SimOverrides = {}): SimOptions {
  const random = new Prng(`${seed}/options`);
  const nodes = overrides.nodes ?? random.pick([3, 3, 3, 4, 5, 5, 6, 7]);
  const durable = random.chance(0.85) ? 'disk' : 'memory';
  const durability = overrides.durability ?? durable;
  const later = new Prng(`${seed}/options/later`);
  const drawn = drawFaults(random, later, durability);
  const faults = overrides.faults ?? drawn;
  const has = (fault: FaultName) => faults.includes(fault);
  return {
    seed: String(seed),
    nodes,
    shards: overrides.shards ?? random.pick([16, 16, 16, 32, 64]),
    replicas: overrides.replicas ?? random.pick([1, 2, 3, 3, 3]),
    durability,
    replication: {
      checkpointEvery: random.pick([5, 30, 100, 1000]),
      tailKeep: random.pick([0, 10, 100]),
    },
    chaosMs: overrides.chaosMs ?? random.int(4000, 12_000),
    faultEveryMs: random.pick([150, 300, 600, 1500]),
    faults,
    chaosFromBirth: random.chance(0.1),
    split: overrides.split === undefined ? drawSplit(seed) : overrides.split,
    network: {
      datagramDrop: has('datagramDrop') ? random.pick([0.01, 0.05, 0.2]) : 0,
      datagramDuplicate: has('datagramDuplicate') ? random.pick([0.02, 0.2]) : 0,
      datagramReorder: has('datagramReorder') ? 0.1 : 0,
      datagramReorderMs: random.pick([20, 100, 400]),
      datagramDelayMs: has('datagramDelay') ? random.pick([5, 50, 200]) : 0,
      streamFail: has('streamFail') ? random.pick([0.1, 0.4]) : 0,
      delayMinMs: 0.1,
      delayMaxMs: has('linkDelay') ? random.pick([10, 50, 200]) : 1,
      linkTimeoutMs: random.pick([1000, 3000, 8000]),
      linkBytesPerMs: has('thinLinks') ? later.fork('links').pick([5000, 20_000]) : 0,
    },
    disk: {
      syncMinMs: 0.05,
      syncMaxMs: has('slowDisk') ? random.pick([10, 50, 200]) : random.pick([0.5, 3]),
      readMaxMs: random.pick([0.2, 2]),
    },
    slowMachine: {
      index: has('slowOneDisk') ? later.int(1, nodes) : 0,
      syncMaxMs: later.pick([20, 60, 150, 250]),
    },
    workload: {
      ...drawWorkload(random),
      behaviours: overrides.behaviours ?? drawBehaviours(later),
    },
  };
}

function drawWorkload(random: Prng): Omit<WorkloadOptions, 'behaviours'> {
  const features = (p: number, most: number) => (random.chance(p) ? random.int(1, most) : 0);
  return {
    subscribers: random.int(2, 6),
    publishers: random.int(1, 4),
    transients: features(0.5, 2),
    willers: features(0.5, 3),
    twins: features(0.4, 2),
    topics: random.pick([1, 2, 4, 8]),
    publishEveryMs: random.pick([15, 40, 100, 250]),
    stayMs: random.pick([300, 1000, 4000]),
    awayMs: random.pick([50, 500, 2000]),
    window: random.pick([1, 3, 10, 20]),
    ackDelayMs: random.pick([0, 5, 50, 300]),
    patienceMs: random.pick([1000, 2500, 6000]),
    cleanStartChance: random.pick([0, 0, 0.1]),
    unsubscribeChance: random.pick([0, 0.2, 0.5]),
    retainChance: random.pick([0, 0.1, 0.3]),
    paddingMax: random.pick([0, 0, 100, 2000]),
  };
}
