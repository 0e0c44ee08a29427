/**
 * The rooms of a node, and what each answers the others: a room says in its port what it needs.
 *
 * link (other nodes), route (who wants a message, and how it gets there), client (connections), lead (what a
 * shard's leader does), members (who is here, and this node among them), ask (questions of people).
 */
import { Gate } from '../access/gate.ts';
import type { ClusterSettings, SettingDrift } from '../cluster-settings.ts';
import { DEFAULT_LIMITS, DEFAULT_TIMINGS, type Limits, type Timings } from '../config-schema.ts';
import { DEFAULT_SERVER_SETTINGS, type ServerSettings } from '../config-server-options.ts';
import { type Counters, createCounters } from '../counters.ts';
import { shardOf } from '../placement/hash.ts';
import type { MemberMeta, NodeEnv } from '../ports.ts';
import type { ReplicaLimits } from '../shard/host.ts';
import { type CopyId, copyId } from '../shard/view.ts';
import { Asking } from './ask/asking.ts';
import { UnledShards } from './ask/unled.ts';
import { Batch } from './batch.ts';
import { Calm } from './calm.ts';
import { Clients } from './client/clients.ts';
import { Connections } from './client/connections.ts';
import { type ServerOptions, serverOptions } from './client/server-options.ts';
import type { SessionPort } from './client/session-port.ts';
import { Sys } from './client/sys.ts';
import { Giving } from './lead/giving.ts';
import type { LeadPort } from './lead/lead-port.ts';
import { Announcing } from './link/announcing.ts';
import { HybridClock } from './link/clock.ts';
import type { LinkPort } from './link/link-port.ts';
import { Links } from './link/links.ts';
import { Peers, type PeersHost } from './link/peers.ts';
import { Views } from './link/views.ts';
import { Draining } from './members/draining.ts';
import type { Identity } from './members/identity.ts';
import { Joining, type JoiningOptions } from './members/joining.ts';
import { Lineage } from './members/lineage.ts';
import { Marks } from './members/marks.ts';
import { Membership } from './members/membership.ts';
import { Grants } from './route/grants.ts';
import { type SharedOptions, strategyOf } from './route/groups.ts';
import { Leases } from './route/leases.ts';
import { Live } from './route/live.ts';
import { RetainedAnswers } from './route/retained-answers.ts';
import { RetainedQueries } from './route/retained-query.ts';
import { Router } from './route/router.ts';
import { Routes } from './route/routes.ts';
import { WatchedTopics } from './route/topic-watch.ts';
import { Shards } from './shards.ts';
import { Work } from './work.ts';

export interface NodeOptions extends JoiningOptions {
  readonly meta: MemberMeta;
  readonly limits?: Partial<Limits>;
  /** What clients are offered, where their listener says nothing else. */
  readonly mqtt?: Partial<ServerSettings>;
  readonly timings?: Partial<Timings>;
  readonly replication?: Partial<ReplicaLimits>;
  /** How members of groups are chosen; round-robin by default. */
  readonly shared?: SharedOptions;
  /** An operator goes on with what the only copies still hold. */
  readonly acceptLoss?: boolean;
  /** Clients without a name of a user are not let in. */
  readonly authRequired?: boolean;
}

/** A step of a view change that gets no answer for this long is tried anew. */
const FORMATION_TIMEOUT_MS = 1000;
const DEFAULT_REPLICATION: ReplicaLimits = { checkpointEvery: 1000, tailKeep: 1000 };

/** The node's own times and the cluster's, which a joiner learns. */
function timesOf(cluster: ClusterSettings, own: Timings) {
  return {
    get silenceMs() {
      return cluster.silenceMs;
    },
    /** At most a third of the silence, so that two lost heartbeats are no silence. */
    get heartbeatMs() {
      return Math.min(own.heartbeatMs, Math.floor(cluster.silenceMs / 3));
    },
    electionStaggerMs: own.electionStaggerMs,
    formationTimeoutMs: FORMATION_TIMEOUT_MS,
  };
}

