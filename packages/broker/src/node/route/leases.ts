/**
 * Leases and the route barrier: why a publish that begins after a SUBACK is routed by it.
 *
 * *Leader lease*: a leader knows that it is still the leader while a majority of the voters has heard
 * a heartbeat of less than 0.8 × silence ago, since they promise nobody else within the silence.
 * *Route lease*: a node routes QoS 1 and 2 publishes only while every node that leads a shard has
 * granted it one; a grant counts once everything that its giver had announced before it has been read,
 * and is given only under a leader lease. *Barrier*: a SUBACK waits until every node has acknowledged
 * what was announced before, or cannot hold a lease any more.
 */
import type { ClusterSettings } from '../../cluster-settings.ts';
import type { Replica } from '../../shard/replica.ts';
import { type CopyId, nameOf } from '../../shard/view.ts';
import { Lane } from '../link/lanes.ts';
import { LinkMessage } from '../link/link-message.ts';
import { type Peer, type Peers, routeLeaseMs } from '../link/peers.ts';
import type { Views } from '../link/views.ts';

/** Leases count as longer by this much: clocks of two machines do not run equally fast. */
const MARGIN = 1.1;
/** Silences that a peer may leave a barrier unanswered; then it gets no more grants, so that it ends. */
const BARRIER_PATIENCE = 0.8;

/** Answers that wait for a leader lease; further requests are sent again by whoever asks. */
export const CONFIRMING_MAX = 100_000;

interface Barrier {
  readonly token: number;
  readonly startedMs: number;
  /** Peers that have not answered, with the time after which they cannot hold a lease. */
  readonly waiting: Map<string, number>;
  readonly done: () => void;
}

export class Leases {
  readonly #peers: Peers;
  readonly #views: Views;
  readonly #self: CopyId;
  readonly #cluster: Pick<ClusterSettings, 'silenceMs'>;
  #token = 0;
  readonly #barriers = new Map<number, Barrier>();
  #confirming: { replica: Replica; done: () => void }[] = [];
  /** Shards whose routes are known to differ from what is here, until they have come. */
  readonly stale = new Set<number>();
  /** Publishes may be routed until then. */
  routableUntilMs = Number.NEGATIVE_INFINITY;
  /** Since when publishes may not be routed; infinite while they may. */
  lapsedSinceMs = Number.POSITIVE_INFINITY;
  /** Every shard led here is led under a lease until then. */
  ownUntilMs = Number.NEGATIVE_INFINITY;

  constructor(
    peers: Peers,
    views: Views,
    self: CopyId,
    cluster: Pick<ClusterSettings, 'silenceMs'>,
  ) {
    this.#peers = peers;
    this.#views = views;
    this.#self = self;
    this.#cluster = cluster;
  }

