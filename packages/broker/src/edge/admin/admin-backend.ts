/**
 * What the admin API asks of a node, and the shapes of its answers: the JSON that `shoal` prints
 * with --json. Types only.
 *
 * Methods reject with BrokerError; the API turns it into its HTTP status and
 * `{ code, message, remedy }`. Fields are added, never renamed.
 */

import type { SettingDrift } from '../../cluster-settings.ts';
import type { ListedClient, ShownClient } from '../../node/ask/question.ts';
import type { AccessBackend } from './access-backend.ts';

export interface AdminBackend {
  /** Users, roles and bans. */
  readonly access: AccessBackend;
  health(): HealthReport;
  readiness(): ReadinessReport;
  clusterStatus(): Promise<ClusterStatus>;
  /**
   * Has this node exchange membership with the one at `address`, which joins if it waits to.
   *
   * @param address cluster address, HOST:PORT
   * @throws BROKER_ERR_NODE_UNREACHABLE, BROKER_ERR_JOIN_OTHER_CLUSTER, BROKER_ERR_NODE_NAME_TAKEN
   */
  addNode(address: string): Promise<AddedNode>;
  /**
   * What a removal would move and whether it keeps R copies; changes nothing.
   *
   * @throws BROKER_ERR_NODE_UNKNOWN, BROKER_ERR_NODE_LAST
   */
  planRemoval(name: string): Promise<RemovalPlan>;
  /**
   * Begins to drain a member, or with force to replace a dead one; returns at once. Asked again, answers with
   * the progress of the removal under way.
   *
   * @param options.force go on although fewer than R copies remain, or although it is dead
   * @throws BROKER_ERR_NODE_UNKNOWN, BROKER_ERR_NODE_LAST, BROKER_ERR_NODE_WOULD_BREAK_REPLICAS,
   *   BROKER_ERR_NODE_UNREACHABLE
   */
  removeNode(name: string, options: { readonly force: boolean }): Promise<RemovalProgress>;
  /** @throws BROKER_ERR_REMOVAL_UNKNOWN, BROKER_ERR_NODE_UNKNOWN */
  removalProgress(name: string): Promise<RemovalProgress>;
  /**
   * A supervisor saw a node's process end: this node calls it faulty at once and gossips that. A process that
   * lives after all refutes it. Resolves when membership knows.
   *
   * @param bootEpoch of the process that ended; a process of another boot epoch is not meant
   * @throws BROKER_ERR_NODE_UNKNOWN, BROKER_ERR_REQUEST_INVALID of the node that is asked
   */
  reportEnd(name: string, bootEpoch: number | undefined): Promise<void>;
  /** The keys of every present member, by id. @throws BROKER_ERR_KEYRING_ABSENT */
  keyring(): Promise<KeyringStatus>;
  /**
   * Adds a key on every present member, which reads it from then on.
   *
   * @param key 32 bytes in base64
   * @throws BROKER_ERR_KEY_INVALID, BROKER_ERR_KEYRING_ABSENT
   */
  installKey(key: string): Promise<KeyringStatus>;
  /**
   * Has every present member seal with a key.
   *
   * @param options.force although a member lacks it or does not answer: it is cut off
   * @throws BROKER_ERR_KEY_MISSING, BROKER_ERR_KEYRING_ABSENT; nothing has changed
   */
  useKey(id: string, options: { readonly force: boolean }): Promise<KeyringStatus>;
  /**
   * Removes a key from every present member.
   *
   * @param options.force although a member does not answer
   * @throws BROKER_ERR_KEY_IN_USE, BROKER_ERR_KEYRING_ABSENT; nothing has changed
   */
  removeKey(id: string, options: { readonly force: boolean }): Promise<KeyringStatus>;
  /** Recovers copies of this node, or lists what that would do: acknowledged messages are lost by it. */
  recoverShards(options: { readonly acceptLoss: boolean }): Promise<ShardRecovery>;
  /**
   * Sessions of the whole cluster, a page at a time, in an order that stays the same.
   *
   * @param options.limit 1 to 1000
   * @param options.cursor `nextCursor` of the page before; undefined for the first
   */
  listSessions(options: {
    readonly limit: number;
    readonly cursor: string | undefined;
  }): Promise<SessionPage>;
  /** @throws BROKER_ERR_SESSION_UNKNOWN, BROKER_ERR_SHARD_UNAVAILABLE */
  showSession(clientId: string): Promise<SessionDetail>;
  /** Says where a Client Identifier belongs; also answers for one that has no session. */
  explainSession(clientId: string): Promise<SessionExplanation>;
  /**
   * Closes the session's connection (MQTT 5: 0x98, Administrative action); the session stays.
   *
   * @throws BROKER_ERR_SESSION_UNKNOWN, BROKER_ERR_SESSION_NOT_CONNECTED,
   *   BROKER_ERR_SHARD_UNAVAILABLE
   */
  kickSession(clientId: string): Promise<void>;
  /**
   * Connected clients of the whole cluster, a page at a time, in an order that stays the same.
   *
   * @param options as of {@link listSessions}
   */
  listClients(options: {
    readonly limit: number;
    readonly cursor: string | undefined;
  }): Promise<ClientPage>;
  /** One client: its connection, or what ended the last one. @throws BROKER_ERR_CLIENT_UNKNOWN */
  showClient(clientId: string): Promise<ClientDetail>;
  /**
   * Closes the connection and ends the session with its queue, on every copy.
   *
   * @throws BROKER_ERR_SESSION_UNKNOWN, BROKER_ERR_SHARD_UNAVAILABLE
   */
  deleteSession(clientId: string): Promise<void>;
  /**
   * Shared Subscriptions of the whole cluster, in code unit order of their Topic Filters.
   *
   * @throws BROKER_ERR_SHARD_UNAVAILABLE when a leader does not answer
   */
  listShares(): Promise<ShareList>;
  /**
   * One Shared Subscription: its members, and what waits for them.
   *
   * @param key the whole Topic Filter, `$share/name/filter`
   * @throws BROKER_ERR_SHARE_UNKNOWN, BROKER_ERR_SHARD_UNAVAILABLE
   */
  showShare(key: string): Promise<ShareDetail>;
}

