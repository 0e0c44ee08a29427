/**
 * What nodes tell each other unasked: who leads which shard, and what is wanted where.
 *
 * Views and routes of shards come from their leaders, routes of live sessions from the nodes that hold
 * them. Changes come in order on each link; a node that has missed one asks for the whole, and until
 * that is here it routes nothing and acknowledges no barrier.
 */
import type { ClusterSettings } from '../../cluster-settings.ts';
import { sameNumber, type ViewNumber } from '../../shard/view.ts';
import type { FilterChange } from './filter-change.ts';
import { Lane, pages } from './lanes.ts';
import { LinkMessage, type ShardRoutes } from './link-message.ts';
import type { LinkPort } from './link-port.ts';
import type { Peer } from './peers.ts';
import type { LostShard, ShardView } from './views.ts';

/** Views kept by a joiner that does not know yet how many shards there are. */
const EARLY_VIEWS_MAX = 4096;

/** About what they take in a frame: a character may be three bytes. */
const bytesOfFilter = (filter: string) => filter.length + 8;
const bytesOfChange = ({ filter }: FilterChange) => bytesOfFilter(filter);
const bytesOfView = ({ active, voters, oldVoters }: ShardView) =>
  64 + 40 * (active.length + voters.length + oldVoters.length);

export class Announcing {
  readonly #port: LinkPort;
  /** Shards that this process has led, each with its last view as their leader. */
  readonly #ledOnce = new Map<number, ViewNumber>();
  /** When it last lost each. */
  readonly #lostMs = new Map<number, number>();
  /** Views announced to a joiner before it knew how many shards there are. */
  #earlyViews: { peer: Peer; view: ShardView }[] = [];
  /** Barriers to acknowledge once the routes that we lack are here. */
  #barriersDue: { peer: Peer; token: number }[] = [];

  constructor(port: LinkPort) {
    this.#port = port;
  }

  /** First words on a link: the cluster's shape, our routes, what we lead. */
  hello(peer: Peer): void {
    const { name, settings, peers, routes, shards } = this.#port;
    LinkMessage.Hello.write(peers.to(peer.name, Lane.Announce)!, settings);
    const filters = routes.filtersOfNode(name);
    const routePages = pages(filters, bytesOfChange, (o, page, { first }) => {
      LinkMessage.Routes.write(o, first, page);
    });
    peers.later(peer.name, Lane.Announce, routePages);
    const led: ShardView[] = [];
    for (const { shard } of shards.led) {
      const view = this.#ownView(shard);
      if (view && shards.leaders[shard]!.serving)
        led.push({ ...view, routeVersion: routes.shardVersion(shard) });
    }
    const lost = this.#lost(led);
    const viewPages = pages(led, bytesOfView, (o, page, { last }) => {
      LinkMessage.Views.write(o, page);
      if (last) LinkMessage.Synced.write(o, lost);
    });
    peers.later(peer.name, Lane.Announce, viewPages);
  }

