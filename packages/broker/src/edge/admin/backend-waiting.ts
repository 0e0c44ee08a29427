/** Why publishes wait; names no node that answers. */

import type { NodeCore } from '../../node/node.ts';
import { nameOf } from '../../shard/view.ts';
import { stateOf } from './backend-ask.ts';

/** Members without whose grant nothing is routed, by why they give none. */
export function whyWaiting(core: NodeCore, nowMs: number): string {
  const lacking = core.grants.lacking(nowMs);
  if (lacking.length === 0) return 'the leaders of some shards have never been heard of';
  const silent = lacking.filter((name) => !hears(core, name, nowMs));
  if (silent.length > 0) {
    const named = silent.map((name) => `${name} (${stateOf(core, name)})`).join(', ');
    return `no word from ${named}, which other members reach`;
  }
  return `the routes of ${lacking.join(', ')} have not all arrived`;
}

/**
 * What waits while everything else is served: requests to shards that no node in reach leads. '' if there
 * are none.
 */
export function whyPaused(core: NodeCore, nowMs: number): string {
  let shards = 0;
  const gone = new Set<string>();
  for (const { number, voters, oldVoters } of core.views) {
    if (hears(core, nameOf(number.leader), nowMs)) continue;
    shards++;
    for (const id of [...voters, ...oldVoters])
      if (!hears(core, nameOf(id), nowMs)) gone.add(nameOf(id));
  }
  if (shards === 0) return '';
  const named = [...gone].sort().map((name) => `${name} (${stateOf(core, name)})`);
  const what = `Sessions and messages of ${shards} of ${core.shardCount} shards wait for a leader`;
  return `${what}; of their voters ${named.join(', ')} ${gone.size === 1 ? 'does' : 'do'} not answer.`;
}

/** There is a link, and something came by it lately. */
function hears(core: NodeCore, name: string, nowMs: number): boolean {
  if (name === core.name) return true;
  const peer = core.peers.get(name);
  return peer?.up === true && nowMs - peer.heardMs < 2 * core.cluster.silenceMs;
}