export interface ShareList {
  readonly shares: readonly ShareSummary[];
  /** More exist than are listed. */
  readonly truncated: boolean;
}

export interface ShareSummary {
  /** The whole Topic Filter, `$share/name/filter`. */
  readonly key: string;
  readonly shareName: string;
  readonly filter: string;
  readonly strategy: string;
  /** Members with a connection, and stored sessions without one. */
  readonly online: number;
  readonly offline: number;
  /** Messages of QoS 1 and 2 that no member has acknowledged, and their bytes. */
  readonly waitingMessages: number;
  readonly waitingBytes: number;
}

export interface ShareDetail extends ShareSummary {
  readonly members: readonly ShareMember[];
  /** Client Identifiers of the first 1,000 stored sessions without a connection. */
  readonly offlineMembers: readonly string[];
  /** Who gets messages now, and why, in sentences. */
  readonly why: readonly string[];
}

export interface ShareMember {
  readonly clientId: string;
  readonly node: string;
  readonly qos: 0 | 1 | 2;
  /** The session is stored. */
  readonly persistent: boolean;
  /** Messages of QoS 1 and 2 that it takes at once, and those under way to it. */
  readonly window: number;
  readonly underWay: number;
  /** Messages given to it since it joined, by all nodes. */
  readonly given: number;
  /** Its window is full: it is passed over. */
  readonly busy: boolean;
}

/** Copies of one node that take no part until an operator says so: `shoal shard recover`. */
export interface ShardRecovery {
  readonly node: string;
  /** Whether it was done, or would be. */
  readonly done: boolean;
  readonly shards: readonly RecoveryStep[];
}

export interface RecoveryStep {
  readonly shard: number;
  /**
   * `discard`: it gives up committed entries that the shard's view lacks, and becomes a copy of that.
   * `restore`: it is short, and counts all the same, since no other copy answers.
   */
  readonly step: 'discard' | 'restore';
  readonly why: string;
}

/** What each present member said of its keyring, by name. */
export interface KeyringStatus {
  readonly members: readonly KeyringMember[];
}

export interface KeyringMember {
  readonly name: string;
  /** Its keys after the operation; null where it failed. */
  readonly keys: readonly { readonly id: string; readonly primary: boolean }[] | null;
  /** Why it failed; `code` is one of membership's (SWIM_ERR_…). */
  readonly error: ErrorBody | null;
}

/** The process is up and answers. */
export interface HealthReport {
  readonly node: string;
  readonly pid: number;
  readonly version: string;
  readonly uptimeMs: number;
}