  /** Shards that this process has led and that are not among those that it leads now. */
  #lost(led: readonly ShardView[]): LostShard[] {
    const { env, shards } = this.#port;
    const nowMs = env.nowMs();
    const leads = new Set(led.map(({ shard }) => shard));
    const lost: LostShard[] = [];
    for (const [shard, number] of this.#ledOnce) {
      if (leads.has(shard)) continue;
      // One that it does not know to have lost, though another leads it, or will, counts as lost now.
      const known = shards.led.has(shards.copies[shard]!) ? undefined : this.#lostMs.get(shard);
      lost.push({ shard, number, agoMs: nowMs - (known ?? nowMs) });
    }
    return lost;
  }

  /**
   * The view under which this node leads the shard. One that leads no more and stands for the next view may
   * have heard its successor: what it says of that one's routes is wrong, and no later message corrects it.
   */
  #ownView(shard: number): ShardView | null {
    const { name, views } = this.#port;
    return views.leader(shard) === name ? views.get(shard) : null;
  }

  onHello(settings: ClusterSettings | null): void {
    if (!settings || !this.#port.onSettings(settings)) return;
    const early = this.#earlyViews;
    this.#earlyViews = [];
    for (const { peer, view } of early) if (peer.up) this.#onView(peer, view);
  }

  // ---- views -----------------------------------------------------------------------------------

  /** A copy of ours leads no more. */
  onDeposed(shard: number): void {
    this.#lostMs.set(shard, this.#port.env.nowMs());
    this.#port.leases.onLed();
    this.#port.router.onLeader(shard);
  }

  /** A copy of ours leads. @param again it did before, and the view alone is new */
  onEstablished(shard: number, again: boolean): void {
    const { shards, routes, views, leases, peers, counters } = this.#port;
    const copy = shards.copies[shard]!;
    const leader = shards.leaders[shard]!;
    const { number, active, voters, oldVoters } = copy.view;
    const routeVersion = routes.shardVersion(shard);
    const view = { shard, number, since: leader.since, routeVersion, active, voters, oldVoters };
    counters.viewsEstablished++;
    this.#ledOnce.set(shard, number);
    views.update(view);
    leases.onLed();
    for (const name of peers.byName.keys()) {
      const w = peers.to(name, Lane.Announce);
      if (w) LinkMessage.Views.write(w, [view]);
    }
    if (!again) this.#onNewLeader(shard);
  }

  onViews(peer: Peer, views: readonly ShardView[]): void {
    for (const view of views) this.#onView(peer, view);
  }

  #onView(peer: Peer, view: ShardView): void {
    const { shardCount, shards, views, routes } = this.#port;
    // Whose routes are asked for must be able to give them: that is the leader alone.
    if (view.number.leader !== peer.id) return;
    if (shardCount === 0 && this.#earlyViews.length < EARLY_VIEWS_MAX)
      this.#earlyViews.push({ peer, view });
    if (view.shard >= shardCount) return;
    shards.copies[view.shard]!.onViewKnown(view.number);
    const before = views.update(view);
    // Also for a view that is known: what we asked for on an earlier link may never have come.
    const current = views.get(view.shard)?.number;
    if (current && sameNumber(current, view.number)) {
      if (view.routeVersion !== routes.shardVersion(view.shard)) this.#need(peer, view.shard);
      else routes.setShardVersion(view.shard, view.routeVersion);
    }
    if (before === undefined) return;
    if (before?.number.leader === view.number.leader && before.since === view.since) return;
    this.#onNewLeader(view.shard);
  }

  #onNewLeader(shard: number): void {
    this.#port.router.onLeader(shard);
    this.#port.clients.onLeader(shard);
  }

  // ---- routes of shards ------------------------------------------------------------------------

  announceShardRoutes(
    shard: number,
    from: string,
    to: string,
    changes: readonly (readonly [string, boolean])[],
  ): void {
    const { peers } = this.#port;
    const message = { shard, whole: false, more: false, from, to, changes };
    for (const name of peers.byName.keys()) {
      const w = peers.to(name, Lane.Announce);
      if (w) LinkMessage.ShardRoutes.write(w, message);
    }
  }

  onShardRoutes(peer: Peer, { shard, whole, more, from, to, changes }: ShardRoutes): void {
    const { views, routes } = this.#port;
    if (whole) {
      const filters = changes.map(([filter]) => filter);
      return this.#onWholeRoutes(peer, shard, to, filters, more);
    }
    // A leader that was replaced does not know it yet: its routes are not the shard's any more.
    const current = views.leader(shard) === peer.name;
    if (!current || routes.shardVersion(shard) === to) return;
    if (routes.shardVersion(shard) !== from) return this.#need(peer, shard);
    for (const [filter, added] of changes) routes.changeShard(shard, filter, added);
    routes.setShardVersion(shard, to);
  }

  #onWholeRoutes(
    peer: Peer,
    shard: number,
    version: string,
    page: readonly string[],
    more: boolean,
  ): void {
    const { views, routes } = this.#port;
    const filters = peer.routePages.get(shard) ?? [];
    for (const filter of page) filters.push(filter);
    if (more) {
      peer.routePages.set(shard, filters);
      return;
    }
    peer.routePages.delete(shard);
    if (views.leader(shard) === peer.name) routes.setShard(shard, version, filters);
    peer.needs--;
    if (peer.needs <= 0) this.#ackDue(peer);
  }

  /** Asks for the whole of a shard's routes. */
  #need(peer: Peer, shard: number): void {
    const w = this.#port.peers.to(peer.name, Lane.Announce);
    if (!w) return;
    peer.needs++;
    LinkMessage.NeedShardRoutes.write(w, shard);
  }

  onNeed(peer: Peer, shard: number): void {
    const { peers, routes } = this.#port;
    const to = routes.shardVersion(shard);
    const produce = pages(routes.filtersOfShard(shard), bytesOfFilter, (w, page, { last }) => {
      const changes = page.map((filter) => [filter, true] as const);
      LinkMessage.ShardRoutes.write(w, { shard, whole: true, more: !last, from: '', to, changes });
    });
    peers.later(peer.name, Lane.Announce, produce);
  }

  // ---- routes of live sessions -----------------------------------------------------------------

  /** What our own connections want has changed. */
  onLiveChanges(changes: readonly FilterChange[]): void {
    const { name: self, peers, routes } = this.#port;
    for (const change of changes) routes.changeNode(self, change);
    for (const name of peers.byName.keys()) {
      const w = peers.to(name, Lane.Announce);
      if (!w) continue;
      for (const page of pagesOf(changes, (change) => change.filter))
        LinkMessage.Routes.write(w, false, page);
    }
  }

  onRoutes(peer: Peer, whole: boolean, changes: readonly FilterChange[]): void {
    const { routes, router } = this.#port;
    if (whole) routes.clearNode(peer.name);
    for (const change of changes) routes.changeNode(peer.name, change);
    if (whole) router.onRoutesKnown(peer.name);
  }

  // ---- barriers --------------------------------------------------------------------------------

  onBarrier(peer: Peer, token: number): void {
    if (peer.needs === 0) this.#ackBarrier(peer, token);
    else this.#barriersDue.push({ peer, token });
  }

  /** The last of the routes that we asked this peer for is here. */
  #ackDue(peer: Peer): void {
    const due = this.#barriersDue;
    this.#barriersDue = [];
    for (const b of due) {
      if (b.peer === peer) this.#ackBarrier(peer, b.token);
      else this.#barriersDue.push(b);
    }
  }

  #ackBarrier(peer: Peer, token: number): void {
    const w = this.#port.peers.to(peer.name, Lane.Announce);
    if (w) LinkMessage.BarrierAck.write(w, token);
  }
}

/** Characters of the filters in one message: the next one may go in another frame. */
const PAGE_CHARACTERS = 64 * 1024;

function* pagesOf<T>(items: readonly T[], filterOf: (item: T) => string): Generator<T[]> {
  let page: T[] = [];
  let characters = 0;
  for (const item of items) {
    page.push(item);
    characters += filterOf(item).length;
    if (characters < PAGE_CHARACTERS) continue;
    yield page;
    page = [];
    characters = 0;
  }
  if (page.length > 0) yield page;
}
