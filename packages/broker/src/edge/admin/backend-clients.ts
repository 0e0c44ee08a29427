/** Connections of the whole cluster, as the admin API shows them: asked of the nodes that have them. */
import { BrokerError } from '../../errors.ts';
import type { ListedClient } from '../../node/ask/question.ts';
import type { LastError } from '../../node/client/last-errors.ts';
import type { NodeCore } from '../../node/node.ts';
import type { ClientConnection, ClientDetail, ClientError, ClientPage } from './admin-backend.ts';
import { ask, reachableNames, stateOf } from './backend-ask.ts';
import { decodeCursor, mergeParts } from './pages.ts';

/** Members that may have connections and that are not asked, as there is no link with them. */
function outOfReach(core: NodeCore): string[] {
  const reached = new Set(reachableNames(core));
  return [...core.membership.members]
    .map(({ name }) => name)
    .filter((name) => !reached.has(name) && !['left', 'stopped'].includes(stateOf(core, name)));
}

/**
 * One page, by Client Identifier in code unit order; of a client that two nodes have while it moves, the
 * connection that is newer.
 *
 * @throws BROKER_ERR_REQUEST_INVALID for a cursor that is none
 */
export async function listClients(
  core: NodeCore,
  { limit, cursor }: { limit: number; cursor: string | undefined },
): Promise<ClientPage> {
  const after = cursor === undefined ? '' : decodeCursor(cursor);
  const silent = outOfReach(core);
  const parts = await Promise.all(
    reachableNames(core).map(async (node) => {
      const answer = await ask(core, node, { type: 'clients', after, limit });
      if (answer === undefined) silent.push(node);
      const items = (answer?.clients ?? []).map((client) => dated(client, node));
      return { items, complete: answer?.complete ?? true };
    }),
  );
  const { items, nextCursor } = mergeParts(parts, limit);
  return { clients: items, nextCursor, silent: silent.sort() };
}

/** With times as people read them. */
function dated<T extends ListedClient>({ connectedMs, lastError, ...rest }: T, node: string) {
  const connectedSince = new Date(connectedMs).toISOString();
  return { ...rest, node, connectedSince, lastError: lastError && datedError(lastError) };
}

function datedError({ atMs, reason, why }: LastError): ClientError {
  return { at: new Date(atMs).toISOString(), reason, why };
}

/** @throws BROKER_ERR_CLIENT_UNKNOWN where no node knows of it */
export async function showClient(core: NodeCore, clientId: string): Promise<ClientDetail> {
  const silent = outOfReach(core);
  let lastError: ClientDetail['lastError'] = null;
  let connection: ClientConnection | null = null;
  await Promise.all(
    reachableNames(core).map(async (node) => {
      const answer = await ask(core, node, { type: 'client', clientId });
      if (answer === undefined) silent.push(node);
      const found = answer?.client ? dated(answer.client, node) : null;
      if (found && (connection === null || found.connectedSince > connection.connectedSince))
        connection = found;
      const error = answer?.lastError ? datedError(answer.lastError) : found?.lastError;
      if (error && (lastError === null || error.at > lastError.at)) lastError = { ...error, node };
    }),
  );
  if (connection === null && lastError === null) {
    const unasked = silent.length === 0 ? '' : `; not asked: ${silent.sort().join(', ')}`;
    throw new BrokerError('BROKER_ERR_CLIENT_UNKNOWN', `${clientId}${unasked}`);
  }
  return { clientId, connection, lastError, silent: silent.sort() };
}
