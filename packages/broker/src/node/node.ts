/**
 * A node: membership, shards, routes and clients joined; still without I/O.
 *
 * Everything comes in by the methods of {@link NodeCore} and leaves through {@link NodeEnv}; what one
 * turn produces leaves in {@link NodeCore.flush}: appends, then the batch, then frames to the peers.
 *
 * ```
 *   other nodes ──▶ links ──▶ announcing (views, routes), shards (logs), router, …
 *   clients ──▶ connection ──▶ gateway ──▶ router ──▶ the shard's leader ──▶ context ──▶ connection
 * ```
 * Rooms: client (connections), lead (what a shard's leader does), route (who wants a message, and how it gets
 * there), link (other nodes), members (who is here, and this node among them), ask (questions of people).
 */
import { BytesError } from '../bytes.ts';
import {
  type ClusterSettings,
  describeDrift,
  disagreement,
  driftOf,
  type GivenSettings,
  type SettingDrift,
  settingsFrom,
} from '../cluster-settings.ts';
import { DEFAULT_LIMITS, DEFAULT_TIMINGS, type Limits, type Timings } from '../config-schema.ts';
import { type Counters, createCounters } from '../counters.ts';
import type { ClientHandler, ClientSocket, MemberInfo, MemberMeta, NodeEnv } from '../ports.ts';
import type { ReplicaLimits } from '../shard/host.ts';
import { type CopyId, copyId } from '../shard/view.ts';
import { Asking } from './ask/asking.ts';
import { inspect, type NodeInspection } from './ask/inspection.ts';
import { Batch } from './batch.ts';
import type { Connection } from './client/connection.ts';
import { Announcing } from './link/announcing.ts';
import { HybridClock } from './link/clock.ts';
import { Lane } from './link/lanes.ts';
import { Links } from './link/links.ts';
import { Peers, type PeersHost } from './link/peers.ts';
import { Views } from './link/views.ts';
import { Draining } from './members/draining.ts';
import { CLOCK_AHEAD_STEP_MS, type Identity, saveIdentity } from './members/identity.ts';
import { Lineage } from './members/lineage.ts';
import { Marks } from './members/marks.ts';
import { Membership } from './members/membership.ts';
import { NodeContext } from './node-context.ts';
import { NodeGateway } from './node-gateway.ts';
import { Leases } from './route/leases.ts';
import { Live } from './route/live.ts';
import { RetainedAnswers } from './route/retained-answers.ts';
import { RetainedQueries } from './route/retained-query.ts';
import { Router, type RouterHost } from './route/router.ts';
import { Routes } from './route/routes.ts';
import { WatchedTopics } from './route/topic-watch.ts';
import { Shards } from './shards.ts';
import { Work } from './work.ts';

export type { NodeInspection } from './ask/inspection.ts';

export interface NodeOptions {
  readonly identity: Identity;
  /** A fresh folder and nobody to join: found a cluster. */
  readonly found: boolean;
  /** These and the silence are used when founding. */
  readonly shardCount: number;
  readonly replicas: number;
  readonly durability: 'disk' | 'memory';
  /** Which of them the node was told in words: a joiner is refused where the cluster has others. */
  readonly given?: GivenSettings;
  readonly meta: MemberMeta;
  readonly limits?: Partial<Limits>;
  readonly timings?: Partial<Timings>;
  readonly replication?: Partial<ReplicaLimits>;
  /** Why the folder cannot be believed, found before its store was opened; absent or null if it can. */
  readonly damage?: string | null;
  /** Boot epoch of the folder's last run, by what is kept beside its store; 0 or absent for none. */
  readonly lastRun?: number;
  /** An operator goes on with what the only copies still hold. */
  readonly acceptLoss?: boolean;
}

/** A step of a view change that gets no answer for this long is tried anew. */
const FORMATION_TIMEOUT_MS = 1000;
const DEFAULT_REPLICATION: ReplicaLimits = { checkpointEvery: 1000, tailKeep: 1000 };
const LEASE_REFRESH_MS = 20;
const DIFFERS = 'configuration differs from the cluster, whose settings count';

/** Settings that this node would found a cluster with. */
function ownSettings(options: NodeOptions, { silenceMs }: Timings): ClusterSettings {
  const { identity, shardCount, replicas, durability } = options;
  const shards = identity.shardCount || shardCount;
  return settingsFrom({ shards, replicas, durability, consistency: 'consistent', silenceMs });
}

