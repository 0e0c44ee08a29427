/**
 * Leader leases: what no entry of the log vouches for is answered by a leader that still is one.
 *
 * A leader knows that it is still the leader while a majority of the voters has heard a heartbeat of less
 * than 0.8 × silence ago, since they make no promise to another candidate within the silence.
 */
import type { ClusterSettings } from '../../cluster-settings.ts';
import type { Replica } from '../../shard/replica.ts';
import { type CopyId, nameOf } from '../../shard/view.ts';
import type { Peers } from '../link/peers.ts';

/** Answers that wait for a leader lease; further requests are refused, and their nodes send them again. */
export const CONFIRMING_MAX = 100_000;
/** How long it holds what was reckoned over all shards. */
const RECKON_MS = 20;

export class Leases {
  readonly #peers: Pick<Peers, 'get'>;
  readonly #self: CopyId;
  readonly #cluster: Pick<ClusterSettings, 'silenceMs'>;
  #confirming: { replica: Replica; done: () => void }[] = [];
  readonly #led: () => Iterable<Replica>;
  #ownUntilMs = Number.NEGATIVE_INFINITY;
  #reckonedMs = Number.NEGATIVE_INFINITY;

  constructor(
    peers: Pick<Peers, 'get'>,
    self: CopyId,
    cluster: Pick<ClusterSettings, 'silenceMs'>,
    led: () => Iterable<Replica>,
  ) {
    this.#led = led;
    this.#peers = peers;
    this.#self = self;
    this.#cluster = cluster;
  }

  /** Until when a majority of the voters that recorded the view makes no promise to another candidate. */
  leaderUntil({ view, witnesses, yielded }: Replica): number {
    if (yielded) return Number.NEGATIVE_INFINITY;
    const until = this.#majorityHeard(view.voters, witnesses);
    const old = view.oldVoters.length > 0 ? this.#majorityHeard(view.oldVoters, witnesses) : until;
    return Math.min(until, old) + 0.8 * this.#cluster.silenceMs;
  }

  #majorityHeard(voters: readonly CopyId[], witnesses: ReadonlySet<CopyId>): number {
    if (voters.length === 1 && voters[0] === this.#self) return Number.POSITIVE_INFINITY;
    const times = voters.map((id) => {
      if (id === this.#self) return Number.POSITIVE_INFINITY;
      const peer = this.#peers.get(nameOf(id));
      // A voter whose link is gone may find that this node refuses connections, and promise another.
      const counts = peer?.id === id && peer.up && witnesses.has(id);
      return counts ? peer.ackedMs : Number.NEGATIVE_INFINITY;
    });
    times.sort((a, b) => b - a);
    return times[Math.floor(voters.length / 2)]!;
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
    // Some of those listed may be led elsewhere by now: the answer says so.
    if (this.ownUntil(nowMs) > nowMs) return true;
    if (!copies) return false;
    for (const copy of copies)
      if (copy.role !== 'leader' || this.leaderUntil(copy) <= nowMs) return false;
    return true;
  }

  /** One more shard is led here, or one less. */
  onLed(): void {
    this.#reckonedMs = Number.NEGATIVE_INFINITY;
  }

  /** Until when every shard that is led here is led under a lease; reckoned anew after a moment. */
  ownUntil(nowMs: number): number {
    if (nowMs - this.#reckonedMs < RECKON_MS) return this.#ownUntilMs;
    let own = Number.POSITIVE_INFINITY;
    const seen = new Map<string, number>();
    for (const replica of this.#led()) {
      // Views with equal voters and witnesses share one computation.
      let until = seen.get(replica.leaseKey);
      if (until === undefined) {
        until = this.leaderUntil(replica);
        seen.set(replica.leaseKey, until);
      }
      if (replica.role !== 'leader' || replica.yielded) until = Number.NEGATIVE_INFINITY;
      if (until < own) own = until;
    }
    this.#reckonedMs = nowMs;
    this.#ownUntilMs = own;
    return own;
  }

  /** Answers that wait for a lease. */
  get confirming(): number {
    return this.#confirming.length;
  }

  /** Answers what has waited for a lease. */
  tick(nowMs: number): void {
    if (this.#confirming.length === 0) return;
    const confirming = this.#confirming;
    this.#confirming = [];
    for (const { replica, done } of confirming) {
      if (replica.role !== 'leader' && !replica.forming) continue;
      this.confirm(replica, nowMs, done);
    }
  }
}
