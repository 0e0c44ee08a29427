/** An AdminBackend without a cluster: fixed answers, and what was asked of it. */

import { Gate } from '../../src/access/gate.ts';
import { AccessBackend } from '../../src/edge/admin/access-backend.ts';
import type {
  AdminBackend,
  ClientDetail,
  ClientSummary,
  ClusterStatus,
  KeyringStatus,
  MemberStatus,
  Paused,
  ReadinessReport,
  RemovalPlan,
  RemovalProgress,
  SessionDetail,
  SessionSummary,
  ShardRecovery,
  ShareDetail,
  ShareList,
} from '../../src/edge/admin/admin-backend.ts';
import { BrokerError } from '../../src/errors.ts';
import type { AccessRecords } from '../../src/node/client/access-records.ts';

/** Users, roles and bans of a node without a cluster: a change holds at once. */
function fakeAccess(): AccessBackend {
  const gate = new Gate({
    required: false,
    passwords: { verify: (_h, _p, done) => done(true) },
    wallMs: Date.now,
  });
  gate.loaded = true;
  const change: AccessRecords['change'] = (kind, key, record, done) =>
    done(gate.directory.apply(kind, key, record ?? undefined));
  return new AccessBackend({ gate, clients: { access: { change } } });
}

export class FakeBackend implements AdminBackend {
  readonly access = fakeAccess();
  readonly calls: string[] = [];
  ready: ReadinessReport = { ready: true, reasons: [] };
  sessionCount = 3;
  /** Bytes that one look at the progress moves on; the removal has 1,000. */
  removalStepBytes = 500;
  /** Answers of `clusterStatus` that fail before it works again. */
  failures: unknown[] = [];
  encrypted = true;
  paused: readonly Paused[] = [];
  silent: ClusterStatus['silent'] = [];
  /** A member that does not answer about its keyring. */
  deaf = '';
  #movedBytes = -1;

  health() {
    return { node: 'n1', pid: process.pid, version: '0.1.0', uptimeMs: 1234 };
  }

  readiness(): ReadinessReport {
    return this.ready;
  }

  async clusterStatus(): Promise<ClusterStatus> {
    this.calls.push('clusterStatus');
    if (this.failures.length > 0) throw this.failures.shift();
    return {
      clusterId: 'c0ffee',
      node: 'n1',
      paused: this.paused,
      silent: this.silent,
      replicas: 3,
      shards: 1024,
      durability: 'disk',
      consistency: 'consistent',
      minCopies: 2,
      silenceMs: 500,
      drift: [{ node: 'n2', key: 'cluster.replicas', configured: 1, cluster: 3 }],
      members: [
        member('n1', 'alive'),
        { ...member('n2', 'alive'), unwell: true },
        member('n3', 'faulty'),
        { ...member('n4', 'alive'), inStableView: false },
      ],
      underReplicated: {
        count: 3,
        shards: [
          { shard: 7, leader: 'n1', active: ['n1', 'n2'], wanted: 3 },
          { shard: 9, leader: null, active: [], wanted: 3 },
          { shard: 12, leader: 'n2', active: ['n1', 'n2', 'n3'], wanted: 3 },
        ],
      },
      sessions: { total: 12, connected: 4, atRisk: 1 },
    };
  }

  async addNode(address: string) {
    this.calls.push(`addNode ${address}`);
    if (address.endsWith(':1')) throw new BrokerError('BROKER_ERR_NODE_UNREACHABLE', address);
    return { name: 'n4', address };
  }

  async reportEnd(name: string, bootEpoch: number | undefined): Promise<void> {
    this.calls.push(`reportEnd ${name} ${bootEpoch}`);
    this.#known(name);
  }

  async planRemoval(name: string): Promise<RemovalPlan> {
    this.calls.push(`planRemoval ${name}`);
    this.#known(name);
    const breaks = name === 'n1';
    return {
      node: name,
      shardsHeld: 700,
      shardsLed: 300,
      bytes: 123_456_789,
      durationMs: 61_000,
      replicas: 3,
      replicasAfter: breaks ? 2 : 3,
      breaksReplicas: breaks,
      refusal: breaks ? '2 hosts would remain for 3 copies' : '',
    };
  }

  async removeNode(name: string, { force }: { force: boolean }): Promise<RemovalProgress> {
    this.calls.push(`removeNode ${name} force=${force}`);
    this.#known(name);
    if (name === 'n1' && !force) {
      throw new BrokerError('BROKER_ERR_NODE_WOULD_BREAK_REPLICAS', '2 hosts for 3 copies');
    }
    this.#movedBytes = 0;
    return this.#progress(name);
  }

