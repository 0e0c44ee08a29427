import { loadIdentity } from '../node/members/identity.ts';
import { NodeCore } from '../node/node.ts';
import { lookDrained } from '../process/leaving.ts';
import type { CoreFactory } from './core-port.ts';

/** The core with what the admin API judges a removal by. */
class SimNodeCore extends NodeCore {
  get drained(): boolean {
    return lookDrained(this);
  }
}

/** The broker's own core, as `main.ts` composes it. */
export const brokerCore: CoreFactory = {
  loadIdentity,
  create: (env, options) => {
    const { identity, found, shardCount, replicas, durability, given, meta, replication } = options;
    const { damage, lastRun } = options;
    return new SimNodeCore(env, {
      identity,
      found,
      shardCount,
      replicas,
      durability,
      given,
      damage,
      lastRun,
      meta,
      replication,
    });
  },
};
