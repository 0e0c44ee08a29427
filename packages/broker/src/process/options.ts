/** From the configuration to what the two cores of a process are given. */
import type { GivenSettings } from '../cluster-settings.ts';
import type { Config } from '../config.ts';
import { readSharedStrategies } from '../config-types.ts';
import type { Identity } from '../node/members/identity.ts';
import type { NodeOptions } from '../node/rooms.ts';
import type { ProcessOptions } from './process-core.ts';

/** The facts of this start: its options, and what the data folder says. */
export interface StartFacts {
  readonly identity: Identity;
  readonly founds: boolean;
  readonly folder: { readonly damage: string | null; readonly lastRun: number };
  readonly given: GivenSettings;
  readonly acceptLoss: boolean;
}

export function nodeOptions(config: Config, facts: StartFacts): NodeOptions {
  const { auth, cluster, data, limits, mqtt, timings, node } = config;
  const { identity, founds, folder, given, acceptLoss } = facts;
  const { zone, host, weight } = node;
  const { storeId } = identity;
  return {
    identity,
    found: founds,
    shardCount: cluster.shards,
    replicas: cluster.replicas,
    durability: data.durability,
    given,
    // Where clients and operators find this member is known once its ports are open.
    meta: { storeId, zone, host, weight, mqtt: '', admin: '', leaving: false },
    limits,
    mqtt,
    timings,
    damage: folder.damage,
    lastRun: folder.lastRun,
    acceptLoss,
    authRequired: auth.required,
    shared: {
      strategy: mqtt.sharedStrategy,
      groups: readSharedStrategies(mqtt.sharedStrategies),
    },
  };
}

/** Addresses of members, and ways to find them: a node that has none of either founds a cluster. */
export function toldOf({ cluster }: Config): readonly string[] {
  return [...cluster.join, ...cluster.discovery];
}

export function processOptions(config: Config, { meta }: NodeOptions): ProcessOptions {
  const { node, swim, timings } = config;
  return {
    name: node.name,
    meta,
    told: toldOf(config),
    unwellAfterMs: swim.unwellAfterMs,
    stopTimeoutMs: timings.stopTimeoutMs,
  };
}