/** Whether clients are served, and what is not as it should be. */
export interface ReadinessReport {
  /**
   * True while the node is joined, knows views and routes, and serves clients. A node at which all publishes
   * have long waited, or all shards, is not ready, and yet keeps its clients and takes new ones: they wait.
   */
  readonly ready: boolean;
  /** Empty when all is well; with `ready` true they are warnings. */
  readonly reasons: readonly ReadinessReason[];
}

export interface ReadinessReason {
  readonly reason:
    | 'not-joined'
    | 'loading'
    | 'publishes-wait'
    | 'shards-wait'
    | 'leaving'
    | 'under-replicated'
    | 'sessions-at-risk';
  /** A sentence for people, with figures. */
  readonly message: string;
}

export interface ClusterStatus {
  readonly clusterId: string;
  /** The node that answered. */
  readonly node: string;
  /** What waits now, as each node says of itself; publishes before shards. Empty while all is well. */
  readonly paused: readonly Paused[];
  /** Members that did not answer within 3 s, by name: what waits there is not known. */
  readonly silent: readonly { readonly name: string; readonly state: MemberStatus['state'] }[];
  /** Copies wanted of each shard (R). */
  readonly replicas: number;
  readonly shards: number;
  readonly durability: 'disk' | 'memory';
  readonly consistency: 'consistent' | 'available';
  /** Active copies without which nothing commits, once more than one voter decides. */
  readonly minCopies: number;
  /** Silence after which a copy is dropped or a leader replaced. */
  readonly silenceMs: number;
  /** What nodes are configured with otherwise, of those that answer: the above counts. */
  readonly drift: readonly ({ readonly node: string } & SettingDrift)[];
  /** By name. */
  readonly members: readonly MemberStatus[];
  readonly underReplicated: {
    /** Shards with fewer copies in their active set than min(R, hosts). */
    readonly count: number;
    /** The first 100 of them. */
    readonly shards: readonly UnderReplicatedShard[];
  };
  readonly sessions: {
    readonly total: number;
    readonly connected: number;
    /** Persistent sessions with one copy left though more are wanted, or none within reach. */
    readonly atRisk: number;
  };
}

/** Something that waits at a node for longer than a second. */
export interface Paused {
  /** The node whose clients wait. */
  readonly node: string;
  /**
   * `publishes`: all publishes of QoS 1 and 2, to any topic, and SUBSCRIBEs, for the route grant of a
   * member. `shards`: sessions of some shards, and publishes of QoS 1 and 2 that match them, for a leader.
   */
  readonly what: 'publishes' | 'shards';
  /** When it began, by that node's clock: ISO 8601, in UTC. For shards, when the first of them had none. */
  readonly since: string;
  readonly forMs: number;
  /** How many shards wait; 0 for publishes. */
  readonly shards: number;
  /** Whom the node waits for and does not hear; empty where it waits for something else. */
  readonly missing: readonly MissingNode[];
  /** What waits and why: a sentence for people. */
  readonly message: string;
  /** What to do about it: sentences for people. */
  readonly remedy: string;
}

export interface MissingNode {
  readonly name: string;
  /** `unknown`: that node has not seen it since it was started. */
  readonly state: MemberStatus['state'] | 'unknown';
  /** It answers, and with another data folder than the shards know: what it held is missed. */
  readonly otherFolder: boolean;
}

export interface MemberStatus {
  readonly name: string;
  /** `stopped`: faulty, or about to be, since its process was told to stop. */
  readonly state: 'alive' | 'suspect' | 'faulty' | 'stopped' | 'left';
  /** In the stable view: gets copies. One that came back again and again is out until it is quiet. */
  readonly inStableView: boolean;
  /** Its main loop or its disk hangs, as it says itself. */
  readonly unwell: boolean;
  /** True while the member drains before it leaves. */
  readonly leaving: boolean;
  readonly bootEpoch: number;
  /** Cluster address. */
  readonly address: string;
  readonly mqtt: string;
  readonly admin: string;
  readonly zone: string;
  readonly host: string;
  readonly weight: number;
  readonly shardsLed: number;
  readonly shardsHeld: number;
}

export interface UnderReplicatedShard {
  readonly shard: number;
  readonly leader: string | null;
  readonly active: readonly string[];
  readonly wanted: number;
}

export interface AddedNode {
  readonly name: string;
  readonly address: string;
}

export interface RemovalPlan {
  readonly node: string;
  readonly shardsHeld: number;
  readonly shardsLed: number;
  /** Bytes to be copied to other members. */
  readonly bytes: number;
  /** Estimate at the rate that transfers are bounded to. */
  readonly durationMs: number;
  /** Copies wanted, and copies possible once the node is gone. */
  readonly replicas: number;
  readonly replicasAfter: number;
  readonly breaksReplicas: boolean;
  /** Why the removal would be refused without force; '' when it would not. */
  readonly refusal: string;
}