function createGate(env: NodeEnv, { authRequired }: NodeOptions): Gate | undefined {
  const { passwords } = env;
  if (!passwords) return undefined;
  const wallMs = () => env.wallMs();
  return new Gate({ required: authRequired ?? false, passwords, wallMs });
}

export abstract class Rooms {
  readonly name: string;
  readonly bootEpoch: number;
  readonly limits: Limits;
  readonly serverOptions: ServerOptions;
  readonly timings: Timings;
  readonly counters: Counters = createCounters();
  readonly env: NodeEnv;
  readonly options: NodeOptions;
  readonly bootedMs: number;
  readonly clock: HybridClock;
  readonly calm: Calm;
  readonly routes = new Routes(() => this.shardCount);
  readonly views = new Views();
  readonly work: Work;
  readonly watched = new WatchedTopics();
  readonly joining: Joining;
  readonly peers: Peers;
  readonly membership: Membership;
  readonly batch: Batch;
  readonly leases: Leases;
  readonly grants: Grants;
  /** Absent where nothing is kept beside the store. */
  readonly marks: Marks | undefined;
  readonly shards: Shards;
  readonly live: Live;
  readonly router: Router;
  readonly draining: Draining;
  readonly queries: RetainedQueries;
  /** Who may come in; absent where nothing verifies passwords. */
  readonly gate: Gate | undefined;
  readonly clients: Clients;
  readonly connections: Connections;
  readonly asking: Asking;
  readonly unled: UnledShards;
  readonly lineage: Lineage;
  readonly announcing: Announcing;
  readonly links: Links;
  readonly giving: Giving;
  /** Clients are served. */
  abstract readonly ready: boolean;

  constructor(env: NodeEnv, options: NodeOptions) {
    this.env = env;
    this.options = options;
    this.name = options.identity.name;
    this.bootEpoch = options.identity.bootEpoch;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    const offered = { ...DEFAULT_SERVER_SETTINGS, ...options.mqtt };
    this.serverOptions = serverOptions(offered, this.limits);
    this.timings = { ...DEFAULT_TIMINGS, ...options.timings };
    this.calm = new Calm(() => env.hasten?.());
    this.joining = new Joining(options, this.timings, this);
    const { cluster } = this.joining;
    const self = copyId(this.name, this.identity.storeId);
    this.bootedMs = env.nowMs();
    this.clock = new HybridClock(env, options.identity.clockAheadMs);
    const schedule = () => env.scheduleFlush();
    this.peers = new Peers(this.name, timesOf(cluster, this.timings), this.#peersHost());
    const { replaceVoterAfterMs } = this.timings;
    this.membership = new Membership(self, this.bootEpoch, cluster, replaceVoterAfterMs);
    this.batch = new Batch(env.store, cluster, {
      counters: this.counters,
      nowMs: () => env.nowMs(),
      onUnsynced: () => env.unsynced?.(),
      schedule,
    });
    this.leases = new Leases(this.peers, self, cluster, () => this.shards.led);
    this.grants = this.#createGrants();
    this.work = new Work(schedule);
    this.marks = env.marks && new Marks(env.marks);
    this.giving = this.#createGiving();
    this.shards = this.#createShards(self);
    this.live = new Live((changes) => this.announcing.onLiveChanges(changes));
    this.router = this.#createRouter();
    this.draining = this.#createDraining();
    this.queries = this.#createQueries();
    this.gate = createGate(env, options);
    const sys = new Sys(offered.sysIntervalSeconds, this);
    this.clients = new Clients(this.#sessionPort(sys), sys);
    this.connections = this.#createConnections();
    this.asking = new Asking(this);
    this.unled = new UnledShards(this);
    this.lineage = this.#createLineage();
    const linkPort = this.#linkPort();
    this.announcing = new Announcing(linkPort);
    this.links = new Links(linkPort, this.announcing);
  }

  // ---- what the rooms need of each other -------------------------------------------------------

  #peersHost(): PeersHost {
    const node = this;
    const { env, counters } = this;
    return {
      nowMs: () => env.nowMs(),
      hlc: () => this.clock.next(),
      sendFrame: (peer, frame) => {
        counters.linkFramesSent++;
        counters.linkBytesSent += frame.length;
        if (!this.links.relays.send(peer, frame)) env.sendFrame(peer, frame);
      },
      schedule: () => env.scheduleFlush(),
      calm: this.calm,
      grants: (peer, nowMs) => this.grants.grants(peer, nowMs),
      get busy() {
        return node.batch.behind;
      },
      onDrained: (peer) => this.links.onDrained(peer),
    };
  }

  #createShards(self: CopyId): Shards {
    const { env, options, joining } = this;
    return new Shards(
      {
        self,
        bootEpoch: this.bootEpoch,
        cluster: joining.cluster,
        timings: timesOf(joining.cluster, this.timings),
        limits: { ...DEFAULT_REPLICATION, ...options.replication },
        damage: options.damage ?? null,
        acceptLoss: options.acceptLoss ?? false,
      },
      {
        lead: this.#leadPort(),
        env,
        peers: this.peers,
        batch: this.batch,
        membership: this.membership,
        marks: this.marks,
        bootedMs: this.bootedMs,
        onEstablished: (shard, again) => this.announcing.onEstablished(shard, again),
        onDeposed: (shard) => this.announcing.onDeposed(shard),
      },
    );
  }

