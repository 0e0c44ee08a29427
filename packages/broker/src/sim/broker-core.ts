import { loadIdentity } from '../node/identity.ts';
import { NodeCore } from '../node/node.ts';
import type { CoreFactory } from './core-port.ts';

/** The broker's own core, as `main.ts` composes it. */
export const brokerCore: CoreFactory = {
  loadIdentity,
  create: (env, options) => {
    const { identity, found, shardCount, replicas, durability, meta, replication } = options;
    return new NodeCore(env, {
      identity,
      found,
      shardCount,
      replicas,
      durability,
      meta,
      replication,
    });
  },
};
