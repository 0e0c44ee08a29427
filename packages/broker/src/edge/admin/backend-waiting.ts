/** Why publishes wait; names no node that answers. */

import type { ShardView } from '../../node/link/views.ts';
import type { NodeCore } from '../../node/node.ts';
import { type CopyId, nameOf } from '../../shard/view.ts';
import { stateOf } from './backend-ask.ts';

/** Nodes that lead shards and grant no route lease, by why they do not. */
export function whyWaiting(core: NodeCore, nowMs: number): string {
  const { leases } = core;
  const lacking = leases.lacking(nowMs);
  const silent = lacking.filter((name) => !hears(core, name, nowMs));
  if (silent.length > 0) return `no word from ${silent.join(', ')}, which led shards`;
  const unvoted = [...(leases.ownUntilMs <= nowMs ? [core.name] : []), ...lacking];
  if (unvoted.length === 0) return 'the routes of some shards have not arrived';
  const gone = goneVoters(core, new Set(unvoted), nowMs);
  const led =
    unvoted.length === 1 && unvoted[0] === core.name
      ? 'shards led here'
      : `shards led by ${unvoted.join(', ')}`;
  if (gone.length > 0)
    return `${led} have no majority of their voters, because ${gone.join(', ')} ${gone.length === 1 ? 'does' : 'do'} not answer`;
  return `${led} wait for their voters, all of which answer`;
}

/** There is a link, and something came by it lately. */
function hears(core: NodeCore, name: string, nowMs: number): boolean {
  if (name === core.name) return true;
  const peer = core.peers.get(name);
  return peer?.up === true && nowMs - peer.heardMs < 2 * core.cluster.silenceMs;
}

/** Voters of shards with these leaders that do not answer here, with what membership says of them. */
function goneVoters(core: NodeCore, leaders: ReadonlySet<string>, nowMs: number): string[] {
  const names = new Set<string>();
  for (const view of core.views) {
    if (!leaders.has(nameOf(view.number.leader))) continue;
    for (const id of votersOf(view)) names.add(nameOf(id));
  }
  return [...names]
    .filter((name) => !hears(core, name, nowMs))
    .sort()
    .map((name) => `${name} (${stateOf(core, name)})`);
}

function votersOf({ voters, oldVoters }: ShardView): readonly CopyId[] {
  return [...voters, ...oldVoters];
}