  async removalProgress(name: string): Promise<RemovalProgress> {
    this.#known(name);
    if (this.#movedBytes < 0) throw new BrokerError('BROKER_ERR_REMOVAL_UNKNOWN', name);
    this.#movedBytes = Math.min(1000, this.#movedBytes + this.removalStepBytes);
    return this.#progress(name);
  }

  async listSessions({ limit, cursor }: { limit: number; cursor: string | undefined }) {
    this.calls.push(`listSessions ${limit} ${cursor ?? '-'}`);
    const from = cursor === undefined ? 0 : Number(cursor);
    const to = Math.min(this.sessionCount, from + limit);
    const sessions: SessionSummary[] = [];
    for (let i = from; i < to; i++) sessions.push(summary(`client-${i}`));
    return { sessions, nextCursor: to < this.sessionCount ? String(to) : null };
  }

  async showSession(clientId: string): Promise<SessionDetail> {
    this.calls.push(`showSession ${clientId}`);
    if (clientId === 'absent') throw new BrokerError('BROKER_ERR_SESSION_UNKNOWN', clientId);
    return {
      clientId,
      shard: 42,
      leader: 'n1',
      owners: ['n1', 'n2'],
      connection: { node: 'n2', remote: '127.0.0.1:50000', protocolVersion: 5 },
      queue: { messages: 17, messagesMax: 100_000 },
      inflight: { qos1: 3, qos2: 1, messagesMax: 128 },
      subscriptions: [
        {
          filter: 'a/+',
          qos: 2,
          noLocal: false,
          retainAsPublished: true,
          subscriptionIdentifier: 7,
        },
      ],
      expiry: { intervalSeconds: 3600, remainingSeconds: null },
    };
  }

  async explainSession(clientId: string) {
    this.calls.push(`explainSession ${clientId}`);
    return {
      clientId,
      exists: clientId !== 'absent',
      shard: 42,
      preferenceList: ['n1', 'n2', 'n3'],
      leader: 'n1',
      view: {
        counter: 5,
        leader: 'n1',
        bootEpoch: 2,
        voters: ['n1', 'n2', 'n3'],
        active: ['n1', 'n2'],
        token: true,
      },
      copies: [
        {
          node: 'n1',
          role: 'leader' as const,
          memberState: 'alive' as const,
          endIndex: 90,
          lagEntries: 0,
        },
        {
          node: 'n2',
          role: 'active' as const,
          memberState: 'alive' as const,
          endIndex: 88,
          lagEntries: 2,
        },
        {
          node: 'n3',
          role: 'voter' as const,
          memberState: 'faulty' as const,
          endIndex: null,
          lagEntries: null,
        },
      ],
      why: ['n1 leads because placement prefers it and it holds the whole log.'],
    };
  }

  async keyring(): Promise<KeyringStatus> {
    if (!this.encrypted) throw new BrokerError('BROKER_ERR_KEYRING_ABSENT');
    return {
      members: ['n1', 'n2', 'n3'].map((name) =>
        name === this.deaf
          ? {
              name,
              keys: null,
              error: { code: 'SWIM_ERR_UNREACHABLE', message: 'm.', remedy: 'r.' },
            }
          : { name, keys: [{ id: '1169a4d2', primary: true }], error: null },
      ),
    };
  }

  async installKey(key: string): Promise<KeyringStatus> {
    if (key.length !== 44) throw new BrokerError('BROKER_ERR_KEY_INVALID');
    this.calls.push('installKey');
    return this.keyring();
  }

  async useKey(id: string, { force }: { force: boolean }): Promise<KeyringStatus> {
    if (id !== '1169a4d2' && !force) throw new BrokerError('BROKER_ERR_KEY_MISSING', 'On n2.');
    this.calls.push(`useKey ${id} ${force}`);
    return this.keyring();
  }

  async removeKey(id: string, { force }: { force: boolean }): Promise<KeyringStatus> {
    if (id === '1169a4d2') throw new BrokerError('BROKER_ERR_KEY_IN_USE', 'On n1, n2, n3.');
    this.calls.push(`removeKey ${id} ${force}`);
    return this.keyring();
  }

  async recoverShards({ acceptLoss }: { acceptLoss: boolean }): Promise<ShardRecovery> {
    this.calls.push(`recoverShards ${acceptLoss}`);
    const shards = [{ shard: 3, step: 'discard' as const, why: 'entries 4 to 9' }];
    return { node: 'n1', done: acceptLoss, shards };
  }

  async listShares(): Promise<ShareList> {
    return { shares: [SHARE], truncated: false };
  }

  async showShare(key: string): Promise<ShareDetail> {
    this.calls.push(`showShare ${key}`);
    if (key !== SHARE.key) throw new BrokerError('BROKER_ERR_SHARE_UNKNOWN', key);
    const member = { qos: 1, persistent: true, window: 20 } as const;
    return {
      ...SHARE,
      members: [
        { ...member, clientId: 'w1', node: 'n1', underWay: 2, given: 700, busy: false },
        { ...member, clientId: 'w2', node: 'n3', underWay: 20, given: 640, busy: true },
      ],
      offlineMembers: ['w3'],
      why: ['Each message goes to one of 2 members online, by round-robin.'],
    };
  }

  async listClients({ limit, cursor }: { limit: number; cursor: string | undefined }) {
    this.calls.push(`listClients ${limit} ${cursor ?? '-'}`);
    const from = cursor === undefined ? 0 : Number(cursor);
    const to = Math.min(this.sessionCount, from + limit);
    const clients: ClientSummary[] = [];
    for (let i = from; i < to; i++) clients.push(connection(`client-${i}`));
    return { clients, nextCursor: to < this.sessionCount ? String(to) : null, silent: ['n3'] };
  }

  async showClient(clientId: string): Promise<ClientDetail> {
    this.calls.push(`showClient ${clientId}`);
    if (clientId === 'absent') throw new BrokerError('BROKER_ERR_CLIENT_UNKNOWN', clientId);
    const at = '2026-11-30T12:00:00.000Z';
    const lastError = { node: 'n2', at, reason: 'Keep Alive timeout', why: 'keep alive elapsed' };
    if (clientId === 'away') return { clientId, connection: null, lastError, silent: [] };
    return {
      clientId,
      connection: {
        ...connection(clientId),
        persistent: true,
        receiveMaximum: 20,
        expirySeconds: 60,
        socketBytes: 2048,
        unansweredRequests: 3,
        certificate: 'CN=dev-1,O=Example',
      },
      lastError: null,
      silent: [],
    };
  }

  async kickSession(clientId: string): Promise<void> {
    this.calls.push(`kickSession ${clientId}`);
    if (clientId === 'away') throw new BrokerError('BROKER_ERR_SESSION_NOT_CONNECTED', clientId);
  }

  async deleteSession(clientId: string): Promise<void> {
    this.calls.push(`deleteSession ${clientId}`);
    if (clientId === 'absent') throw new BrokerError('BROKER_ERR_SESSION_UNKNOWN', clientId);
  }

  #known(name: string): void {
    if (!/^n[1-3]$/.test(name)) throw new BrokerError('BROKER_ERR_NODE_UNKNOWN', name);
  }

