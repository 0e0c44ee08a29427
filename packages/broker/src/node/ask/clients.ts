/** Connections of one node, as people are told of them: no payloads, no credentials. */
import { reasonName } from '../../mqtt/reason-code.ts';
import type { LastError } from '../client/last-errors.ts';
import type { AskedConnection, AskPort } from './ask-port.ts';
import { firstByName } from './first-by-name.ts';
import type { ClientAnswer, ClientsAnswer, ListedClient, ShownClient } from './question.ts';

/** Clients in one answer; the rest is asked for by further questions. */
const CLIENTS_MAX = 1000;
/** Characters of Client Identifiers in one answer. */
const CLIENT_CHARACTERS_MAX = 4 * 1024 * 1024;

type AskedClients = AskPort['clients'];

/** Those whose Client Identifiers follow `after`. A client is here from its CONNACK on. */
export function clientsOf(clients: AskedClients, after: string, limit: number): ClientsAnswer {
  const count = Math.min(limit, CLIENTS_MAX);
  const found = firstByName(openAfter(clients, after), count + 1);
  const listed: ListedClient[] = [];
  let characters = 0;
  for (const [clientId, c] of found.slice(0, count)) {
    characters += clientId.length;
    if (listed.length > 0 && characters > CLIENT_CHARACTERS_MAX) break;
    listed.push(listedOf(clients, c));
  }
  return { clients: listed, complete: listed.length === found.length };
}

function* openAfter(
  { connections }: AskedClients,
  after: string,
): Generator<[string, AskedConnection]> {
  for (const c of connections.values()) if (c.isOpen && c.clientId > after) yield [c.clientId, c];
}

export function clientOf(clients: AskedClients, clientId: string): ClientAnswer {
  for (const c of clients.connections.values())
    if (c.isOpen && c.clientId === clientId)
      return { client: shownOf(clients, c), lastError: null };
  return { client: null, lastError: clients.log.lastErrors.get(clientId) };
}

function listedOf({ log }: AskedClients, c: AskedConnection): ListedClient {
  const { out, socket } = c;
  return {
    clientId: c.clientId,
    remote: socket.remote,
    listener: socket.rules?.name ?? '',
    protocolVersion: c.version,
    keepAliveSeconds: c.keepAliveMs / 1000,
    connectedMs: c.connectedMs,
    packetsReceived: c.packetsReceived,
    packetsSent: c.packetsSent,
    bytesReceived: c.bytesReceived,
    bytesSent: c.bytesSent,
    inflightMessages: out?.inFlight.size ?? 0,
    waitingMessages: out ? out.waitingCount + out.held.length : 0,
    subscriptions: c.subscriptions?.size ?? 0,
    lastError: refusalOf(c) ?? log.lastErrors.get(c.clientId),
  };
}

function shownOf(clients: AskedClients, c: AskedConnection): ShownClient {
  return {
    ...listedOf(clients, c),
    persistent: c.persistent,
    receiveMaximum: c.receiveMaximum,
    expirySeconds: c.expirySeconds,
    socketBytes: c.socket.pendingBytes,
    unansweredRequests: c.unacknowledged,
    certificate: c.socket.certificate?.subject ?? null,
  };
}

function refusalOf({ lastErrorCode, lastErrorMs }: AskedConnection): LastError | null {
  if (lastErrorCode === 0) return null;
  return {
    atMs: lastErrorMs,
    reason: reasonName(lastErrorCode),
    why: 'a request was refused',
  };
}
