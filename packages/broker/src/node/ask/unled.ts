/**
 * Shards that no leader in reach serves, as far as this node can tell, and since when.
 *
 * A shard is served while its leader answers, a majority of its voters does, and as many of its active copies
 * as it needs to commit. The leader's word alone says nothing: one that lost its voters goes on as leader and
 * commits nothing. Copies count by their data folders, since one that came back empty has no vote.
 */
import type { ClusterSettings } from '../../cluster-settings.ts';
import { type CopyId, copyId, isMajority, minCopies, nameOf, type View } from '../../shard/view.ts';
import type { Peers } from '../link/peers.ts';

/** How often the shards are looked at unasked, so that it is known since when one waits. */
const LOOK_MS = 1000;
/** Shorter waits are elections and hand-overs: no news. */
const NEWS_MS = 1000;

type Hears = (id: CopyId) => boolean;
type KnownView = Pick<View, 'number' | 'voters' | 'oldVoters' | 'active'>;

export interface UnledPort {
  readonly name: string;
  readonly bootEpoch: number;
  readonly identity: { readonly storeId: string };
  readonly shardCount: number;
  readonly cluster: Pick<ClusterSettings, 'silenceMs' | 'minCopies'>;
  readonly peers: Pick<Peers, 'get'>;
  readonly views: { get(shard: number): KnownView | null };
  readonly shards: {
    /** By shard. */
    readonly copies: readonly { readonly view: KnownView }[];
    readonly leaders: readonly { readonly serving: boolean }[];
  };
  nowMs(): number;
}

/** What waits, over all such shards. */
export interface Unled {
  readonly shards: number;
  /** Since when the first of them waits. */
  readonly sinceMs: number;
  /** Copies that are waited for and do not answer, by name; none while only an election lacks. */
  readonly missing: readonly CopyId[];
}

interface Waiting {
  readonly sinceMs: number;
  readonly missing: readonly CopyId[];
}

export class UnledShards {
  readonly #port: UnledPort;
  readonly #waiting = new Map<number, Waiting>();
  #lookedMs = Number.NEGATIVE_INFINITY;
  #turnedMs: number;
  /** When this process last went on after its event loop had stood still: nothing was read before. */
  #wokeMs = Number.NEGATIVE_INFINITY;

  constructor(port: UnledPort) {
    this.#port = port;
    this.#turnedMs = port.nowMs();
  }

  tick(nowMs: number): void {
    this.#turn(nowMs);
    if (nowMs - this.#lookedMs >= LOOK_MS) this.#look(nowMs);
  }

  /** Shards that have waited for a second and longer; null for none. */
  now(nowMs: number): Unled | null {
    this.#turn(nowMs);
    this.#look(nowMs);
    let shards = 0;
    let first = nowMs;
    const missing = new Set<CopyId>();
    for (const waiting of this.#waiting.values()) {
      if (nowMs - waiting.sinceMs < NEWS_MS) continue;
      shards++;
      first = Math.min(first, waiting.sinceMs);
      for (const id of waiting.missing) missing.add(id);
    }
    return shards === 0 ? null : { shards, sinceMs: first, missing: [...missing].sort() };
  }

  /** The copy's node has a link, with the data folder that is meant, and something came by it lately. */
  hears(id: CopyId, nowMs: number): boolean {
    const { name, identity, peers, cluster } = this.#port;
    if (id === copyId(name, identity.storeId)) return true;
    const peer = peers.get(nameOf(id));
    if (peer?.id !== id || !peer.up) return false;
    return nowMs - Math.max(peer.heardMs, this.#wokeMs) < 2 * cluster.silenceMs;
  }

  /** The event loop turns. */
  #turn(nowMs: number): void {
    if (nowMs - this.#turnedMs > this.#port.cluster.silenceMs) this.#wokeMs = nowMs;
    this.#turnedMs = nowMs;
  }

  #look(nowMs: number): void {
    this.#lookedMs = nowMs;
    const { shardCount, views, shards } = this.#port;
    // A few copies are asked about by many shards.
    const known = new Map<CopyId, boolean>();
    const hears = (id: CopyId) => {
      let heard = known.get(id);
      if (heard === undefined) {
        heard = this.hears(id, nowMs);
        known.set(id, heard);
      }
      return heard;
    };
    for (let shard = 0; shard < shardCount; shard++) {
      const announced = views.get(shard);
      // Before a leader has announced itself: what the copy here remembers.
      const view = announced ?? shards.copies[shard]?.view;
      if (view && announced && this.#isServed(shard, view, hears)) {
        this.#waiting.delete(shard);
        continue;
      }
      const missing = view ? missingOf(view, hears) : [];
      const sinceMs = this.#waiting.get(shard)?.sinceMs ?? this.#lastHeardMs(missing, nowMs);
      this.#waiting.set(shard, { sinceMs, missing });
    }
  }

  #isServed(shard: number, view: KnownView, hears: Hears): boolean {
    const { number, voters, oldVoters, active } = view;
    if (!hears(number.leader) || !this.#leads(shard, number)) return false;
    if (!isMajority(voters, hears) || !isMajority(oldVoters, hears)) return false;
    let copies = 0;
    for (const id of active) if (hears(id)) copies++;
    return copies >= minCopies(voters.length, this.#port.cluster.minCopies);
  }

  /** The node that leads the view runs the process that did. */
  #leads(shard: number, number: View['number']): boolean {
    const { name, bootEpoch, peers, shards } = this.#port;
    const leader = nameOf(number.leader);
    if (leader !== name) return peers.get(leader)?.bootEpoch === number.bootEpoch;
    return number.bootEpoch === bootEpoch && shards.leaders[shard]?.serving === true;
  }

  /** The shard was served until the last of those went; what happened while this node stood still is not known. */
  #lastHeardMs(missing: readonly CopyId[], nowMs: number): number {
    const times = missing.map((id) => this.#port.peers.get(nameOf(id))?.heardMs ?? nowMs);
    const lastMs = Math.max(...times);
    return Number.isFinite(lastMs) ? Math.max(lastMs, this.#wokeMs) : nowMs;
  }
}

/** Copies that the shard could go on with and that do not answer. */
function missingOf({ number, voters, oldVoters, active }: KnownView, hears: Hears): CopyId[] {
  const awaited = new Set([...voters, ...oldVoters, ...active]);
  if (number.counter > 0) awaited.add(number.leader);
  return [...awaited].filter((id) => !hears(id));
}
