/** Shared Subscriptions of the whole cluster, as the admin API shows them. */
import { BrokerError } from '../../errors.ts';
import type { ShareAnswer, SharesAnswer } from '../../node/ask/question.ts';
import type { NodeCore } from '../../node/node.ts';
import { type Group, strategyOf } from '../../node/route/groups.ts';
import type { ShareDetail, ShareList, ShareMember, ShareSummary } from './admin-backend.ts';
import { ask, reachableLeader } from './backend-ask.ts';

/** Shared Subscriptions that are listed. */
const SHARES_MAX = 10_000;

/** Every node that leads a shard within reach. */
function leadersOf(core: NodeCore): string[] {
  const leaders = new Set<string>();
  for (const { shard } of core.views) leaders.add(reachableLeader(core, shard));
  leaders.delete('');
  return [...leaders];
}

function noAnswer(leader: string): BrokerError {
  return new BrokerError('BROKER_ERR_SHARD_UNAVAILABLE', `${leader} does not answer`);
}

/** All that a node says, page after page. */
async function sharesAt(core: NodeCore, leader: string): Promise<SharesAnswer['shares']> {
  const shares: SharesAnswer['shares'][number][] = [];
  for (let after = ''; ; after = shares.at(-1)!.key) {
    const answer = await ask(core, leader, { type: 'shares', after });
    if (answer === undefined) throw noAnswer(leader);
    shares.push(...answer.shares);
    if (answer.complete || answer.shares.length === 0 || shares.length > SHARES_MAX) return shares;
  }
}

/** @throws BROKER_ERR_SHARD_UNAVAILABLE when a leader does not answer */
export async function listShares(core: NodeCore): Promise<ShareList> {
  const answers = await Promise.all(leadersOf(core).map((leader) => sharesAt(core, leader)));
  const kept = new Map<string, { waiting: number; bytes: number; stored: number }>();
  for (const { key } of core.routes.groups.all())
    kept.set(key, { waiting: 0, bytes: 0, stored: 0 });
  for (const { key, waiting, bytes, stored } of answers.flat()) {
    const sum = kept.get(key) ?? { waiting: 0, bytes: 0, stored: 0 };
    kept.set(key, {
      waiting: sum.waiting + waiting,
      bytes: sum.bytes + bytes,
      stored: sum.stored + stored,
    });
  }
  const all = [...kept].sort(([a], [b]) => (a < b ? -1 : 1));
  const shares = all
    .slice(0, SHARES_MAX)
    .map(([key, { waiting, bytes, stored }]) => summaryOf(core, key, stored, waiting, bytes));
  return { shares, truncated: all.length > shares.length };
}

function summaryOf(
  core: NodeCore,
  key: string,
  stored: number,
  waiting: number,
  bytes: number,
): ShareSummary {
  const group = core.routes.groups.get(key);
  const slash = key.indexOf('/', 7);
  const shareName = key.slice(7, slash);
  return {
    key,
    shareName,
    filter: key.slice(slash + 1),
    strategy: strategyOf(core.options.shared, shareName),
    online: group?.members.length ?? 0,
    offline: Math.max(0, stored - storedOnline(group)),
    waitingMessages: waiting,
    waitingBytes: bytes,
  };
}

/** Members online whose stored sessions count as such. */
function storedOnline(group: Group | undefined): number {
  return group?.members.filter(({ persistent, qos }) => persistent && qos > 0).length ?? 0;
}

/** @throws BROKER_ERR_SHARE_UNKNOWN, BROKER_ERR_SHARD_UNAVAILABLE */
export async function showShare(core: NodeCore, key: string): Promise<ShareDetail> {
  const leaders = leadersOf(core);
  const answers = await Promise.all(
    leaders.map(async (leader) => {
      const answer = await ask(core, leader, { type: 'share', key });
      if (answer === undefined) throw noAnswer(leader);
      return answer;
    }),
  );
  const sum = (of: (answer: ShareAnswer) => number) =>
    answers.reduce((total, answer) => total + of(answer), 0);
  const group = core.routes.groups.get(key);
  const offline = sum(({ offlineCount }) => offlineCount);
  const waiting = sum((answer) => answer.waiting);
  if (!group && offline === 0 && waiting === 0)
    throw new BrokerError('BROKER_ERR_SHARE_UNKNOWN', key);
  const members = (group?.members ?? []).map(
    ({ clientId, node, connection, qos, persistent, window }): ShareMember => {
      const of = answers.flatMap((answer) =>
        answer.members.filter((m) => m.node === node && m.connection === connection),
      );
      return {
        clientId,
        node,
        qos,
        persistent,
        window,
        underWay: of.reduce((total, { underWay }) => total + underWay, 0),
        given: of.reduce((total, { given }) => total + given, 0),
        busy: of.some(({ busy }) => busy) || of.some(({ underWay }) => underWay >= window),
      };
    },
  );
  const detail = {
    ...summaryOf(
      core,
      key,
      0,
      waiting,
      sum(({ bytes }) => bytes),
    ),
    offline,
  };
  return {
    ...detail,
    members,
    offlineMembers: answers.flatMap((answer) => answer.offline).sort(),
    why: whyOf(detail, members),
  };
}

function whyOf(
  { strategy, offline, waitingMessages }: ShareSummary,
  members: readonly ShareMember[],
) {
  const why: string[] = [];
  const busy = members.filter((m) => m.busy).length;
  if (members.length === 0) {
    why.push(
      offline === 0
        ? 'No session subscribes to it any more: what waits is dropped after 5 s.'
        : 'No member is online: messages of QoS 1 and 2 wait, and the first member that comes back gets them. Those of QoS 0 are dropped.',
    );
  } else {
    why.push(`Each message goes to one of ${members.length} members online, by ${strategy}.`);
    if (offline > 0)
      why.push(
        `${offline} offline: they get none while a member is online, and none waits for them.`,
      );
    if (busy > 0) why.push(`${busy} with a full window: passed over.`);
    if (busy === members.length && waitingMessages > 0)
      why.push('All are busy: messages wait, in order, for the first with room.');
  }
  return why;
}
