/**
 * A node: membership, shards, routes and clients joined; still without I/O.
 *
 * Everything comes in by the methods of {@link NodeCore} and leaves through {@link NodeEnv}; what one
 * turn produces leaves in {@link NodeCore.flush}: appends, then the batch, then one frame per peer.
 */
import { BytesError, Reader } from '../bytes.ts';
import { type Counters, createCounters } from '../counters.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { shardOf } from '../placement/hash.ts';
import type { ClientHandler, ClientSocket, MemberInfo, MemberMeta, NodeEnv } from '../ports.ts';
import {
  type AckItem,
  type AckKind,
  type Message,
  type Rx2Id,
  readMessage,
} from '../session/operation.ts';
import type { ReplicaLimits, ReplicaTimings } from '../shard/host.ts';
import { readShardMessage } from '../shard/message.ts';
import type { Replica } from '../shard/replica.ts';
import { copyId, sameNumber } from '../shard/view.ts';
import { Asking } from './asking.ts';
import { Batch } from './batch.ts';
import { Connection } from './connection.ts';
import {
  type ConnectionAddress,
  DEFAULT_LIMITS,
  type Delivery,
  type LeaderContext,
  type NodeLimits,
} from './context.ts';
import { readAddress, readDelivery, writeAddress, writeDelivery } from './delivery-codec.ts';
import type { Gateway, LiveSubscription, OpenRequest, Published } from './gateway.ts';
import { type Identity, saveIdentity } from './identity.ts';
import { inspect, type NodeInspection } from './inspection.ts';
import { Leases } from './leases.ts';
import { Live } from './live.ts';
import { Membership } from './membership.ts';
import { Peer, Peers } from './peers.ts';
import { type Opened, type Reply, Status } from './request.ts';
import { type QueryHost, RetainedQueries, readRetained } from './retained-query.ts';
import { Router, type RouterHost } from './router.ts';
import { type FilterChange, Routes, readChange, writeChange } from './routes.ts';
import { Shards } from './shards.ts';
import { readShardView, type ShardView, Views, writeShardView } from './views.ts';
import { Wire } from './wire.ts';

export type { NodeInspection } from './inspection.ts';

export interface NodeOptions {
  readonly identity: Identity;
  /** A fresh folder and nobody to join: found a cluster. */
  readonly found: boolean;
  /** Used when founding. */
  readonly shardCount: number;
  readonly replicas: number;
  readonly durability: 'disk' | 'memory';
  readonly meta: MemberMeta;
  readonly limits?: Partial<NodeLimits>;
  readonly timings?: Partial<ReplicaTimings>;
  readonly replication?: Partial<ReplicaLimits>;
}

const DEFAULT_TIMINGS: ReplicaTimings = {
  silenceMs: 500,
  electionStaggerMs: 200,
  formationTimeoutMs: 1000,
};
const DEFAULT_REPLICATION: ReplicaLimits = { checkpointEvery: 1000, tailKeep: 1000 };
/** A CONNECT whose shard has no leader for this long is refused. */
const OPEN_TIMEOUT_MS = 10_000;
const LEASE_REFRESH_MS = 20;
/** Steps of the hybrid clock in a millisecond: room to count events between. */
const HLC_PER_MS = 2048;

/** Frames kept of a link whose process is not known yet: gossip takes a second or two to tell. */
const EARLY_FRAMES_MAX = 4096;

interface EarlyLink {
  readonly bootEpoch: number;
  readonly frames: Uint8Array[];
}

interface Settling {
  readonly items: AckItem[];
  readonly dones: ((ok: boolean) => void)[];
}

interface Opening {
  readonly deadlineMs: number;
  readonly done: (opened: Opened | null) => void;
}