  #progress(node: string): RemovalProgress {
    const done = this.#movedBytes;
    return {
      node,
      state: done >= 1000 ? 'gone' : 'draining',
      shardsTotal: 10,
      shardsDone: Math.floor(done / 100),
      bytesTotal: 1000,
      bytesDone: done,
      elapsedMs: done,
      remainingMs: done === 0 ? null : 1000 - done,
    };
  }
}

function member(name: string, state: MemberStatus['state']): MemberStatus {
  const k = Number(name.slice(1));
  return {
    name,
    state,
    inStableView: state === 'alive',
    unwell: false,
    leaving: false,
    bootEpoch: 1,
    address: `127.0.0.1:${7700 + k}`,
    mqtt: `127.0.0.1:${1880 + k}`,
    admin: `127.0.0.1:${7780 + k}`,
    zone: 'default',
    host: name,
    weight: 1,
    shardsLed: state === 'alive' ? 512 : 0,
    shardsHeld: 1024,
  };
}

const SHARE = {
  key: '$share/workers/jobs/#',
  shareName: 'workers',
  filter: 'jobs/#',
  strategy: 'round-robin',
  online: 2,
  offline: 1,
  waitingMessages: 22,
  waitingBytes: 4096,
};

function connection(clientId: string): ClientSummary {
  return {
    clientId,
    node: 'n2',
    remote: '127.0.0.1:50000',
    listener: 'tls-1',
    protocolVersion: 5,
    keepAliveSeconds: 60,
    connectedSince: '2026-11-30T11:00:00.250Z',
    packetsReceived: 12,
    packetsSent: 34,
    bytesReceived: 1536,
    bytesSent: 4096,
    inflightMessages: 2,
    waitingMessages: 7,
    subscriptions: 3,
    lastError: null,
  };
}

function summary(clientId: string): SessionSummary {
  return {
    clientId,
    shard: 42,
    leader: 'n1',
    gateway: clientId === 'client-0' ? 'n2' : null,
    queuedMessages: 5,
    inflightMessages: 1,
    subscriptions: 2,
  };
}
