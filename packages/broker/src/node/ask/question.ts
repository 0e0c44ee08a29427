/** What nodes ask each other on behalf of operators, and the answers. */
import { BytesError } from '../../bytes.ts';
import type { SettingDrift } from '../../cluster-settings.ts';
import type { MemberInfo } from '../../ports.ts';
import type { LastError } from '../client/last-errors.ts';

export type Question =
  /** Sessions led there, in code unit order of their Client Identifiers. */
  | { readonly type: 'sessions'; readonly after: string; readonly limit: number }
  | { readonly type: 'session'; readonly clientId: string }
  | { readonly type: 'explain'; readonly clientId: string }
  | { readonly type: 'kick'; readonly clientId: string }
  /** Clients connected there, in code unit order of their Client Identifiers. */
  | { readonly type: 'clients'; readonly after: string; readonly limit: number }
  | { readonly type: 'client'; readonly clientId: string }
  | { readonly type: 'totals' }
  /** Client's address of a connection there. */
  | { readonly type: 'remote'; readonly connection: number }
  /** Size of the data folder. */
  | { readonly type: 'bytes' }
  /** Drain and leave the cluster; again while it drains: where it stands. */
  | { readonly type: 'leave' }
  /** The removal under way, null for none. */
  | { readonly type: 'removal' }
  /** What waits there now. */
  | { readonly type: 'paused' }
  /** Groups with messages or stored members in shards led there, in code unit order of their keys. */
  | { readonly type: 'shares'; readonly after: string }
  /** One group, by the whole Topic Filter of its Shared Subscription. */
  | { readonly type: 'share'; readonly key: string };

/**
 * A question as it came from another node.
 *
 * @returns null for a type that a later version asks
 * @throws BytesError for one that lacks what it asks about
 */