  /** Shards are made first, and lead once the rest is there. */
  #leadPort(): LeadPort {
    const node = this;
    const { env, name, bootEpoch, membership } = this;
    return {
      get shardCount() {
        return node.shardCount;
      },
      giving: this.giving,
      limits: this.limits,
      counters: this.counters,
      env,
      clock: this.clock,
      willNodeGraceMs: this.timings.willNodeGraceMs,
      watched: this.watched,
      work: this.work,
      routes: this.routes,
      leases: this.leases,
      grants: this.grants,
      peers: this.peers,
      get announcing() {
        return node.announcing;
      },
      get router() {
        return node.router;
      },
      get queries() {
        return node.queries;
      },
      get connections() {
        return node.connections;
      },
      gatewayGone: (gateway, epoch) =>
        gateway === name ? epoch !== bootEpoch : membership.gone(gateway, epoch, env.nowMs()),
    };
  }

  #createGiving(): Giving {
    const { env, name, bootEpoch, peers, routes, options } = this;
    const giving = new Giving({
      groups: routes.groups,
      name,
      nowMs: () => env.nowMs(),
      random: () => env.random(),
      strategyOf: (shareName) => strategyOf(options.shared, shareName),
      heardMs(node) {
        const peer = peers.get(node);
        return peer?.up ? peer.heardMs : -1;
      },
      bootEpochOf: (node) => (node === name ? bootEpoch : (peers.get(node)?.bootEpoch ?? 0)),
      full: (node) => peers.full(node),
      give: (give) => this.connections.give(give),
    });
    routes.groups.watcher = giving;
    return giving;
  }

  #createGrants(): Grants {
    const { peers, views, routes, bootedMs, joining } = this;
    return new Grants({
      peers,
      views,
      get complete() {
        return views.complete && routes.shardsKnown === joining.shardCount;
      },
      cluster: joining.cluster,
      bootedMs,
    });
  }

  #createRouter(): Router {
    const node = this;
    return new Router({
      name: this.name,
      bootEpoch: this.bootEpoch,
      get shardCount() {
        return node.shardCount;
      },
      counters: this.counters,
      env: this.env,
      clock: this.clock,
      routes: this.routes,
      live: this.live,
      grants: this.grants,
      views: this.views,
      peers: this.peers,
      leaders: this.shards.leaders,
      zeroToGroups: (groups, message) => this.giving.zeroToGroups(groups, message),
      endMissed: (missed, from) => this.clients.endMissed(missed, from),
    });
  }

  #createDraining(): Draining {
    const node = this;
    return new Draining({
      name: this.name,
      membership: this.membership,
      timings: this.timings,
      get connections() {
        return node.clients.connections;
      },
    });
  }

  #createQueries(): RetainedQueries {
    const { shards, leases, views, work, env } = this;
    const shardCount = () => this.shardCount;
    const nowMs = () => env.nowMs();
    const answers = new RetainedAnswers({
      shardCount,
      topics: shards.topics,
      store: env.store,
      work,
      log: env.log,
      leader: (shard) => shards.serving(shard),
      ledPrint: () => shards.ledPrint,
      full: (peer) => this.peers.full(peer),
      confirmed: (listed) => leases.confirmed(nowMs(), listed && shards.copiesOf(listed)),
    });
    const to = (name: string) => this.peers.to(name);
    return new RetainedQueries({ self: this.name, views, answers, shardCount, nowMs, to });
  }

  #sessionPort(sys: Sys): SessionPort {
    const node = this;
    const { env, grants } = this;
    return {
      name: this.name,
      bootEpoch: this.bootEpoch,
      get shardCount() {
        return node.shardCount;
      },
      limits: this.limits,
      serverOptions: this.serverOptions,
      timings: this.timings,
      counters: this.counters,
      gate: this.gate,
      env,
      calm: this.calm,
      clock: this.clock,
      work: this.work,
      watched: this.watched,
      get ready() {
        return node.ready;
      },
      router: this.router,
      live: this.live,
      sys,
      views: this.views,
      queries: this.queries,
      draining: this.draining,
      liveBarrier: (done) => grants.barrier(env.nowMs(), done),
      remoteOf: (name, connection, done) =>
        this.asking.ask(name, { type: 'remote', connection }, done),
    };
  }

  #createConnections(): Connections {
    const { name, bootEpoch, clients, peers } = this;
    const onRetainedTaken = this.#onRetainedTaken;
    return new Connections({
      name,
      bootEpoch,
      clients,
      peers,
      onRetainedTaken,
      onGiven: (token, outcome) => this.giving.onGiven(token, outcome),
      onFree: (free) => this.giving.onFree(name, free),
    });
  }

  /** A client of a session led here has a batch of retained messages. */
  readonly #onRetainedTaken = (clientId: string, token: number): void => {
    const leader = this.shards.leaders[shardOf(clientId, this.shardCount)];
    leader?.retaining.onTaken(clientId, token);
  };

  #createLineage(): Lineage {
    const { env, options, peers, batch, shards, joining } = this;
    const acceptLoss = options.acceptLoss ?? false;
    return new Lineage({
      env,
      acceptLoss,
      peers,
      batch,
      shards,
      get identity() {
        return joining.identity;
      },
    });
  }

  #linkPort(): LinkPort {
    const { joining } = this;
    return {
      name: this.name,
      env: this.env,
      calm: this.calm,
      counters: this.counters,
      clock: this.clock,
      get shardCount() {
        return joining.shardCount;
      },
      get settings() {
        return joining.settings;
      },
      onSettings: (settings) => joining.onSettings(settings),
      peers: this.peers,
      views: this.views,
      membership: this.membership,
      routes: this.routes,
      leases: this.leases,
      grants: this.grants,
      shards: this.shards,
      router: this.router,
      live: this.live,
      queries: this.queries,
      asking: this.asking,
      lineage: this.lineage,
      clients: this.clients,
      connections: this.connections,
      giving: this.giving,
      onRetainedTaken: this.#onRetainedTaken,
    };
  }

  // ---- the cluster that it is of ---------------------------------------------------------------

  get identity(): Identity {
    return this.joining.identity;
  }

  get shardCount(): number {
    return this.joining.shardCount;
  }

  get clusterId(): string {
    return this.identity.clusterId;
  }

  /** Settings of the cluster; until a joiner has learned them, what it would found one with. */
  get cluster(): ClusterSettings {
    return this.joining.cluster;
  }

  /** Settings that this member was given explicitly and that differ in its cluster. */
  get drift(): readonly SettingDrift[] {
    return this.joining.drift;
  }

  nowMs(): number {
    return this.env.nowMs();
  }
}
