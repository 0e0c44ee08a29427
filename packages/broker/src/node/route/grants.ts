/**
 * Route grants: why a publish that begins after a SUBACK is routed by it, and waits for no leader.
 *
 * *Grant*: each node answers the heartbeats of each other node with a grant, which counts once everything
 * that its giver had announced before it has been read. A node routes QoS 1 and 2 publishes while it holds
 * a grant of every member that membership finds alive; one that no member reaches is dead, hangs or is on the
 * other side of a split. *Barrier*: a SUBACK waits until every node has acknowledged what was announced
 * before, or its grant has run out.
 *
 * Who leads a shard does not matter: what a leader acknowledges it has announced itself. So an election
 * delays only publishes that match the shard.
 */
import { compareNumbers, nameOf } from '../../shard/view.ts';
import { Lane } from '../link/lanes.ts';
import { LinkMessage } from '../link/link-message.ts';
import { grantMs, type Peer, type Peers } from '../link/peers.ts';
import type { LostShard, Views } from '../link/views.ts';

/** Grants count as longer by this much for their giver: clocks of two machines do not run equally fast. */
const MARGIN = 1.1;
/** Silences that a peer may leave a barrier unanswered; then it gets no more grants, so that it ends. */
const BARRIER_PATIENCE = 0.8;
/** How long a node that starts waits for its first link to a member before it serves without it. */
const FIRST_LINK_MS = 3000;
/** How long the next leaders of a dead node's shards are waited for, where that matters to all publishes. */
const SUCCESSORS_MS = 3000;

interface Barrier {
  readonly token: number;
  readonly startedMs: number;
  /** Peers that have not answered, with the time after which they cannot hold a grant. */
  readonly waiting: Map<string, number>;
  readonly done: () => void;
}

/**
 * What of a member is lacking: its grant, routes that it has announced, or the next leaders of its shards, since
 * it had gone on without this node.
 */
export interface Lacking {
  readonly name: string;
  readonly what: 'grant' | 'routes' | 'successors';
}

export interface GrantsPort {
  readonly peers: Pick<Peers, 'get' | 'to' | 'byName'>;
  readonly views: Pick<Views, 'get' | 'leads'>;
  /** Leader and routes of every shard have been known once. */
  readonly complete: boolean;
  readonly cluster: { readonly silenceMs: number };
  /** When this process began: an earlier one may have given grants that still run. */
  readonly bootedMs: number;
}

/** Alive as membership knows, and its disk does not hang: a node whose disk hangs has no links. */
function isAlive({ member, stoppedEpoch }: Peer): boolean {
  return member.state === 'alive' && !member.unwell && member.bootEpoch !== stoppedEpoch;
}

export class Grants {
  readonly #port: GrantsPort;
  #token = 0;
  readonly #barriers = new Map<number, Barrier>();
  #untilMs = Number.NEGATIVE_INFINITY;
  #lapsedSinceMs = Number.POSITIVE_INFINITY;
  /** How long publishes have waited, all in all, up to the last look. */
  #lapsedMs = 0;
  /** Publishes have been routed: the routes of every shard and of every member have come once. */
  #whole = false;
  /** When this process last went on after its event loop had stood still. */
  #wokeMs: number;
  #lookedMs = Number.POSITIVE_INFINITY;

  constructor(port: GrantsPort) {
    this.#port = port;
    this.#wokeMs = port.bootedMs;
  }

  /** After a grant, its holder may route for at most this long. */
  get #lapsesMs(): number {
    return grantMs(this.#port.cluster.silenceMs) * MARGIN;
  }

  /** Publishes of QoS 1 and 2 may be routed now. */
  routable(nowMs: number): boolean {
    return this.#untilMs > nowMs && !this.#stoodStill(nowMs);
  }