export interface RemovalProgress {
  readonly node: string;
  /** `gone`: no view needs the node and it has left. */
  readonly state: 'draining' | 'gone';
  readonly shardsTotal: number;
  readonly shardsDone: number;
  readonly bytesTotal: number;
  readonly bytesDone: number;
  readonly elapsedMs: number;
  /** Estimate; null while there is none. */
  readonly remainingMs: number | null;
}

export interface ClientPage {
  readonly clients: readonly ClientSummary[];
  /** Null on the last page. Opaque. */
  readonly nextCursor: string | null;
  /** Nodes that did not answer: their clients are missing. */
  readonly silent: readonly string[];
}

export interface ClientSummary extends Omit<ListedClient, 'connectedMs' | 'lastError'> {
  /** Node that it is connected to. */
  readonly node: string;
  /** ISO 8601, in UTC. */
  readonly connectedSince: string;
  readonly lastError: ClientError | null;
}

export interface ClientConnection
  extends ClientSummary,
    Omit<ShownClient, 'connectedMs' | 'lastError'> {}

export interface ClientError {
  /** ISO 8601, in UTC. */
  readonly at: string;
  /** Name of a Reason Code, or ''. */
  readonly reason: string;
  readonly why: string;
}

export interface ClientDetail {
  readonly clientId: string;
  /** Null while it is away. */
  readonly connection: ClientConnection | null;
  /** The newest that nodes know of. */
  readonly lastError: (ClientError & { readonly node: string }) | null;
  /** Nodes that did not answer. */
  readonly silent: readonly string[];
}

export interface SessionPage {
  readonly sessions: readonly SessionSummary[];
  /** Null on the last page. Opaque. */
  readonly nextCursor: string | null;
}

export interface SessionSummary {
  readonly clientId: string;
  readonly shard: number;
  /** Node that leads the session's shard. */
  readonly leader: string;
  /** Node that the client is connected to; null when it is away. */
  readonly gateway: string | null;
  readonly queuedMessages: number;
  readonly inflightMessages: number;
  readonly subscriptions: number;
}

export interface SessionDetail {
  readonly clientId: string;
  readonly shard: number;
  readonly leader: string;
  /** Members that hold the session, the leader first. */
  readonly owners: readonly string[];
  readonly connection: SessionConnection | null;
  readonly queue: { readonly messages: number; readonly messagesMax: number };
  readonly inflight: { readonly qos1: number; readonly qos2: number; readonly messagesMax: number };
  readonly subscriptions: readonly SessionSubscription[];
  readonly expiry: {
    /** Session Expiry Interval; 4294967295 never expires, 0 ends with the connection. */
    readonly intervalSeconds: number;
    /** Until the session ends; null while connected or when it never does. */
    readonly remainingSeconds: number | null;
  };
}

export interface SessionConnection {
  readonly node: string;
  /** Client's address; '' where only another node knows it. */
  readonly remote: string;
  /** 3, 4 or 5: MQTT 3.1, 3.1.1 or 5.0. */
  readonly protocolVersion: number;
}

export interface SessionSubscription {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly subscriptionIdentifier: number | null;
}

export interface SessionExplanation {
  readonly clientId: string;
  /** False when there is no session: the rest says where it would be. */
  readonly exists: boolean;
  readonly shard: number;
  /** What placement wants now, preferred leader first. */
  readonly preferenceList: readonly string[];
  /** Null while no leader is known. */
  readonly leader: string | null;
  readonly view: {
    readonly counter: number;
    readonly leader: string;
    readonly bootEpoch: number;
    readonly voters: readonly string[];
    readonly active: readonly string[];
    /** True for a view formed by a majority of the voters. */
    readonly token: boolean;
  } | null;
  readonly copies: readonly SessionCopy[];
  /** Sentences that say why the session is where it is. */
  readonly why: readonly string[];
}

export interface SessionCopy {
  readonly node: string;
  readonly role: 'leader' | 'active' | 'learner' | 'voter';
  readonly memberState: MemberStatus['state'];
  /** Last index that the copy is known to have; null when not known. */
  readonly endIndex: number | null;
  /** Entries behind the leader; null when not known. */
  readonly lagEntries: number | null;
}

/** Body of every answer that is an error. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}