/** The node's own times and the cluster's, which a joiner learns. */
function timesOf(cluster: ClusterSettings, own: Timings) {
  return {
    get silenceMs() {
      return cluster.silenceMs;
    },
    /** Two lost heartbeats are no silence, whatever this node's pause. */
    get heartbeatMs() {
      return Math.min(own.heartbeatMs, Math.floor(cluster.silenceMs / 3));
    },
    electionStaggerMs: own.electionStaggerMs,
    formationTimeoutMs: FORMATION_TIMEOUT_MS,
  };
}

export class NodeCore {
  readonly name: string;
  readonly bootEpoch: number;
  readonly limits: Limits;
  readonly timings: Timings;
  /** Settings of the cluster; until a joiner has learned them, what it would found one with. */
  readonly cluster: ClusterSettings;
  /** What this member was told in words and its cluster has otherwise. */
  readonly drift: readonly SettingDrift[];
  readonly counters: Counters = createCounters();
  readonly env: NodeEnv;
  readonly options: NodeOptions;
  readonly bootedMs: number;
  readonly clock: HybridClock;
  readonly routes = new Routes();
  readonly views = new Views();
  readonly work: Work;
  readonly watched = new WatchedTopics();
  readonly connections = new Map<number, Connection>();
  readonly peers: Peers;
  readonly membership: Membership;
  readonly batch: Batch;
  readonly leases: Leases;
  readonly context: NodeContext;
  /** Absent where nothing is kept beside the store. */
  readonly marks: Marks | undefined;
  readonly shards: Shards;
  readonly router: Router;
  readonly gateway: NodeGateway;
  readonly draining: Draining;
  readonly live: Live;
  readonly queries: RetainedQueries;
  readonly asking: Asking;
  readonly announcing: Announcing;
  readonly lineage: Lineage;
  readonly #links: Links;
  identity: Identity;
  #shardCount = 0;
  #loaded = false;
  /** Told otherwise than the cluster that it joins is: the process ends. */
  #refused = false;
  #ready = false;
  #stopping = false;
  #refreshedMs = 0;
  #flushing = false;

  constructor(env: NodeEnv, options: NodeOptions) {
    this.env = env;
    this.options = options;
    this.identity = options.identity;
    this.name = options.identity.name;
    this.bootEpoch = options.identity.bootEpoch;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.timings = { ...DEFAULT_TIMINGS, ...options.timings };
    const { replaceVoterAfterMs } = this.timings;
    this.cluster = { ...(options.identity.settings ?? ownSettings(options, this.timings)) };
    this.drift = options.identity.settings ? driftOf(options.given ?? {}, this.cluster) : [];
    if (options.found || options.identity.shardCount > 0)
      this.identity = { ...options.identity, settings: { ...this.cluster } };
    const timings = timesOf(this.cluster, this.timings);
    this.bootedMs = env.nowMs();
    this.clock = new HybridClock(env, options.identity.clockAheadMs);
    const self = copyId(this.name, this.identity.storeId);
    const schedule = () => env.scheduleFlush();
    this.peers = new Peers(this.name, timings, this.#peersHost());
    this.membership = new Membership(self, this.bootEpoch, this.cluster, replaceVoterAfterMs);
    this.batch = new Batch(env.store, this.cluster, {
      counters: this.counters,
      nowMs: () => env.nowMs(),
      onUnsynced: () => env.unsynced?.(),
      schedule,
    });
    this.leases = new Leases(this.peers, this.views, self, this.cluster);
    this.work = new Work(schedule);
    this.context = new NodeContext(this);
    this.marks = env.marks && new Marks(env.marks);
    this.shards = this.#createShards(self);
    this.router = new Router(this.#routerHost());
    this.gateway = new NodeGateway(this);
    this.draining = new Draining(this);
    this.live = new Live((changes) => this.announcing.onLiveChanges(changes));
    this.queries = this.#createQueries();
    this.asking = new Asking(this);
    this.announcing = new Announcing(this);
    this.lineage = new Lineage(this);
    this.#links = new Links(this);
  }

  #peersHost(): PeersHost {
    const node = this;
    return {
      nowMs: () => this.nowMs(),
      hlc: () => this.clock.next(),
      sendFrame: (peer, frame) => {
        this.counters.linkFramesSent++;
        this.counters.linkBytesSent += frame.length;
        this.env.sendFrame(peer, frame);
      },
      schedule: () => this.env.scheduleFlush(),
      get busy() {
        return node.batch.behind;
      },
      onDrained: (peer) => this.#links.onDrained(peer),
    };
  }

  #createShards(self: CopyId): Shards {
    const { env, options } = this;
    return new Shards(
      {
        self,
        bootEpoch: this.bootEpoch,
        cluster: this.cluster,
        timings: timesOf(this.cluster, this.timings),
        limits: { ...DEFAULT_REPLICATION, ...options.replication },
        damage: options.damage ?? null,
        acceptLoss: options.acceptLoss ?? false,
      },
      {
        context: this.context,
        store: env.store,
        peers: this.peers,
        batch: this.batch,
        membership: this.membership,
        marks: this.marks,
        bootedMs: this.bootedMs,
        nowMs: () => env.nowMs(),
        random: () => env.random(),
        scheduleFlush: () => env.scheduleFlush(),
        onEstablished: (shard, again) => this.announcing.onEstablished(shard, again),
        onDeposed: (shard) => this.announcing.onDeposed(shard),
        trace: (phase, fields) => env.trace?.(phase, fields),
      },
    );
  }