  /** The event loop stood still for longer than others wait for a node. */
  #stoodStill(nowMs: number): boolean {
    return nowMs - this.#lookedMs > this.#port.cluster.silenceMs;
  }

  /** Since when publishes may not be routed; infinite while they may. */
  get lapsedSinceMs(): number {
    return this.#lapsedSinceMs;
  }

  /** How long publishes have had to wait since they were first routed, all in all. */
  get lapsedMs(): number {
    return this.#lapsedMs;
  }

  /** Members without whose word nothing is routed now. */
  lacking(nowMs: number): Lacking[] {
    const lacking: Lacking[] = [];
    for (const peer of this.#port.peers.byName.values()) {
      if (this.#routableUntil(peer, nowMs) > nowMs) continue;
      const routes = this.#lacksRoutes(peer) ? 'routes' : 'grant';
      lacking.push({
        name: peer.name,
        what: this.#awaits(peer, nowMs) ? 'successors' : routes,
      });
    }
    return lacking;
  }

  /** Age of the oldest grant of those that are needed; of one that is void, as long as publishes have waited. */
  oldestMs(nowMs: number): number {
    const waitedMs = Math.max(0, nowMs - this.#lapsedSinceMs);
    let oldestMs = 0;
    for (const peer of this.#port.peers.byName.values()) {
      if (!this.#needs(peer, nowMs)) continue;
      const sentMs = peer.grantUntilMs - grantMs(this.#port.cluster.silenceMs);
      const isVoid = sentMs === Number.NEGATIVE_INFINITY;
      oldestMs = Math.max(oldestMs, isVoid ? waitedMs : nowMs - sentMs);
    }
    return oldestMs;
  }

  /** Until when publishes may be routed, for all that the peer may have acknowledged. */
  #routableUntil(peer: Peer, nowMs: number): number {
    if (this.#awaits(peer, nowMs) || this.#lacksRoutes(peer)) return Number.NEGATIVE_INFINITY;
    return this.#needs(peer, nowMs) ? peer.grantUntilMs : Number.POSITIVE_INFINITY;
  }

  /** Routes of a shard that it leads now are on their way: an earlier leader may have acknowledged one. */
  #lacksRoutes(peer: Peer): boolean {
    return peer.lacksRoutes && (peer.up || isAlive(peer));
  }

  /**
   * Whether the peer may acknowledge subscriptions that this node has to know. One that has never granted
   * anything and leads nothing is new: it serves no client before it is linked here.
   */
  #needs(peer: Peer, nowMs: number): boolean {
    const { name, member } = peer;
    if (!isAlive(peer)) return false;
    if (peer.granting || this.#port.views.leads(name, member.bootEpoch)) return true;
    return !this.#whole && nowMs - this.#port.bootedMs < FIRST_LINK_MS;
  }

  /**
   * The peer had gone on without this node, which held no grant of it any more: what it has acknowledged
   * comes from the next leaders of its shards, if there are any.
   */
  #awaits({ gone }: Peer, nowMs: number): boolean {
    return gone !== null && nowMs < gone.untilMs;
  }

  /** Notes whose grants have run out while they may be acknowledging, and which of those are gone. */
  #note(peer: Peer, nowMs: number): void {
    if ((peer.granting && isAlive(peer)) || (peer.up && peer.lacksRoutes)) {
      if (peer.grantUntilMs <= nowMs || peer.lacksRoutes) peer.lapsed = true;
    } else if (peer.lapsed) {
      peer.lapsed = false;
      peer.gone = { bootEpoch: peer.grantEpoch, untilMs: nowMs + SUCCESSORS_MS };
    }
  }

  /** Reckons anew what may be routed: again and again, and when membership has changed. */
  refresh(nowMs: number): void {
    if (this.#stoodStill(nowMs)) this.#wake(nowMs);
    if (this.#whole && this.#lapsedSinceMs <= nowMs)
      this.#lapsedMs += nowMs - Math.max(this.#lookedMs, this.#lapsedSinceMs);
    this.#lookedMs = nowMs;
    let untilMs = this.#port.complete ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    for (const peer of this.#port.peers.byName.values()) {
      this.#note(peer, nowMs);
      this.#lookForSuccessors(peer);
      untilMs = Math.min(untilMs, this.#routableUntil(peer, nowMs));
    }
    this.#untilMs = untilMs;
    if (untilMs > nowMs) {
      this.#whole = true;
      this.#lapsedSinceMs = Number.POSITIVE_INFINITY;
    } else if (this.#lapsedSinceMs > nowMs) this.#lapsedSinceMs = nowMs;
    for (const barrier of this.#barriers.values()) this.#look(barrier, nowMs);
  }

  /**
   * Others may have gone on without this node, and what they sent has not been read: clients whose publishes
   * are read now may have sent them again elsewhere. Nothing is routed before each member has answered, and
   * what is acknowledged waits for every one of them anew.
   */
  #wake(nowMs: number): void {
    this.#wokeMs = nowMs;
    for (const peer of this.#port.peers.byName.values()) {
      peer.grantUntilMs = Number.NEGATIVE_INFINITY;
      if (peer.granting) peer.lapsed = true;
    }
    for (const barrier of this.#barriers.values())
      for (const name of barrier.waiting.keys()) barrier.waiting.set(name, nowMs + this.#lapsesMs);
  }

  // ---- the giver's side ------------------------------------------------------------------------

  /** Whether a heartbeat of this peer is answered with a grant. */
  grants(peer: Peer, nowMs: number): boolean {
    for (const barrier of this.#barriers.values())
      if (
        barrier.waiting.has(peer.name) &&
        nowMs - barrier.startedMs > BARRIER_PATIENCE * this.#port.cluster.silenceMs
      )
        return false;
    return true;
  }

  /** Runs `done` when every node routes by what was announced so far, or may not route at all. */
  barrier(nowMs: number, done: () => void): void {
    const token = ++this.#token;
    const waiting = new Map<string, number>();
    for (const peer of this.#port.peers.byName.values()) {
      const lapses = Math.max(this.#wokeMs, peer.grantedMs) + this.#lapsesMs;
      const w = this.#port.peers.to(peer.name, Lane.Announce);
      if (w) LinkMessage.Barrier.write(w, token);
      // One that has hung for long holds no grant, and gets none before it has read what was announced.
      const hangs = nowMs - peer.heardMs > this.#lapsesMs;
      const deadlineMs = w && !hangs ? Math.max(lapses, nowMs + this.#lapsesMs) : lapses;
      if (deadlineMs > nowMs && !isOver(peer)) waiting.set(peer.name, deadlineMs);
    }
    const barrier = { token, startedMs: nowMs, waiting, done };
    this.#barriers.set(token, barrier);
    this.#finish(barrier, nowMs);
  }

  /** Barriers that are waited for. */
  get barriers(): number {
    return this.#barriers.size;
  }

  /** A new link: what was asked on the old one is asked again, behind all that is announced first. */
  onLinkUp(peer: Peer): void {
    for (const { token, waiting } of this.#barriers.values()) {
      if (!waiting.has(peer.name)) continue;
      const w = this.#port.peers.to(peer.name, Lane.Announce);
      if (w) LinkMessage.Barrier.write(w, token);
    }
  }

  /**
   * The peer has told all that it leads by a new link, and what it has lost. If its grant had run out before
   * that, it may have acknowledged what its successors have not told here: they are waited for.
   */
  onSynced(peer: Peer, lost: readonly LostShard[], nowMs: number): void {
    if (peer.granting && peer.grantUntilMs <= nowMs) {
      const open = lost.filter((each) => !this.#vouchesFor(peer, each, nowMs));
      if (open.length > 0) peer.gone = { bootEpoch: 0, untilMs: nowMs + SUCCESSORS_MS, lost: open };
    }
    peer.onSynced();
  }

  /** Whether the peer's last grant vouched for all that it had acknowledged as the leader of what it lost. */
  #vouchesFor({ grantUntilMs }: Peer, { agoMs }: LostShard, nowMs: number): boolean {
    const grantedMs = grantUntilMs - grantMs(this.#port.cluster.silenceMs);
    return nowMs - agoMs / MARGIN < grantedMs;
  }

  /** A later leader of the shard is known, and so are its routes: those of its log, with all from before. */
  #hasSuccessor({ shard, number }: LostShard): boolean {
    const view = this.#port.views.get(shard);
    if (!view || compareNumbers(view.number, number) <= 0) return false;
    const leader = this.#port.peers.get(nameOf(view.number.leader));
    return !leader || (leader.synced && !leader.lacksRoutes);
  }

  /** Those that are waited for may be known by now. */
  #lookForSuccessors(peer: Peer): void {
    const lost = peer.gone?.lost?.filter((each) => !this.#hasSuccessor(each));
    if (lost?.length === 0) peer.gone = null;
    else if (lost) peer.gone = { ...peer.gone!, lost };
  }

  onBarrierAck(peer: Peer, token: number, nowMs: number): void {
    const barrier = this.#barriers.get(token);
    if (!barrier) return;
    barrier.waiting.delete(peer.name);
    this.#finish(barrier, nowMs);
  }

  #look(barrier: Barrier, nowMs: number): void {
    for (const [name, deadlineMs] of barrier.waiting) {
      const peer = this.#port.peers.get(name);
      const lapses = peer ? Math.max(deadlineMs, peer.grantedMs + this.#lapsesMs) : 0;
      if (nowMs > lapses || (peer && isOver(peer))) barrier.waiting.delete(name);
    }
    this.#finish(barrier, nowMs);
  }

  /** A node that may not route acknowledges nothing either: others may go on without it. */
  #finish(barrier: Barrier, nowMs: number): void {
    if (barrier.waiting.size > 0 || !this.routable(nowMs)) return;
    if (this.#barriers.delete(barrier.token)) barrier.done();
  }
}

/** The process that held grants has said that it stops: it routes nothing any more. */
function isOver({ member, stoppedEpoch }: Peer): boolean {
  return stoppedEpoch !== 0 && member.bootEpoch === stoppedEpoch;
}
