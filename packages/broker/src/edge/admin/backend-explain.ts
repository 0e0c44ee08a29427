/** Why a session is where it is, in sentences. */

import type { CopyAnswer, ExplainAnswer } from '../../node/ask/question.ts';
import type { ShardView } from '../../node/link/views.ts';
import { isPresent } from '../../node/members/membership.ts';
import { copiesWanted } from '../../node/members/replication.ts';
import type { NodeCore } from '../../node/node.ts';
import { nameOf } from '../../shard/view.ts';
import type { SessionCopy, SessionExplanation } from './admin-backend.ts';
import { ask, reachableLeader, shardOfClient, stateOf } from './backend-ask.ts';

/** Also answers for a Client Identifier that has no session, and for a shard without a leader. */
export async function explainSession(
  core: NodeCore,
  clientId: string,
): Promise<SessionExplanation> {
  const shard = shardOfClient(core, clientId);
  const leader = reachableLeader(core, shard);
  const asked = leader === '' ? undefined : await ask(core, leader, { type: 'explain', clientId });
  const answer = asked === 'elsewhere' ? undefined : asked;
  const view = core.views.get(shard);
  // Without a leader the copy here, if there is one, is the best that is known.
  const here = core.shards.leaders[shard]?.state.sessions.has(clientId) ?? false;
  const facts: Facts = {
    core,
    clientId,
    shard,
    view,
    answer,
    leader: answer ? leader : null,
    targets: core.membership.targets(shard, core.nowMs()).map(nameOf),
  };
  return {
    clientId,
    exists: answer?.exists ?? here,
    shard,
    preferenceList: facts.targets,
    leader: facts.leader,
    view: view && {
      counter: view.number.counter,
      leader: nameOf(view.number.leader),
      bootEpoch: view.number.bootEpoch,
      voters: view.voters.map(nameOf),
      active: view.active.map(nameOf),
      token: true,
    },
    copies: (answer?.copies ?? copiesOf(view)).map((copy) => withMember(core, copy)),
    why: [
      ...placementWhy(facts),
      ...leaderWhy(facts),
      ...copiesWhy(facts),
      sessionWhy(facts, here),
      ...sharedWhy(facts),
    ],
  };
}

/** Shared Subscriptions that are named. */
const SHARED_SAID_MAX = 20;

interface Facts {
  readonly core: NodeCore;
  readonly clientId: string;
  readonly shard: number;
  readonly view: ShardView | null;
  readonly answer: ExplainAnswer | undefined;
  readonly leader: string | null;
  readonly targets: readonly string[];
}

function copiesOf(view: ShardView | null): CopyAnswer[] {
  if (!view) return [];
  const copies = view.active.map((id): CopyAnswer => {
    const role = id === view.number.leader ? 'leader' : 'active';
    return { node: nameOf(id), role, endIndex: null, behind: null };
  });
  for (const id of view.voters)
    if (!view.active.includes(id))
      copies.push({ node: nameOf(id), role: 'voter', endIndex: null, behind: null });
  return copies;
}

function withMember(core: NodeCore, { node, role, endIndex, behind }: CopyAnswer): SessionCopy {
  return { node, role, memberState: stateOf(core, node), endIndex, lagEntries: behind };
}

function placementWhy({ core, shard, targets }: Facts): string[] {
  const why = [`The Client Identifier hashes to shard ${shard} of ${core.shardCount}.`];
  const { replicas } = core.cluster;
  const copies = `${targets.length} ${plural(targets.length, 'copy', 'copies')}`;
  if (targets.length === 0) return [...why, 'No member can hold a copy now.'];
  const possible = copiesWanted(core.membership, replicas);
  why.push(
    `Placement wants it on ${list(targets)}, ${targets[0]} leading: ${copies}, each on its own host, spread over zones.`,
  );
  if (targets.length < replicas)
    why.push(
      possible > targets.length
        ? `That is fewer than ${replicas}, because members are dead or out of the stable view.`
        : `That is fewer than ${replicas}, because there are no more hosts.`,
    );
  return why;
}

function leaderWhy({ core, view, leader, targets }: Facts): string[] {
  if (!view) return ['This node knows no leader of the shard yet.'];
  const named = nameOf(view.number.leader);
  const { counter } = view.number;
  if (leader === null)
    return [
      `${named} (${stateOf(core, named)}) leads view ${counter} and does not answer as leader: the shard waits for a majority of its voters ${list(view.voters.map(nameOf))} and a copy of its last active set.`,
    ];
  const [preferred] = targets;
  if (preferred === undefined || preferred === leader)
    return [`${leader} leads, by view ${counter}, as placement wants.`];
  const why = [`${leader} leads, by view ${counter}, but placement prefers ${preferred}:`];
  if (!view.active.map(nameOf).includes(preferred))
    return [`${why} ${preferred} has no complete copy yet; it leads once it has.`];
  return [`${why} the hand-over to ${preferred} is due.`];
}

function copiesWhy({ core, view, answer, targets }: Facts): string[] {
  const why: string[] = [];
  for (const { node, role, behind } of answer?.copies ?? []) {
    const state = stateOf(core, node);
    if (role === 'learner')
      why.push(`${node} receives a copy${behind === null ? '' : `, ${behind} entries behind`}.`);
    else if (role !== 'voter' && !targets.includes(node))
      why.push(
        core.membership.get(node)?.meta.leaving
          ? `${node} is being removed; it keeps its copy until the others have theirs.`
          : `${node} keeps its copy until the members that placement wants have theirs.`,
      );
    if (role === 'voter')
      why.push(
        isPresent({ state })
          ? `${node} votes and holds no copy.`
          : `${node} is ${state} and still a voter.`,
      );
  }
  const held = new Set((answer?.copies ?? copiesOf(view)).map(({ node }) => node));
  for (const name of targets)
    if (!held.has(name)) why.push(`${name} should hold a copy; its transfer has not begun.`);
  return why;
}

function sessionWhy({ answer, leader }: Facts, here: boolean): string {
  if (!answer)
    return here
      ? 'There was such a session when this node last heard of it.'
      : 'Whether there is such a session cannot be said without a leader.';
  if (!answer.exists) return 'There is no such session: this is where it would be.';
  if (answer.gateway === null) return 'Its client is away; messages queue on every copy.';
  return answer.gateway === leader
    ? `Its client is connected to ${leader}, the leader itself.`
    : `Its client is connected to ${answer.gateway}, which any node may be: messages come from ${leader}.`;
}

/** What it gets as a member of groups. */
function sharedWhy({ core, clientId, answer }: Facts): string[] {
  const online = new Set<string>();
  for (const group of core.routes.groups.all())
    if (group.members.some((m) => m.clientId === clientId)) online.add(group.key);
  const keys = new Set([...(answer?.shared ?? []), ...online]);
  return [...keys].slice(0, SHARED_SAID_MAX).map((key) => {
    if (!online.has(key))
      return `It subscribes to ${key} and is offline: messages go to members that are online, and wait while none is.`;
    const members = core.routes.groups.get(key)!.members.length;
    return `It is one of ${members} ${plural(members, 'member', 'members')} of ${key} online: each message goes to one.`;
  });
}

function list(names: readonly string[]): string {
  return names.length < 2
    ? (names[0] ?? 'no member')
    : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

function plural(n: number, one: string, many: string): string {
  return n === 1 ? one : many;
}
