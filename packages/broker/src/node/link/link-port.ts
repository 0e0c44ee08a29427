/** What the links to other nodes bring something to, and need to know: types only. */
import type { Reader } from '../../bytes.ts';
import type { ClusterSettings } from '../../cluster-settings.ts';
import type { Counters } from '../../counters.ts';
import type { MemberInfo, NodeEnv } from '../../ports.ts';
import type { Message } from '../../session/message.ts';
import type { ShardMessage } from '../../shard/message.ts';
import type { Replica } from '../../shard/replica.ts';
import type { CopyId } from '../../shard/view.ts';
import type { ConnectionAddress, Delivery, RetainedZero, Taker } from './delivery-codec.ts';
import type { FilterChange } from './filter-change.ts';
import type { Give, GiveFree, Outcome } from './given.ts';
import type { Peer, Peers } from './peers.ts';
import type { Page, RetainedQuery } from './retained-page.ts';
import type { LostShard, Views } from './views.ts';

export interface LinkPort {
  readonly name: string;
  readonly env: Pick<NodeEnv, 'nowMs' | 'log' | 'resetLink'>;
  readonly calm: { stir(): void };
  readonly counters: Counters;
  readonly clock: { observe(hlc: number): void };
  readonly shardCount: number;
  /** The cluster's settings; null while this node has not joined one. */
  readonly settings: ClusterSettings | null;
  /** A peer's settings of the cluster. @returns whether they were new here: from now on there are shards */
  onSettings(settings: ClusterSettings): boolean;
  readonly peers: Peers;
  readonly views: Views;
  readonly membership: {
    update(members: readonly MemberInfo[], shardCount: number, nowMs: number): void;
  };
  readonly routes: AnnouncedRoutes;
  readonly leases: { onLed(): void };
  readonly grants: LinkedGrants;
  readonly shards: LinkedShards;
  readonly router: LinkedRouter;
  readonly live: { deliver(message: Message): unknown };
  readonly queries: LinkedQueries;
  readonly asking: {
    onAsk(peer: Peer, id: number, question: unknown): void;
    onAnswer(id: number, answer: unknown): void;
  };
  readonly lineage: LinkedLineage;
  readonly clients: { onLinkUp(name: string): void; onLeader(shard: number): void };
  readonly connections: ConnectionsHere;
  readonly giving: LinkedGiving;
  /** A client of a session led here has a batch of retained messages. */
  onRetainedTaken(clientId: string, token: number): void;
}

/** What is wanted where. */
export interface AnnouncedRoutes {
  changeNode(node: string, change: FilterChange): void;
  clearNode(node: string): void;
  filtersOfNode(node: string): FilterChange[];
  changeShard(shard: number, filter: string, added: boolean): void;
  setShard(shard: number, version: string, filters: Iterable<string>): void;
  filtersOfShard(shard: number): string[];
  shardVersion(shard: number): string;
  setShardVersion(shard: number, version: string): void;
}

export interface LinkedGrants {
  refresh(nowMs: number): void;
  onLinkUp(peer: Peer): void;
  /** @param lost what the peer has led, and leads no more */
  onSynced(peer: Peer, lost: readonly LostShard[], nowMs: number): void;
  onBarrierAck(peer: Peer, token: number, nowMs: number): void;
}

export interface LinkedShards {
  /** By shard. */
  readonly copies: readonly Replica[];
  readonly leaders: readonly LinkedLeader[];
  /** Those led here. */
  readonly led: ReadonlySet<Replica>;
  /** Who is a member has changed. */
  onMembers(): void;
  onMessage(shard: number, from: CopyId, message: ShardMessage): void;
  /** A node is not heard any more: what follows from that is looked at now. */
  onSilent(nowMs: number): void;
}

export interface LinkedLeader {
  readonly serving: boolean;
  readonly since: number;
  readonly delivering: {
    onLinkUp(gateway: string): void;
    onLinkDown(gateway: string): void;
    onDrained(gateway: string): void;
  };
}

export interface LinkedRouter {
  onLeader(shard: number): void;
  onLinkUp(peer: Peer): void;
  onLinkDown(peer: string): void;
  /** @param turn another one each time: whose turn it is */
  onDrained(peer: string, turn: number): void;
  /** The node's process is gone, and its live sessions with it. */
  onPeerGone(peer: string): void;
  /** Membership gave the process up. */
  onPeerLost(peer: string): void;
  /** Nothing had been read of the node for long. */
  onSilence(peer: string): void;
  onRoutesForgotten(peer: string): void;
  onRoutesKnown(peer: string): void;
  onRequest(peer: Peer, r: Reader): void;
  onPublish(peer: Peer, r: Reader): void;
  onReply(r: Reader): void;
  onSubscriptions(r: Reader): void;
  onLivePublish(peer: Peer, r: Reader): void;
  onLiveAck(peer: Peer, r: Reader): void;
  onLiveHeld(peer: Peer, r: Reader): void;
  onLiveAsk(peer: Peer, r: Reader): void;
  onLiveAwaited(peer: Peer, r: Reader): void;
  onLiveGap(peer: Peer, r: Reader): void;
}

export interface LinkedQueries {
  onLinkDown(node: string): void;
  onQuery(from: string, query: RetainedQuery): void;
  onReply(id: number, page: Page): void;
  onEnd(from: string, id: number): void;
}

export interface LinkedLineage {
  hello(peer: Peer): void;
  onRuns(peer: Peer, runs: readonly number[]): void;
  onRunMissing(epoch: number): boolean;
  onLaterRun(epoch: number): void;
}

/** Messages of groups that leaders of this node have given to connections. */
export interface LinkedGiving {
  onGiven(token: number, outcome: Outcome): void;
  onFree(node: string, free: GiveFree): void;
  onLinkUp(node: string): void;
  onLinkDown(node: string): void;
  onDrained(node: string): void;
}

/** Connections of this node, by what leaders of their sessions send them. */
export interface ConnectionsHere {
  deliverHere(delivery: Delivery): void;
  pubrelHere(to: ConnectionAddress, position: number): void;
  retainedHere(from: string, to: ConnectionAddress, batch: RetainedZero): void;
  kickHere(to: ConnectionAddress, reasonCode: number, yields: boolean, by: Taker | null): void;
  /** @param from the node that leads the group's shard */
  giveHere(from: string, give: Give): void;
  onLinkUp(node: string): void;
}
