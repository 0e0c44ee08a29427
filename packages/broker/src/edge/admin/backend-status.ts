/** The state of the whole cluster, from membership, the views and what every leader counts. */

import type { PausedAnswer } from '../../node/ask/question.ts';
import { isPresent } from '../../node/members/membership.ts';
import { copiesWanted, isSettled, presentCopies } from '../../node/members/replication.ts';
import type { NodeCore } from '../../node/node.ts';
import { nameOf } from '../../shard/view.ts';
import type { ClusterStatus, MemberStatus, Paused, UnderReplicatedShard } from './admin-backend.ts';
import { ask, reachableLeader, reachableNames, stateOf } from './backend-ask.ts';

const EXAMPLES_MAX = 100;

export async function clusterStatus(core: NodeCore): Promise<ClusterStatus> {
  const names = reachableNames(core);
  const [answers, waits] = await Promise.all([
    Promise.all(names.map((name) => ask(core, name, { type: 'totals' }))),
    Promise.all(names.map((name) => ask(core, name, { type: 'paused' }))),
  ]);
  const sessions = orphans(core);
  for (const answer of answers) {
    if (!answer) continue;
    sessions.total += answer.sessions;
    sessions.connected += answer.connected;
    sessions.atRisk += answer.atRisk;
  }
  const lacking = underReplicated(core);
  return {
    clusterId: core.clusterId,
    node: core.name,
    paused: paused(names, waits),
    silent: silent(core, new Set(names.filter((_, i) => waits[i] !== undefined))),
    replicas: core.cluster.replicas,
    shards: core.shardCount,
    durability: core.cluster.durability,
    consistency: core.cluster.consistency,
    minCopies: core.cluster.minCopies,
    silenceMs: core.cluster.silenceMs,
    drift: names.flatMap((node, i) =>
      (answers[i]?.drift ?? []).map((difference) => ({ node, ...difference })),
    ),
    members: members(core),
    underReplicated: { count: lacking.length, shards: lacking.slice(0, EXAMPLES_MAX) },
    sessions,
  };
}

/** What each node says of itself: publishes, which wait for all topics, before shards; by name. */
function paused(names: readonly string[], waits: readonly (readonly PausedAnswer[] | undefined)[]) {
  const all = names.flatMap((node, i) => (waits[i] ?? []).map((answer) => ({ node, ...answer })));
  const key = ({ what, node }: Paused) => `${what} ${node}`;
  return all.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function silent(core: NodeCore, answered: ReadonlySet<string>): ClusterStatus['silent'] {
  return [...core.membership.members]
    .map(({ name }) => ({ name, state: stateOf(core, name) }))
    .filter(({ name, state }) => state !== 'left' && !answered.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Sessions of shards without a leader in reach, as far as this node has a copy: they are not
 * served, and are counted as at risk.
 */
export function orphans(core: NodeCore): { total: number; connected: number; atRisk: number } {
  let total = 0;
  let atRisk = 0;
  for (let shard = 0; shard < core.shardCount; shard++) {
    if (reachableLeader(core, shard) !== '' || !core.shards.copies[shard]?.valid) continue;
    for (const s of core.shards.leaders[shard]!.state.sessions.values()) {
      total++;
      if (s.persistent) atRisk++;
    }
  }
  return { total, connected: 0, atRisk };
}

function members(core: NodeCore): MemberStatus[] {
  const led = new Map<string, number>();
  const held = new Map<string, number>();
  const count = (counts: Map<string, number>, name: string) =>
    counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const view of core.views) {
    count(led, nameOf(view.number.leader));
    for (const id of view.active) count(held, nameOf(id));
  }
  return [...core.membership.members]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, state, inStableView, unwell, bootEpoch, address, meta }) => ({
      name,
      state: stateOf(core, name),
      inStableView: inStableView ?? isPresent({ state }),
      unwell,
      leaving: meta.leaving,
      bootEpoch,
      address,
      mqtt: meta.mqtt,
      admin: meta.admin,
      zone: meta.zone,
      host: meta.host,
      weight: meta.weight,
      shardsLed: led.get(name) ?? 0,
      shardsHeld: held.get(name) ?? 0,
    }));
}

/** Shards with fewer copies or voters that are there than are wanted, by number. */
export function underReplicated(core: NodeCore): UnderReplicatedShard[] {
  const { cluster, membership, views } = core;
  const wanted = copiesWanted(membership, cluster.replicas);
  const shards: UnderReplicatedShard[] = [];
  for (let shard = 0; shard < core.shardCount; shard++) {
    const view = views.get(shard);
    const active = presentCopies(membership, view?.active ?? []).map(nameOf);
    if (active.length >= wanted && isSettled(view, wanted)) continue;
    shards.push({ shard, leader: reachableLeader(core, shard) || null, active, wanted });
  }
  return shards;
}