export class NodeCore implements Gateway, LeaderContext {
  readonly name: string;
  readonly bootEpoch: number;
  readonly limits: NodeLimits;
  readonly counters: Counters = createCounters();
  readonly env: NodeEnv;
  readonly options: NodeOptions;
  readonly routes = new Routes();
  readonly views = new Views();
  readonly peers: Peers;
  readonly membership: Membership;
  readonly batch: Batch;
  readonly shards: Shards;
  readonly router: Router;
  readonly leases: Leases;
  readonly bootedMs: number;
  readonly asking: Asking;
  readonly connections = new Map<number, Connection>();
  readonly #live: Live;
  readonly #queries: RetainedQueries;
  identity: Identity;
  #shardCount = 0;
  #loaded = false;
  #ready = false;
  #stopping = false;
  #nextConnection = 1;
  #hlc = 0;
  /** The clock's value at a time of the monotonic clock. */
  #hlcBase: number;
  #hlcAtMs: number;
  #settling = new Map<number, Settling>();
  readonly #opening = new Map<number, Opening>();
  #refreshedMs = 0;
  #flushing = false;

  constructor(env: NodeEnv, options: NodeOptions) {
    this.env = env;
    this.options = options;
    this.identity = options.identity;
    this.name = options.identity.name;
    this.bootEpoch = options.identity.bootEpoch;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.bootedMs = env.nowMs();
    this.#hlcAtMs = this.bootedMs;
    this.#hlcBase = Math.floor(env.wallMs()) * HLC_PER_MS;
    const self = copyId(this.name, this.identity.storeId);
    this.peers = new Peers(
      this.name,
      (peer, frame) => {
        this.counters.linkFramesSent++;
        this.counters.linkBytesSent += frame.length;
        env.sendFrame(peer, frame);
      },
      () => env.scheduleFlush(),
      () => this.hlc(),
    );
    this.membership = new Membership(self, this.bootEpoch, options.replicas);
    const schedule = () => env.scheduleFlush();
    this.batch = new Batch(env.store, options.durability === 'disk', schedule, schedule);
    this.leases = new Leases(
      this.peers,
      this.views,
      self,
      options.timings?.silenceMs ?? DEFAULT_TIMINGS.silenceMs,
    );
    this.shards = new Shards(
      {
        self,
        bootEpoch: this.bootEpoch,
        replicas: options.replicas,
        timings: { ...DEFAULT_TIMINGS, ...options.timings },
        limits: { ...DEFAULT_REPLICATION, ...options.replication },
      },
      {
        context: this,
        store: env.store,
        peers: this.peers,
        batch: this.batch,
        membership: this.membership,
        bootedMs: this.bootedMs,
        nowMs: () => env.nowMs(),
        random: () => env.random(),
        scheduleFlush: schedule,
        onEstablished: (shard, again) => this.#onEstablished(shard, again),
        onDeposed: (shard) => this.router.onLeader(shard),
        trace: (phase, fields) => this.trace(phase, fields),
      },
    );
    this.router = new Router(this.#routerHost());
    this.#live = new Live((change) => this.#onLiveChange(change));
    this.#queries = new RetainedQueries(this.#queryHost());
    this.asking = new Asking(this);
  }

  #routerHost(): RouterHost {
    const node = this;
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
      hlc: () => this.hlc(),
      leaderHere: (shard) => this.shards.leaders[shard] ?? null,
      linked: (name) => this.peers.get(name)?.up ?? false,
      to: (name) => this.peers.to(name),
      deliverLive: (message) => this.#live.deliver(message),
    };
  }

  #queryHost(): QueryHost {
    return {
      self: this.name,
      nowMs: () => this.nowMs(),
      leader: (shard) => this.views.leader(shard),
      to: (name) => this.peers.to(name),
      readOwn: (shard, filters, after, done) => {
        const leader = this.shards.leaders[shard];
        if (!leader?.serving) return false;
        this.confirm(leader.replica, () =>
          readRetained(leader.replica, leader.state, filters, after, done),
        );
        return true;
      },
    };
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
      this.#loaded = true;
      return done();
    }
    this.#create(this.identity.shardCount);
    this.shards.load((fatal) => {
      if (fatal) return this.env.fatal('BROKER_ERR_CORRUPT_RECORD', fatal);
      this.#loaded = true;
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
    for (const c of [...this.connections.values()]) c.shutdown(reasonCode);
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
    return this.router.outstanding + this.#settling.size;
  }

  // ---- membership and links --------------------------------------------------------------------

  onMembers(members: readonly MemberInfo[]): void {
    this.membership.update(members, this.#shardCount, this.nowMs());
    for (const m of members) {
      if (m.name === this.name) continue;
      const peer = this.peers.get(m.name);
      if (!peer) {
        this.peers.byName.set(m.name, new Peer(m));
      } else {
        const before = peer.member;
        // The process at the other end of the link is not the one that membership now knows.
        if (peer.up && m.bootEpoch > peer.bootEpoch) this.#lost(peer);
        peer.member = m;
        peer.id = copyId(m.name, m.meta.storeId);
        if (m.bootEpoch > before.bootEpoch || m.state === 'faulty' || m.state === 'left')
          this.router.onPeerGone(m.name);
      }
      if ((m.state === 'left' || m.state === 'faulty') && !peer?.up) this.routes.clearNode(m.name);
    }
    for (const [name, { bootEpoch, frames }] of [...this.#earlyLinks]) {
      if (this.peers.get(name)?.member.bootEpoch !== bootEpoch) continue;
      this.#earlyLinks.delete(name);
      this.onLinkUp(name, bootEpoch);
      for (const frame of frames) this.onFrame(name, frame);
    }
    const counts = this.counters.members;
    counts.alive = counts.suspect = counts.faulty = 0;
    for (const m of members) if (m.state !== 'left') counts[m.state]++;
  }

  /** Links whose process membership does not know yet, with what came on them, by name. */
  readonly #earlyLinks = new Map<string, EarlyLink>();

  /**
   * A link waits until membership tells of the same process: only then it is known which copies its
   * words are those of.
   */
  onLinkUp(name: string, bootEpoch: number): void {
    const peer = this.peers.get(name);
    if (peer?.member.bootEpoch !== bootEpoch) {
      this.#earlyLinks.set(name, { bootEpoch, frames: [] });
      return;
    }
    if (peer.bootEpoch !== 0 && bootEpoch !== peer.bootEpoch) this.router.onPeerGone(name);
    peer.up = true;
    peer.bootEpoch = bootEpoch;
    peer.heardMs = this.nowMs();
    peer.synced = false;
    peer.needs = 0;
    peer.leaseUntilMs = Number.NEGATIVE_INFINITY;
    peer.out.reset();
    this.#hello(peer);
    for (const copy of this.shards.copies) copy.onLinkUp(peer.id);
    this.router.onLinkUp(peer);
    for (const copy of this.shards.led) this.shards.leaders[copy.shard]!.delivering.onLinkUp(name);
    for (const c of this.connections.values()) this.#reattach(c, name);
  }

  /** First words on a link: the cluster's shape, whom we know, our routes, what we lead. */
  #hello(peer: Peer): void {
    const w = this.peers.to(peer.name)!;
    w.u8(Wire.Hello);
    w.varint(this.#shardCount);
    w.u8(Wire.Routes);
    w.bool(true);
    w.list(this.routes.filtersOfNode(this.name), writeChange);
    const views: ShardView[] = [];
    for (const copy of this.shards.led) {
      const view = this.views.get(copy.shard);
      if (view && this.shards.leaders[copy.shard]!.serving)
        views.push({ ...view, routeVersion: this.routes.shardVersion(copy.shard) });
    }
    w.u8(Wire.Views);
    w.list(views, writeShardView);
    w.u8(Wire.Synced);
  }

  onLinkDown(name: string): void {
    this.#earlyLinks.delete(name);
    const peer = this.peers.get(name);
    if (peer?.up) this.#lost(peer);
  }

  #lost(peer: Peer): void {
    const { name } = peer;
    this.counters.linkResets++;
    peer.up = false;
    peer.synced = false;
    peer.out.reset();
    this.router.onLinkDown(name);
    if (peer.member.state !== 'faulty' && peer.member.state !== 'left') return;
    this.routes.clearNode(name);
    this.router.onPeerGone(name);
  }

  /** After a new link or leader: is the session still this connection's? */
  #reattach(c: Connection, leader: string): void {
    if (!c.isOpen) return;
    const shard = shardOf(c.clientId, this.#shardCount);
    if (leader !== '' && this.views.leader(shard) !== leader) return;
    const { clientId, epoch } = c;
    this.router.channel(shard).send({ type: 'attach', clientId, epoch }, (reply) => {
      if (reply.status === Status.NoSession && c.isOpen && c.epoch === epoch) c.fenced();
    });
  }

  // ---- frames ----------------------------------------------------------------------------------

  onFrame(name: string, frame: Uint8Array): void {
    const early = this.#earlyLinks.get(name);
    if (early) {
      if (early.frames.length < EARLY_FRAMES_MAX) early.frames.push(frame);
      return;
    }
    const peer = this.peers.get(name);
    if (!peer?.up) return;
    peer.heardMs = this.nowMs();
    this.counters.linkFramesReceived++;
    this.counters.linkBytesReceived += frame.length;
    const r = new Reader(frame);
    try {
      this.observeHlc(r.f64());
      while (!r.done) this.#onWire(peer, r);
    } catch (e) {
      if (!(e instanceof BytesError)) throw e;
      this.log('error', 'malformed frame', { peer: name, why: e.message });
      // What followed in the frame is lost, as is everything on a link that goes down.
      this.env.resetLink?.(name);
    }
  }

  #onWire(peer: Peer, r: Reader): void {
    const kind = r.u8();
    switch (kind) {
      case Wire.Shard:
        return this.shards.onMessage(peer.id, r.varint(), readShardMessage(r));
      case Wire.Request:
        return this.router.onRequest(peer, r);
      case Wire.Publish:
        return this.router.onPublish(peer, r);
      case Wire.Reply:
        return this.router.onReply(r);
      case Wire.LivePublish:
        return this.router.onLivePublish(peer, r);
      case Wire.LiveAck:
        return this.router.onLiveAck(peer, r);
      case Wire.Deliver:
        return this.#deliverHere(readDelivery(r));
      case Wire.Heartbeat:
        return this.peers.onHeartbeat(
          peer,
          r,
          this.nowMs(),
          this.leases.grants(peer, this.nowMs()),
        );
      case Wire.HeartbeatAck:
        return this.peers.onHeartbeatAck(peer, r);
      default:
        return this.#onControl(peer, kind, r);
    }
  }

  #onControl(peer: Peer, kind: number, r: Reader): void {
    switch (kind) {
      case Wire.Hello:
        return this.#onHello(r.varint());
      case Wire.Routes:
        return this.#onRoutes(peer, r);
      case Wire.Views:
        for (const view of r.list(readShardView)) this.#onView(peer, view);
        return;
      case Wire.ShardRoutes:
        return this.#onShardRoutes(peer, r);
      case Wire.NeedShardRoutes:
        return this.#onNeed(peer, r.varint());
      case Wire.Synced:
        peer.synced = true;
        return;
      case Wire.Barrier: {
        const token = r.varint();
        if (peer.needs === 0) this.#ackBarrier(peer, token);
        else this.#barriersDue.push({ peer, token });
        return;
      }
      case Wire.BarrierAck:
        return this.leases.onBarrierAck(peer, r.varint());
      case Wire.QosZero:
        return this.#live.deliver(readMessage(r));
      case Wire.Release: {
        const to = readAddress(r);
        const position = r.varint();
        this.#connection(to)?.releaseQueued(position);
        return;
      }
      case Wire.Kick: {
        const to = readAddress(r);
        this.#kickHere(to, r.u8());
        return;
      }
      case Wire.RetainedQuery:
        return this.#onRetainedQuery(peer, r);
      case Wire.RetainedReply:
        return this.#queries.onReply(r);
      case Wire.Ask:
        return this.asking.onAsk(peer, r);
      case Wire.Answer:
        return this.asking.onAnswer(r);
      default:
        throw new BytesError(`unknown message ${kind}`);
    }
  }

  #onHello(shardCount: number): void {
    if (this.#shardCount !== 0 || shardCount === 0 || !this.#loaded) return;
    this.identity = { ...this.identity, shardCount };
    saveIdentity(this.env.store, this.identity, () => {});
    this.#create(shardCount);
    const early = this.#earlyViews;
    this.#earlyViews = [];
    for (const { peer, view } of early) if (peer.up) this.#onView(peer, view);
  }

  /** Views announced to a joiner before it knew how many shards there are. */
  #earlyViews: { peer: Peer; view: ShardView }[] = [];

  // ---- views and routes ------------------------------------------------------------------------

  #onEstablished(shard: number, again: boolean): void {
    const copy = this.shards.copies[shard]!;
    const leader = this.shards.leaders[shard]!;
    const { number, active, voters, oldVoters } = copy.view;
    const routeVersion = this.routes.shardVersion(shard);
    const view = { shard, number, since: leader.since, routeVersion, active, voters, oldVoters };
    this.counters.viewsEstablished++;
    this.views.update(view);
    this.leases.stale.delete(shard);
    for (const name of this.peers.byName.keys()) {
      const w = this.peers.to(name);
      if (!w) continue;
      w.u8(Wire.Views);
      w.list([view], writeShardView);
    }
    if (!again) this.#onNewLeader(shard);
  }

  #onView(peer: Peer, view: ShardView): void {
    if (this.#shardCount === 0 && this.#earlyViews.length < EARLY_FRAMES_MAX)
      this.#earlyViews.push({ peer, view });
    if (view.shard >= this.#shardCount) return;
    this.shards.copies[view.shard]!.onViewKnown(view.number);
    const before = this.views.update(view);
    // Also for a view that is known: what we asked for on an earlier link may never have come.
    const current = this.views.get(view.shard)?.number;
    if (current && sameNumber(current, view.number)) {
      if (view.routeVersion !== this.routes.shardVersion(view.shard)) this.#need(peer, view.shard);
      else this.leases.stale.delete(view.shard);
    }
    if (before === undefined) return;
    if (before?.number.leader === view.number.leader && before.since === view.since) return;
    this.#onNewLeader(view.shard);
  }

  #onNewLeader(shard: number): void {
    this.router.onLeader(shard);
    for (const c of this.connections.values())
      if (c.isOpen && shardOf(c.clientId, this.#shardCount) === shard) this.#reattach(c, '');
  }

  /** Barriers to acknowledge once the routes that we lack are here. */
  #barriersDue: { peer: Peer; token: number }[] = [];

  #need(peer: Peer, shard: number): void {
    this.leases.markStale(shard);
    const w = this.peers.to(peer.name);
    if (!w) return;
    peer.needs++;
    w.u8(Wire.NeedShardRoutes);
    w.varint(shard);
  }

  #onNeed(peer: Peer, shard: number): void {
    const w = this.peers.to(peer.name);
    if (!w) return;
    w.u8(Wire.ShardRoutes);
    w.varint(shard);
    w.bool(true);
    w.str('');
    w.str(this.routes.shardVersion(shard));
    w.list(this.routes.filtersOfShard(shard), (o, filter) => {
      o.bool(true);
      o.str(filter);
    });
  }

  announceShardRoutes(
    shard: number,
    from: string,
    to: string,
    changes: readonly (readonly [string, boolean])[],
  ): void {
    for (const name of this.peers.byName.keys()) {
      const w = this.peers.to(name);
      if (!w) continue;
      w.u8(Wire.ShardRoutes);
      w.varint(shard);
      w.bool(false);
      w.str(from);
      w.str(to);
      w.list(changes, (o, [filter, added]) => {
        o.bool(added);
        o.str(filter);
      });
    }
  }

  #onShardRoutes(peer: Peer, r: Reader): void {
    const shard = r.varint();
    const whole = r.bool();
    const from = r.str();
    const to = r.str();
    const changes = r.list((i) => [i.bool(), i.str()] as const);
    // A leader that was replaced does not know it yet: its routes are not the shard's any more.
    const current = this.views.leader(shard) === peer.name;
    if (whole) {
      if (current) {
        const filters = changes.map(([, filter]) => filter);
        this.routes.setShard(shard, to, filters);
        this.leases.stale.delete(shard);
      }
      peer.needs--;
      if (peer.needs > 0) return;
      const due = this.#barriersDue;
      this.#barriersDue = [];
      for (const b of due) {
        if (b.peer === peer) this.#ackBarrier(peer, b.token);
        else this.#barriersDue.push(b);
      }
      return;
    }
    if (!current || this.routes.shardVersion(shard) === to) return;
    if (this.routes.shardVersion(shard) !== from) return this.#need(peer, shard);
    for (const [added, filter] of changes) this.routes.changeShard(shard, filter, added);
    this.routes.setShardVersion(shard, to);
    this.leases.stale.delete(shard);
  }

  #ackBarrier(peer: Peer, token: number): void {
    const w = this.peers.to(peer.name);
    if (!w) return;
    w.u8(Wire.BarrierAck);
    w.varint(token);
  }

  #onRoutes(peer: Peer, r: Reader): void {
    if (r.bool()) this.routes.clearNode(peer.name);
    for (const change of r.list(readChange)) this.routes.changeNode(peer.name, change);
  }

  #onLiveChange(change: FilterChange): void {
    this.routes.changeNode(this.name, change);
    for (const name of this.peers.byName.keys()) {
      const w = this.peers.to(name);
      if (!w) continue;
      w.u8(Wire.Routes);
      w.bool(false);
      w.list([change], writeChange);
    }
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
      this.router.release();
      this.router.tick(nowMs);
      this.#queries.tick(nowMs);
      this.asking.tick(nowMs);
    }
    for (const [id, opening] of this.#opening) {
      if (nowMs < opening.deadlineMs) continue;
      this.#opening.delete(id);
      opening.done(null);
    }
  }

  /** End of a turn; asked for by `env.scheduleFlush`. */
  flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#flushSettles();
    this.shards.flush();
    this.batch.flush();
    this.peers.flush();
    this.#flushing = false;
  }

  #flushSettles(): void {
    if (this.#settling.size === 0) return;
    const settling = this.#settling;
    this.#settling = new Map();
    for (const [shard, { items, dones }] of settling) {
      this.router.channel(shard).send({ type: 'ack', items }, (reply: Reply) => {
        for (const done of dones) done(reply.status === Status.Ok);
      });
    }
  }

  // ---- Gateway: what connections ask -----------------------------------------------------------

  accept(socket: ClientSocket): ClientHandler {
    const id = this.#nextConnection++;
    const connection = new Connection(this, socket, id);
    this.connections.set(id, connection);
    this.counters.connections = this.connections.size;
    return connection;
  }

  gone(id: number): void {
    this.connections.delete(id);
    this.counters.connections = this.connections.size;
  }

  open(connection: number, request: OpenRequest, done: (opened: Opened | null) => void): void {
    const deadlineMs = this.nowMs() + OPEN_TIMEOUT_MS;
    this.#opening.set(connection, { deadlineMs, done });
    const shard = shardOf(request.clientId, this.#shardCount);
    const operation = {
      type: 'open',
      ...request,
      gateway: this.name,
      gatewayEpoch: this.bootEpoch,
      connection,
      sentUpto: -1,
    } as const;
    this.router.channel(shard).send(operation, (reply) => {
      const opened = reply.status === Status.Ok ? reply.opened : null;
      const opening = this.#opening.get(connection);
      if (opening) {
        this.#opening.delete(connection);
        opening.done(opened);
      } else if (opened) {
        // Given up before the answer came: what was opened is closed again.
        const how = { abnormal: true, expirySeconds: -1, sentUpto: -1 };
        this.close(request.clientId, opened.epoch, how);
      }
    });
  }

  close(
    clientId: string,
    epoch: number,
    how: { abnormal: boolean; expirySeconds: number; sentUpto: number },
  ): void {
    // Acknowledgements that came before the end of the connection count.
    this.#flushSettles();
    const shard = shardOf(clientId, this.#shardCount);
    this.router
      .channel(shard)
      .send({ type: 'close', clientId, epoch, ...how, elapsedMs: 0 }, () => {});
  }

  subscribeSession(
    clientId: string,
    epoch: number,
    subscriptions: Parameters<Gateway['subscribeSession']>[2],
    done: (ok: boolean) => void,
  ): void {
    this.#session(clientId, { type: 'sub', clientId, epoch, subscriptions }, done);
  }

  unsubscribeSession(
    clientId: string,
    epoch: number,
    filters: readonly string[],
    done: (ok: boolean) => void,
  ): void {
    this.#session(clientId, { type: 'unsub', clientId, epoch, filters }, done);
  }

  receive(
    clientId: string,
    epoch: number,
    packetId: number,
    message: Message,
    wanted: () => boolean,
    done: (ok: boolean) => void,
  ): void {
    // Stamped under the route lease: the stamp is logged, and decides for whom the message is.
    this.router.whenRoutable(wanted, () => {
      const stamped = { ...message, hlc: this.hlc() };
      this.#session(clientId, { type: 'rx2', clientId, epoch, packetId, message: stamped }, done);
    });
  }

  releaseReceived(
    clientId: string,
    epoch: number,
    packetId: number,
    done: (ok: boolean) => void,
  ): void {
    this.#session(clientId, { type: 'rx2done', clientId, epoch, packetId }, done);
  }

  #session(
    clientId: string,
    request: Parameters<ReturnType<Router['channel']>['send']>[0],
    done: (ok: boolean) => void,
  ): void {
    this.router
      .channel(shardOf(clientId, this.#shardCount))
      .send(request, (reply) => done(reply.status === Status.Ok));
  }

  settle(
    clientId: string,
    epoch: number,
    kind: AckKind,
    position: number,
    done: ((ok: boolean) => void) | null,
  ): void {
    const shard = shardOf(clientId, this.#shardCount);
    let settling = this.#settling.get(shard);
    if (!settling) {
      settling = { items: [], dones: [] };
      this.#settling.set(shard, settling);
      this.env.scheduleFlush();
    }
    settling.items.push({ clientId, epoch, kind, position });
    if (done) settling.dones.push(done);
  }

  addLive(s: LiveSubscription): void {
    this.#live.add(s);
  }

  removeLive(s: LiveSubscription): void {
    this.#live.remove(s);
  }

  liveBarrier(done: () => void): void {
    this.leases.barrier(this.nowMs(), Number.NEGATIVE_INFINITY, done);
  }

  publishZero(message: Message): void {
    this.router.publishZero(message);
  }

  publish(message: Message, wanted: () => boolean, done: Published): void {
    this.router.publish(message, null, wanted, done);
  }

  // ---- LeaderContext: what leaders ask ---------------------------------------------------------

  get log(): NodeEnv['log'] {
    return this.env.log;
  }

  get store(): NodeEnv['store'] {
    return this.env.store;
  }

  nowMs(): number {
    return this.env.nowMs();
  }

  wallMs(): number {
    return this.env.wallMs();
  }

  random(): number {
    return this.env.random();
  }

  hlc(): number {
    const elapsed = Math.floor((this.env.nowMs() - this.#hlcAtMs) * HLC_PER_MS);
    this.#hlc = Math.max(this.#hlc + 1, this.#hlcBase + elapsed);
    return this.#hlc;
  }

  /**
   * The clock follows the wall only when the process starts, then the monotonic clock and the fastest
   * node heard: what is stamped later is greater, whatever an operator does to a machine's clock.
   */
  observeHlc(hlc: number): void {
    if (hlc > this.#hlc) this.#hlc = hlc;
    const nowMs = this.env.nowMs();
    const elapsed = Math.floor((nowMs - this.#hlcAtMs) * HLC_PER_MS);
    if (hlc <= this.#hlcBase + elapsed) return;
    this.#hlcBase = hlc;
    this.#hlcAtMs = nowMs;
  }

  trace(phase: string, fields?: Record<string, unknown>): void {
    this.env.trace?.(phase, fields);
  }

  get routable(): boolean {
    return this.leases.routableUntilMs > this.env.nowMs();
  }

  confirm(replica: Replica, done: () => void): void {
    this.leases.confirm(replica, this.nowMs(), done);
  }

  barrier(sinceMs: number, done: () => void): void {
    this.leases.barrier(this.nowMs(), sinceMs, done);
  }

  route(message: Message, rx2: Rx2Id | null, done: () => void): void {
    this.router.publish(message, rx2, () => true, done);
  }

  queryRetained(
    filters: readonly string[],
    after: string,
    done: Parameters<Gateway['queryRetained']>[2],
  ): void {
    const exact = filters.every((filter) => !/[+#]/.test(filter));
    const shards = exact
      ? new Set(filters.map((filter) => shardOf(filter, this.#shardCount)))
      : Array.from({ length: this.#shardCount }, (_, shard) => shard);
    this.#queries.ask(shards, filters, after, done);
  }

  #onRetainedQuery(peer: Peer, r: Reader): void {
    const id = r.varint();
    const shards = r.list((i) => i.varint());
    const filters = r.list((i) => i.str());
    const after = r.str();
    this.#queries.answer(shards, filters, after, (answered, items) => {
      const w = this.peers.to(peer.name);
      if (w) this.#queries.writeAnswer(w, id, answered, items);
    });
  }

  /** The connection that is meant: one of this process, not of an earlier one with the same number. */
  #connection(to: ConnectionAddress): Connection | undefined {
    return to.bootEpoch === this.bootEpoch ? this.connections.get(to.connection) : undefined;
  }

  deliver(delivery: Delivery): boolean {
    const { node: gateway } = delivery.to;
    if (gateway === this.name) {
      this.#deliverHere(delivery);
      return true;
    }
    const w = this.peers.to(gateway);
    if (!w) return false;
    w.u8(Wire.Deliver);
    writeDelivery(w, delivery);
    return true;
  }

  #deliverHere(delivery: Delivery): void {
    this.#connection(delivery.to)?.deliverQueued(delivery);
  }

  release(to: ConnectionAddress, position: number): boolean {
    if (to.node === this.name) {
      this.#connection(to)?.releaseQueued(position);
      return true;
    }
    const w = this.peers.to(to.node);
    if (!w) return false;
    w.u8(Wire.Release);
    writeAddress(w, to);
    w.varint(position);
    return true;
  }

  kick(to: ConnectionAddress, reasonCode: number): void {
    if (to.node === this.name) {
      this.#kickHere(to, reasonCode);
      return;
    }
    const w = this.peers.to(to.node);
    if (!w) return;
    w.u8(Wire.Kick);
    writeAddress(w, to);
    w.u8(reasonCode);
  }

  /** A takeover ends the connection alone; an administrator's kick is an end like any other. */
  #kickHere(to: ConnectionAddress, reasonCode: number): void {
    const connection = this.#connection(to);
    if (reasonCode === ReasonCode.SessionTakenOver) connection?.disconnect(reasonCode);
    else connection?.shutdown(reasonCode);
  }

  gatewayGone(gateway: string, bootEpoch: number): boolean {
    if (gateway === this.name) return bootEpoch !== this.bootEpoch;
    return this.membership.gone(gateway, bootEpoch);
  }

  // ---- for people and tests --------------------------------------------------------------------

  inspect(): NodeInspection {
    return inspect(this);
  }
}