  get #silenceMs(): number {
    return this.#cluster.silenceMs;
  }

  /** After a grant, its holder may route for at most this long. */
  get #lapsesMs(): number {
    return routeLeaseMs(this.#silenceMs) * MARGIN;
  }

  /** Until when a majority of the voters, of those that recorded the view, promises nobody else. */
  leaderUntil({ view, witnesses, yielded }: Replica): number {
    if (yielded) return Number.NEGATIVE_INFINITY;
    const until = this.#majorityHeard(view.voters, witnesses);
    const old = view.oldVoters.length > 0 ? this.#majorityHeard(view.oldVoters, witnesses) : until;
    return Math.min(until, old) + 0.8 * this.#silenceMs;
  }

  #majorityHeard(voters: readonly CopyId[], witnesses: ReadonlySet<CopyId>): number {
    if (voters.length === 1 && voters[0] === this.#self) return Number.POSITIVE_INFINITY;
    const times = voters.map((id) => {
      if (id === this.#self) return Number.POSITIVE_INFINITY;
      const peer = this.#peers.get(nameOf(id));
      return peer?.id === id && witnesses.has(id) ? peer.ackedMs : Number.NEGATIVE_INFINITY;
    });
    times.sort((a, b) => b - a);
    return times[Math.floor(voters.length / 2)]!;
  }

  /** Nothing is routed before this shard's routes have come. */
  markStale(shard: number): void {
    this.stale.add(shard);
    this.routableUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** Runs `done` under the leader lease. @returns false if too many wait for that already */
  confirm(replica: Replica, nowMs: number, done: () => void): boolean {
    if (replica.role === 'leader' && this.leaderUntil(replica) > nowMs) done();
    else if (this.#confirming.length >= CONFIRMING_MAX) return false;
    else this.#confirming.push({ replica, done });
    return true;
  }

  /** Whether these shards are led here under a lease; with null, all that are led here. */
  confirmed(nowMs: number, copies: Iterable<Replica> | null): boolean {
    if (this.ownUntilMs > nowMs) return true;
    if (!copies) return false;
    for (const copy of copies)
      if (copy.role !== 'leader' || this.leaderUntil(copy) <= nowMs) return false;
    return true;
  }

  /** One more shard is led here. */
  onLed(replica: Replica): void {
    this.ownUntilMs = Math.min(this.ownUntilMs, this.leaderUntil(replica));
  }

  /** Publishes of QoS 1 and 2 may be routed now. */
  routable(nowMs: number): boolean {
    return this.routableUntilMs > nowMs;
  }

  /** Recomputes what may be routed; `led` are the shards that this node leads. */
  refresh(nowMs: number, led: Iterable<Replica>): void {
    let own = Number.POSITIVE_INFINITY;
    const seen = new Map<string, number>();
    for (const replica of led) {
      // Views with equal voters and witnesses share one computation.
      let until = seen.get(replica.leaseKey);
      if (until === undefined) {
        until = this.leaderUntil(replica);
        seen.set(replica.leaseKey, until);
      }
      if (replica.role !== 'leader' || replica.yielded) until = Number.NEGATIVE_INFINITY;
      if (until < own) own = until;
    }
    this.ownUntilMs = own;
    const known = this.#views.complete && this.stale.size === 0;
    let routable = known ? own : Number.NEGATIVE_INFINITY;
    for (const name of this.#views.leaders) {
      if (name === this.#peers.self) continue;
      const peer = this.#peers.get(name);
      // A leader whose routes are on their way has not been heard out, whatever it granted before.
      const until = peer?.needs === 0 ? peer.leaseUntilMs : Number.NEGATIVE_INFINITY;
      if (until < routable) routable = until;
    }
    this.routableUntilMs = routable;
    if (routable > nowMs) this.lapsedSinceMs = Number.POSITIVE_INFINITY;
    else if (this.lapsedSinceMs > nowMs) this.lapsedSinceMs = nowMs;
    this.#tick(nowMs);
  }

  /** Nodes that lead a shard and have granted no lease that holds. */
  lacking(nowMs: number): string[] {
    const lacks = (name: string) => {
      const peer = this.#peers.get(name);
      return peer?.needs !== 0 || peer.leaseUntilMs <= nowMs;
    };
    return [...this.#views.leaders].filter((name) => name !== this.#peers.self && lacks(name));
  }

  #tick(nowMs: number): void {
    const confirming = this.#confirming;
    this.#confirming = [];
    for (const { replica, done } of confirming) {
      if (replica.role !== 'leader' && !replica.forming) continue;
      this.confirm(replica, nowMs, done);
    }
    for (const barrier of this.#barriers.values()) {
      for (const [name, deadlineMs] of barrier.waiting) {
        const peer = this.#peers.get(name);
        const lapses = peer ? Math.max(deadlineMs, peer.grantedMs + this.#lapsesMs) : 0;
        if (nowMs > lapses) barrier.waiting.delete(name);
      }
      this.#finish(barrier);
    }
  }

  /** Whether a heartbeat of this peer is answered with a grant. */
  grants(peer: Peer, nowMs: number): boolean {
    if (this.ownUntilMs <= nowMs) return false;
    for (const barrier of this.#barriers.values())
      if (
        barrier.waiting.has(peer.name) &&
        nowMs - barrier.startedMs > BARRIER_PATIENCE * this.#silenceMs
      )
        return false;
    return true;
  }

  /** @param sinceMs when this node began to lead what is announced: earlier leaders granted too */
  barrier(nowMs: number, sinceMs: number, done: () => void): void {
    const token = ++this.#token;
    const waiting = new Map<string, number>();
    for (const peer of this.#peers.byName.values()) {
      const w = this.#peers.to(peer.name, Lane.Announce);
      const lapses = Math.max(sinceMs, peer.grantedMs) + this.#lapsesMs;
      if (w) {
        LinkMessage.Barrier.write(w, token);
        // One that has hung for long holds no lease, and gets none before it has read what was announced.
        const hangs = nowMs - peer.heardMs > this.#lapsesMs;
        const deadlineMs = hangs ? lapses : Math.max(lapses, nowMs + this.#lapsesMs);
        if (deadlineMs > nowMs) waiting.set(peer.name, deadlineMs);
      } else if (lapses > nowMs) {
        waiting.set(peer.name, lapses);
      }
    }
    const barrier = { token, startedMs: nowMs, waiting, done };
    this.#barriers.set(token, barrier);
    this.#finish(barrier);
  }

  onBarrierAck(peer: Peer, token: number): void {
    const barrier = this.#barriers.get(token);
    if (!barrier) return;
    barrier.waiting.delete(peer.name);
    this.#finish(barrier);
  }

  #finish(barrier: Barrier): void {
    if (barrier.waiting.size > 0 || !this.#barriers.delete(barrier.token)) return;
    barrier.done();
  }
}
