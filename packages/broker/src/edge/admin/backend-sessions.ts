/** Sessions of the whole cluster, as the admin API shows them: asked of the nodes that lead them. */
import { setTimeout as delay } from 'node:timers/promises';
import { BrokerError } from '../../errors.ts';
import type { SessionsAnswer } from '../../node/ask/question.ts';
import { Status } from '../../node/link/request.ts';
import type { NodeCore } from '../../node/node.ts';
import type { SessionDetail, SessionPage } from './admin-backend.ts';
import { ask, askLeader, reachableLeader, shardOfClient, unavailable } from './backend-ask.ts';
import { decodeCursor, mergeParts } from './pages.ts';

const DELETE_TIMEOUT_MS = 5000;

/**
 * One page, by Client Identifier in code unit order, so that the order stays the same while sessions
 * come, go and change their leader. Sessions of shards without a leader within reach are missing.
 *
 * @throws BROKER_ERR_REQUEST_INVALID for a cursor that is none, BROKER_ERR_SHARD_UNAVAILABLE when a
 *   leader does not answer
 */
export async function listSessions(
  core: NodeCore,
  { limit, cursor }: { limit: number; cursor: string | undefined },
): Promise<SessionPage> {
  const after = cursor === undefined ? '' : decodeCursor(cursor);
  const leaders = new Set<string>();
  for (const { shard } of core.views) leaders.add(reachableLeader(core, shard));
  leaders.delete('');
  const answers = await Promise.all(
    [...leaders].map(async (leader) => {
      const answer = await ask(core, leader, { type: 'sessions', after, limit });
      if (answer === undefined)
        throw new BrokerError('BROKER_ERR_SHARD_UNAVAILABLE', `${leader} does not answer`);
      return { leader, answer };
    }),
  );
  return mergePage(answers, limit);
}

export function mergePage(
  answers: readonly { readonly leader: string; readonly answer: SessionsAnswer }[],
  limit: number,
): SessionPage {
  const parts = answers.map(({ leader, answer: { sessions, complete } }) => {
    const items = sessions.map(({ queued, inflight, ...s }) => ({
      clientId: s.clientId,
      shard: s.shard,
      leader,
      gateway: s.gateway,
      queuedMessages: queued,
      inflightMessages: inflight,
      subscriptions: s.subscriptions,
    }));
    return { items, complete };
  });
  const { items, nextCursor } = mergeParts(parts, limit);
  return { sessions: items, nextCursor };
}

/** @throws BROKER_ERR_SESSION_UNKNOWN, BROKER_ERR_SHARD_UNAVAILABLE */
export async function showSession(core: NodeCore, clientId: string): Promise<SessionDetail> {
  const { leader, answer: s } = await askLeader(core, { type: 'session', clientId });
  if (s === null) throw new BrokerError('BROKER_ERR_SESSION_UNKNOWN', clientId);
  const { gateway, connection, version } = s;
  const remote =
    gateway === null ? '' : ((await ask(core, gateway, { type: 'remote', connection })) ?? '');
  return {
    clientId,
    shard: s.shard,
    leader,
    owners: s.owners,
    connection: gateway === null ? null : { node: gateway, remote, protocolVersion: version },
    queue: { messages: s.queued, messagesMax: core.limits.sessionQueueMessages },
    inflight: {
      qos1: s.inflightQos1,
      qos2: s.inflightQos2,
      messagesMax: core.limits.inflightMessages,
    },
    subscriptions: s.subscriptions.map(({ identifier, ...rest }) => ({
      ...rest,
      subscriptionIdentifier: identifier > 0 ? identifier : null,
    })),
    expiry: { intervalSeconds: s.expirySeconds, remainingSeconds: s.remainingSeconds },
  };
}

/** @throws BROKER_ERR_SESSION_UNKNOWN, BROKER_ERR_SESSION_NOT_CONNECTED, BROKER_ERR_SHARD_UNAVAILABLE */
export async function kickSession(core: NodeCore, clientId: string): Promise<void> {
  const { answer } = await askLeader(core, { type: 'kick', clientId });
  if (answer === null) throw new BrokerError('BROKER_ERR_SESSION_UNKNOWN', clientId);
  if (answer === 'not-connected')
    throw new BrokerError('BROKER_ERR_SESSION_NOT_CONNECTED', clientId);
}

/**
 * Resolves once the end of the session is on disk on every copy.
 *
 * @throws BROKER_ERR_SESSION_UNKNOWN, BROKER_ERR_SHARD_UNAVAILABLE; after the latter the session may
 *   still be ended, if a leader had been found and did not answer
 */
export async function deleteSession(core: NodeCore, clientId: string): Promise<void> {
  const shard = shardOfClient(core, clientId);
  // A request waits in its channel until a leader comes, however late: none is sent without one.
  await askLeader(core, { type: 'session', clientId });
  const answered = new Promise<number>((resolve) => {
    core.router.channel(shard).send({ type: 'delete', clientId }, ({ status }) => resolve(status));
  });
  const late = new AbortController();
  const status = await Promise.race([
    answered,
    delay(DELETE_TIMEOUT_MS, undefined, { ref: false, signal: late.signal }).catch(() => undefined),
  ]);
  late.abort();
  if (status === undefined) throw unavailable(shard);
  if (status !== Status.Ok) throw new BrokerError('BROKER_ERR_SESSION_UNKNOWN', clientId);
}
