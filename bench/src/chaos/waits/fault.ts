/** What is done to the cluster in a round, and undone. */
import type { Prng } from '@shoal/swim/sim';
import type { LocalCluster } from '../cluster.ts';
import type { Machines } from './machines.ts';
import {
  type Concern,
  type CutShape,
  concernOfCut,
  concernOfLoss,
  type LossShape,
  waysCut,
} from './shapes.ts';

export interface Fault {
  /** In words. */
  readonly what: string;
  readonly concern: Concern;
  readonly lastsMs: number;
  begin(): Promise<void>;
  end(): Promise<void>;
}

export function cutFault(options: {
  readonly shape: CutShape;
  readonly cluster: LocalCluster;
  readonly machines: Machines;
  readonly random: Prng;
  readonly lastsMs: number;
}): Fault {
  const { shape, cluster, machines, random, lastsMs } = options;
  const names = random.shuffle([...cluster.names]);
  const cut = waysCut(shape, names);
  return {
    what: `${shape}: ${cut.map(({ from, to }) => `${from}>${to}`).join(' ')}`,
    concern: concernOfCut(names, cut),
    lastsMs,
    begin: () => machines.close(cut),
    end: () => machines.open(),
  };
}

export function lossFault(options: {
  readonly shape: LossShape;
  readonly cluster: LocalCluster;
  readonly random: Prng;
  readonly lastsMs: number;
}): Fault {
  const { shape, cluster, random, lastsMs } = options;
  const lost = random.pick(cluster.names);
  const kill = shape === 'kill';
  return {
    what: `${shape}: ${lost}`,
    concern: concernOfLoss(cluster.names, lost),
    lastsMs,
    begin: async () => {
      if (kill) await cluster.kill(lost, 'SIGKILL');
      else cluster.signal(lost, 'SIGSTOP');
    },
    end: async () => {
      if (kill) await cluster.start(lost);
      else cluster.signal(lost, 'SIGCONT');
    },
  };
}