  #routerHost(): RouterHost {
    const node = this;
    const { env } = this;
    return {
      name: this.name,
      bootEpoch: this.bootEpoch,
      routes: this.routes,
      views: this.views,
      get shardCount() {
        return node.shardCount;
      },
      get routable() {
        return node.routable;
      },
      nowMs: () => this.nowMs(),
      hlc: () => this.clock.next(),
      leaderHere: (shard) => this.shards.leaders[shard] ?? null,
      linked: (name) => this.peers.get(name)?.up ?? false,
      to: (name) => this.peers.to(name),
      toOrDrop: (name) => {
        if (!this.peers.crowded(name)) return this.peers.to(name);
        this.counters.messagesDropped++;
        return null;
      },
      full: (name) => this.peers.full(name),
      later: (name, produce) => this.peers.later(name, Lane.Bulk, produce),
      moves: (name) => this.peers.moves(name),
      deliverLive: (message) => this.live.deliver(message),
      endLive: (missed, from) => this.gateway.endMissed(missed, from),
      log: env.log,
    };
  }

  #createQueries(): RetainedQueries {
    const { shards, leases, views, work, env } = this;
    const shardCount = () => this.#shardCount;
    const nowMs = () => this.nowMs();
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

  // ---- life ------------------------------------------------------------------------------------

  /** Loads every shard; a founder writes view 1 of each. `done` when clients may soon be served. */
  boot(done: () => void): void {
    const { found, shardCount } = this.options;
    if (found) {
      const clusterId = this.identity.clusterId || `c${this.identity.storeId}`;
      this.identity = { ...this.identity, shardCount, clusterId };
    }
    if (this.identity.shardCount === 0) {
      if (!this.lineage.onLastRun(this.options.lastRun)) return;
      this.#loaded = true;
      if (this.options.damage) this.env.damageNoted?.(); // No copy here that it could concern.
      return done();
    }
    const differences = describeDrift(this.drift);
    if (differences !== '') this.log('warn', DIFFERS, { differences });
    // A folder from before there was a record of them says by them what it has been run with.
    if (!this.options.identity.settings && !found)
      saveIdentity(this.env.store, this.identity, () => {});
    this.#create(this.identity.shardCount);
    this.shards.load((problem) => {
      if (problem) return this.env.fatal(problem.code, problem.message);
      if (!this.lineage.onLastRun(this.options.lastRun)) return;
      this.#loaded = true;
      if (this.options.damage) this.batch.onDurable(() => this.env.damageNoted?.());
      if (!found) return done();
      this.shards.found();
      // Only when every view is on disk does the folder say that it is of a cluster.
      this.batch.onDurable(() => saveIdentity(this.env.store, this.identity, done));
    });
  }

  #create(shardCount: number): void {
    this.#shardCount = shardCount;
    this.views.resize(shardCount);
    this.shards.create(shardCount);
    this.membership.place(shardCount);
  }

  get shardCount(): number {
    return this.#shardCount;
  }

  get clusterId(): string {
    return this.identity.clusterId;
  }

  /** The cluster's settings; null while this node has not joined one. */
  get settings(): ClusterSettings | null {
    return this.identity.settings;
  }

  /**
   * What a peer says of the cluster. A joiner takes it, unless it was told otherwise: then it ends.
   *
   * @returns whether that was news: the shards are here from now on
   * @throws BytesError when members of one cluster disagree
   */
  onSettings(settings: ClusterSettings): boolean {
    if (this.settings) {
      const what = disagreement(this.settings, settings);
      if (what !== '') throw new BytesError(`settings of the cluster: ${what}`);
      return false;
    }
    if (!this.#loaded || this.#refused) return false;
    const drift = driftOf(this.options.given ?? {}, settings);
    if (drift.length > 0) {
      this.#refused = true;
      this.env.fatal('BROKER_ERR_JOIN_SETTINGS', describeDrift(drift));
      return false;
    }
    Object.assign(this.cluster, settings);
    this.env.adopted?.(settings.durability);
    this.identity = { ...this.identity, shardCount: settings.shards, settings };
    saveIdentity(this.env.store, this.identity, () => {});
    this.#create(settings.shards);
    return true;
  }

  /** A joiner has learned which cluster it is in. */
  onClusterId(clusterId: string): void {
    if (this.identity.clusterId !== '') return;
    this.identity = { ...this.identity, clusterId };
    saveIdentity(this.env.store, this.identity, () => {});
  }

  get ready(): boolean {
    return this.#ready && !this.#stopping;
  }

  /** Takes no more clients and ends the present ones, telling them why. */
  disconnectAll(reasonCode: number): void {
    this.#stopping = true;
    for (const c of [...this.connections.values()])
      c.shutdown(reasonCode, this.timings.willNodeGraceMs);
    this.env.scheduleFlush();
  }

  /** Asks another active copy of every shard led here to lead it. */
  handOverAll(): void {
    for (const copy of this.shards.led) copy.handOverToAnother(this.nowMs());
  }

  /** Whether a shard led here has another active copy that could lead it. */
  get canHandOver(): boolean {
    for (const copy of this.shards.led) if (copy.handingOver) return true;
    return false;
  }

  /** Requests of ours that no leader has answered. */
  get unanswered(): number {
    return this.router.outstanding + this.gateway.waiting;
  }

  // ---- what comes in ---------------------------------------------------------------------------

  /** Whether a member's process has ended in order, and none of its name has come since. */
  hasStopped({ name, bootEpoch }: Pick<MemberInfo, 'name' | 'bootEpoch'>): boolean {
    return this.peers.get(name)?.stoppedEpoch === bootEpoch;
  }

  onMembers(members: readonly MemberInfo[]): void {
    this.#links.onMembers(members);
  }

  onLinkUp(name: string, bootEpoch: number): void {
    this.#links.onLinkUp(name, bootEpoch);
  }

  onLinkDown(name: string): void {
    this.#links.onLinkDown(name);
  }

  onFrame(name: string, frame: Uint8Array): void {
    this.#links.onFrame(name, frame);
  }

  accept(socket: ClientSocket): ClientHandler {
    return this.gateway.accept(socket);
  }

  // ---- the turn --------------------------------------------------------------------------------

  tick(): void {
    const nowMs = this.nowMs();
    this.peers.heartbeat(nowMs);
    this.shards.tick(nowMs);
    if (nowMs - this.#refreshedMs >= LEASE_REFRESH_MS) {
      this.#refreshedMs = nowMs;
      this.leases.refresh(nowMs, this.shards.led);
      if (!this.#ready && this.#loaded && this.routable) {
        this.#ready = true;
        this.log('info', 'ready', { shards: this.#shardCount });
      }
      if (this.#ready) this.#keepClock();
      this.router.release();
      this.router.tick(nowMs);
      this.queries.tick();
      this.asking.tick(nowMs);
    }
    this.draining.tick(nowMs);
    this.gateway.tick(nowMs);
  }

  /** A restart must not set the hybrid clock back, whatever happened to the wall. */
  #keepClock(): void {
    const { aheadMs } = this.clock;
    if (Math.abs(aheadMs - this.identity.clockAheadMs) < CLOCK_AHEAD_STEP_MS) return;
    this.identity = { ...this.identity, clockAheadMs: aheadMs };
    saveIdentity(this.env.store, this.identity, () => {});
  }

  /** End of a turn; asked for by `env.scheduleFlush`. */
  flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.peers.resume();
    this.work.run();
    this.gateway.flush();
    this.shards.flush();
    this.batch.flush();
    this.peers.flush();
    this.#flushing = false;
  }

  // ---- for the parts, people and tests ----------------------------------------------------------

  get log(): NodeEnv['log'] {
    return this.env.log;
  }

  nowMs(): number {
    return this.env.nowMs();
  }

  /** Publishes of QoS 1 and 2 may be routed now. */
  get routable(): boolean {
    return this.leases.routableUntilMs > this.env.nowMs();
  }

  inspect(): NodeInspection {
    return inspect(this);
  }
}
