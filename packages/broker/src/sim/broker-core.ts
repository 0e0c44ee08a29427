import { loadIdentity } from '../node/identity.ts';
import { NodeCore } from '../node/node.ts';
import { nameOf } from '../shard/view.ts';
import type { CoreFactory } from './core-port.ts';

/** The core with what the admin API judges a removal by. */
class SimNodeCore extends NodeCore {
  /** Every shard is led elsewhere, by a reachable node and a view that does not name this one. */
  get drained(): boolean {
    const { name, views, shardCount, shards, peers } = this;
    if (shards.led.size > 0) return false;
    for (let shard = 0; shard < shardCount; shard++) {
      const leader = views.leader(shard);
      if (leader === '' || leader === name || peers.get(leader)?.up !== true) return false;
    }
    for (const { active, voters } of views) {
      if (active.some((id) => nameOf(id) === name)) return false;
      if (voters.some((id) => nameOf(id) === name)) return false;
    }
    return true;
  }
}

/** The broker's own core, as `main.ts` composes it. */
export const brokerCore: CoreFactory = {
  loadIdentity,
  create: (env, options) => {
    const { identity, found, shardCount, replicas, durability, meta, replication } = options;
    return new SimNodeCore(env, {
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
