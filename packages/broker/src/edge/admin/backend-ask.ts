/** Questions to other nodes, and what a node knows of them, for the parts of the admin backend. */
import { setTimeout as delay } from 'node:timers/promises';
import { BrokerError } from '../../errors.ts';
import type { Answers, Question } from '../../node/ask/question.ts';
import type { NodeCore } from '../../node/node.ts';
import { shardOf } from '../../placement/hash.ts';
import type { MemberStatus } from './admin-backend.ts';

/** How long a shard may be without a leader before a request gives up. */
const LEADER_TIMEOUT_MS = 5000;
const RETRY_MS = 50;

/** @returns undefined when there was no answer in time */
export function ask<T extends Question['type']>(
  core: NodeCore,
  name: string,
  question: Question & { readonly type: T },
): Promise<Answers[T] | undefined> {
  return new Promise((resolve) => core.asking.ask<T>(name, question, resolve));
}

/** A member that was forgotten is as good as one that left. */
export function stateOf(core: NodeCore, name: string): MemberStatus['state'] {
  const m = core.membership.get(name);
  if (!m || m.state === 'left') return 'left';
  return core.hasStopped(m) ? 'stopped' : m.state;
}

/** This node and those that it has a link with. */
export function reachableNames(core: NodeCore): string[] {
  const names = [core.name];
  for (const peer of core.peers.byName.values()) if (peer.up) names.push(peer.name);
  return names;
}

export function isReachable(core: NodeCore, name: string): boolean {
  return name === core.name || (core.peers.get(name)?.up ?? false);
}

/** Leader of a shard that can be asked now; '' for none, also when this node led it and lost it. */
export function reachableLeader(core: NodeCore, shard: number): string {
  const leader = core.views.leader(shard);
  if (leader === core.name) return core.shards.leaders[shard]?.serving ? leader : '';
  return leader !== '' && isReachable(core, leader) ? leader : '';
}

/**
 * Asks the leader of the Client Identifier's shard, also across a change of leaders.
 *
 * @throws BROKER_ERR_SHARD_UNAVAILABLE when no leader answers within 5 s, BROKER_ERR_NOT_READY before
 *   the node has joined
 */
export async function askLeader<T extends 'session' | 'explain' | 'kick'>(
  core: NodeCore,
  question: Question & { readonly type: T; readonly clientId: string },
): Promise<{ leader: string; answer: Exclude<Answers[T], 'elsewhere'> }> {
  const shard = shardOfClient(core, question.clientId);
  const deadlineMs = performance.now() + LEADER_TIMEOUT_MS;
  for (;;) {
    const leader = reachableLeader(core, shard);
    const answer = leader === '' ? undefined : await ask<T>(core, leader, question);
    if (answer !== undefined && answer !== 'elsewhere')
      return { leader, answer: answer as Exclude<Answers[T], 'elsewhere'> };
    if (performance.now() >= deadlineMs) throw unavailable(shard);
    await delay(RETRY_MS, undefined, { ref: false });
  }
}

/** @throws BROKER_ERR_NOT_READY before the node has joined */
export function shardOfClient(core: NodeCore, clientId: string): number {
  if (core.shardCount === 0) throw new BrokerError('BROKER_ERR_NOT_READY', 'not joined yet');
  return shardOf(clientId, core.shardCount);
}

export function unavailable(shard: number): BrokerError {
  return new BrokerError('BROKER_ERR_SHARD_UNAVAILABLE', `shard ${shard}`);
}