export function readQuestion(value: unknown): Question | null {
  if (typeof value !== 'object' || value === null)
    throw new BytesError('a question that is no object');
  const { type, clientId, after, limit, connection, key } = value as Readonly<
    Record<string, unknown>
  >;
  switch (type) {
    case 'sessions':
    case 'clients':
      if (typeof after === 'string' && isCount(limit)) return { type, after, limit };
      break;
    case 'session':
    case 'explain':
    case 'kick':
    case 'client':
      if (typeof clientId === 'string') return { type, clientId };
      break;
    case 'shares':
      if (typeof after === 'string') return { type, after };
      break;
    case 'share':
      if (typeof key === 'string') return { type, key };
      break;
    case 'remote':
      if (isCount(connection)) return { type, connection };
      break;
    case 'totals':
    case 'bytes':
    case 'leave':
    case 'removal':
    case 'paused':
      return { type };
    default:
      return null;
  }
  throw new BytesError(`question ${type} without what it asks about`);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export interface Answers {
  readonly sessions: SessionsAnswer;
  /** 'elsewhere' from a node that does not lead the session's shard; null: no such session. */
  readonly session: SessionAnswer | 'elsewhere' | null;
  readonly explain: ExplainAnswer | 'elsewhere';
  readonly kick: 'kicked' | 'not-connected' | 'elsewhere' | null;
  readonly clients: ClientsAnswer;
  readonly client: ClientAnswer;
  readonly totals: TotalsAnswer;
  readonly remote: string;
  readonly bytes: number;
  readonly leave: RemovalAnswer | 'last';
  readonly removal: RemovalAnswer | null;
  readonly paused: readonly PausedAnswer[];
  readonly shares: SharesAnswer;
  readonly share: ShareAnswer;
}

export interface SharesAnswer {
  readonly shares: readonly {
    readonly key: string;
    /** Messages that no member has acknowledged, and their bytes. */
    readonly waiting: number;
    readonly bytes: number;
    /** Stored sessions that subscribe at QoS 1 or 2, online or not. */
    readonly stored: number;
  }[];
  /** False when more follow the last one. */
  readonly complete: boolean;
}

export interface ShareAnswer {
  readonly waiting: number;
  readonly bytes: number;
  /** Client Identifiers of stored sessions without a connection; the first ones. */
  readonly offline: readonly string[];
  readonly offlineCount: number;
  /** What the node asked has given to members. */
  readonly members: readonly {
    readonly node: string;
    readonly connection: number;
    readonly underWay: number;
    readonly given: number;
    readonly busy: boolean;
  }[];
}

export interface ClientsAnswer {
  readonly clients: readonly ListedClient[];
  /** False when more follow the last one. */
  readonly complete: boolean;
}

/** A connection, in what it has in common for lists and for itself. */
export interface ListedClient {
  readonly clientId: string;
  /** HOST:PORT, or `unix:PATH`. */
  readonly remote: string;
  readonly listener: string;
  /** 3, 4 or 5: MQTT 3.1, 3.1.1 or 5.0. */
  readonly protocolVersion: number;
  /** 0: none. */
  readonly keepAliveSeconds: number;
  /** When CONNECT was accepted, in wall-clock milliseconds of the node. */
  readonly connectedMs: number;
  readonly packetsReceived: number;
  readonly packetsSent: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** QoS 1 and 2 messages that were sent and are not acknowledged. */
  readonly inflightMessages: number;
  /** Messages that wait at the connection for room in the client; those queued for its session do not. */
  readonly waitingMessages: number;
  readonly subscriptions: number;
  /** The last refusal on this connection, or else what ended an earlier one at this node. */
  readonly lastError: LastError | null;
}

export interface ClientAnswer {
  /** Null where it is not connected. */
  readonly client: ShownClient | null;
  /** Where it is not connected: what ended its last connection, as far as that is remembered. */
  readonly lastError: LastError | null;
}

export interface ShownClient extends ListedClient {
  /** Its session is stored. */
  readonly persistent: boolean;
  readonly receiveMaximum: number;
  /** Session Expiry Interval. */
  readonly expirySeconds: number;
  /** Bytes that wait for its socket. */
  readonly socketBytes: number;
  /** Requests of the client that are not answered yet. */
  readonly unansweredRequests: number;
  /** Subject of the certificate by which TLS has verified it. */
  readonly certificate: string | null;
}

export interface SessionsAnswer {
  readonly sessions: readonly ListedSession[];
  /** False when more follow the last one. */
  readonly complete: boolean;
}

export interface ListedSession {
  readonly clientId: string;
  readonly shard: number;
  readonly gateway: string | null;
  readonly queued: number;
  readonly inflight: number;
  readonly subscriptions: number;
}

export interface SessionAnswer {
  readonly shard: number;
  readonly gateway: string | null;
  readonly connection: number;
  readonly version: number;
  readonly queued: number;
  readonly inflightQos1: number;
  readonly inflightQos2: number;
  readonly expirySeconds: number;
  readonly remainingSeconds: number | null;
  readonly subscriptions: readonly {
    readonly filter: string;
    readonly qos: 0 | 1 | 2;
    readonly noLocal: boolean;
    readonly retainAsPublished: boolean;
    readonly identifier: number;
  }[];
  /** Names of the active members, the leader first. */
  readonly owners: readonly string[];
}

export interface ExplainAnswer {
  readonly exists: boolean;
  /** Shared Subscriptions of a stored session; the first ones. */
  readonly shared: readonly string[];
  readonly gateway: string | null;
  readonly copies: readonly CopyAnswer[];
}

export interface CopyAnswer {
  readonly node: string;
  readonly role: 'leader' | 'active' | 'learner' | 'voter';
  readonly endIndex: number | null;
  readonly behind: number | null;
}

export interface TotalsAnswer {
  /** Settings that the node was given explicitly and that differ in its cluster. */
  readonly drift: readonly SettingDrift[];
  readonly sessions: number;
  readonly persistent: number;
  readonly connected: number;
  readonly queued: number;
  readonly retained: number;
  /** Persistent sessions in shards with one copy left though more are wanted. */
  readonly atRisk: number;
}

export interface RemovalAnswer {
  readonly shardsTotal: number;
  readonly bytesTotal: number;
  readonly elapsedMs: number;
}

/** Something that waits at a node, as that node tells people of it. */
export interface PausedAnswer {
  readonly what: 'publishes' | 'shards';
  readonly since: string;
  readonly forMs: number;
  readonly shards: number;
  readonly missing: readonly {
    readonly name: string;
    readonly state: MemberInfo['state'] | 'stopped' | 'unknown';
    readonly otherFolder: boolean;
  }[];
  readonly message: string;
  readonly remedy: string;
}
