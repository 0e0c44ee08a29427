/**
 * A message's way from its ingress to all that want it, and requests to shards' leaders. QoS 0 goes
 * out at once and is forgotten. QoS 1 and 2 wait for the route grants, go to the leaders of the matching
 * shards and to the nodes with matching live sessions, and count as published when all have answered.
 */
import type { Reader } from '../../bytes.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import { shardOf } from '../../placement/hash.ts';
import {
  EVERY_SUBSCRIPTION,
  type Message,
  messageBytes,
  type Rx2Id,
} from '../../session/message.ts';
import type { Origin } from '../../session/operation.ts';
import type { SubscriptionRequest } from '../../session/subscription.ts';
import { Lane, pages } from '../link/lanes.ts';
import { LinkMessage, type LivePublish, type RequestNumber } from '../link/link-message.ts';
import type { Peer } from '../link/peers.ts';
import {
  type Opened,
  type PublishRequest,
  type Reply,
  type Request,
  Status,
} from '../link/request.ts';
import { ShardChannel, type Transmit } from './channel.ts';
import type { LiveConnection, Publisher } from './client-port.ts';
import { LiveChannel } from './live-channel.ts';
import { LiveDoubts } from './live-doubts.ts';
import { LiveReceived, whenAllHaveRoom } from './live-received.ts';
import type { RoutePort } from './route-port.ts';

/** Bytes of QoS 0 retained messages under way to their shards; beyond, they are not retained. */
const RETAIN_ZERO_BYTES_MAX = 16_777_216;
/** Pause between two signs of life of messages that wait for slow clients. */
const TELL_HELD_MS = 500;
const NO_SHARDS: readonly number[] = [];

export class Router {
  readonly #port: RoutePort;
  readonly #channels = new Map<number, ShardChannel>();
  readonly #live = new Map<string, LiveChannel>();
  readonly received = new LiveReceived();
  readonly #doubts = new LiveDoubts(
    (peer, sequence) => {
      const w = this.#port.peers.to(peer);
      if (w) LinkMessage.LiveAsk.write(w, sequence);
    },
    (peer) => this.#port.env.resetLink?.(peer, 'too much of it waits to be vouched for'),
  );
  readonly #deliverLive: (message: Message) => readonly LiveConnection[] | null;
  /** Wait for route grants. Bounded by what connections may have under way. */
  readonly #held: (() => void)[] = [];
  #retainZeroBytes = 0;
  #toldHeldMs = 0;
  /** Messages of QoS 1 and 2 that were routed: what a node whose filters are unknown may have missed. */
  #published = 0;

  constructor(port: RoutePort) {
    this.#port = port;
    this.#deliverLive = (message) => port.live.deliver(message);
  }

  // ---- publishing ------------------------------------------------------------------------------

  publishZero(message: Message): void {
    const matched = this.#port.routes.match(message.topic);
    this.#zeroTo(matched.nodes, message);
    this.#zeroTo(matched.zeroNodes, message);
    if (matched.groups.length > 0) this.#port.zeroToGroups(matched.groups, message);
    if (!message.retain || this.#retainZeroBytes >= RETAIN_ZERO_BYTES_MAX) return;
    const bytes = messageBytes(message);
    this.#retainZeroBytes += bytes;
    this.#retain(message, null, () => (this.#retainZeroBytes -= bytes));
  }

  #zeroTo(nodes: readonly string[], message: Message): void {
    for (const node of nodes) {
      if (node === this.#port.name) {
        this.#port.live.deliver(message);
        continue;
      }
      const { peers, counters } = this.#port;
      if (peers.crowded(node)) {
        counters.messagesDropped++;
        continue;
      }
      const w = peers.to(node);
      if (w) LinkMessage.QosZero.write(w, message);
    }
  }

  /**
   * The publisher hears 0 or No matching subscribers once all that match have the message; Quota exceeded if all
   * of them refused it, or it could not be retained.
   */
  publish(message: Message, rx2: Rx2Id | null, publisher: Publisher): void {
    if (this.#routable && this.#held.length === 0) return this.#route(message, rx2, publisher);
    this.whenRoutable(() => {
      // Unanswered and its client gone: the client sends it again wherever it is now.
      if (!publisher.wanted) return publisher.published(0);
      // Published when it may be routed: by then this node's clock is past every SUBACK.
      const current = rx2 ? message : { ...message, hlc: this.#port.clock.next() };
      this.#route(current, rx2, publisher);
    });
  }

  /** Runs `run` under the route grants, in the order of the calls. */
  whenRoutable(run: () => void): void {
    if (this.#routable && this.#held.length === 0) run();
    else this.#held.push(run);
  }

  /** The grants may hold again. */
  release(): void {
    if (this.#held.length === 0 || !this.#routable) return;
    for (const run of this.#held.splice(0)) run();
  }

  get #routable(): boolean {
    return this.#port.grants.routable(this.#port.env.nowMs());
  }

  #route(message: Message, rx2: Rx2Id | null, publisher: Publisher): void {
    const matched = this.#port.routes.match(message.topic);
    // A Will at QoS 0: sessions' queues do not take it, but its way is that of the others, so that it
    // comes once although it may be driven again, and before what its client publishes next.
    const zero = message.qos === 0;
    const nodes = zero ? [...matched.nodes, ...matched.zeroNodes] : matched.nodes;
    const shards = zero ? NO_SHARDS : matched.shards;
    const { groups } = matched;
    this.#published++;
    const destinations = nodes.length + shards.length + groups.length;
    let left = 1 + destinations;
    let refused = 0;
    let notRetained = false;
    const one = (status: Status) => {
      if (status === Status.QuotaExceeded) refused++;
      if (--left > 0) return;
      if (notRetained) publisher.published(ReasonCode.QuotaExceeded);
      else if (destinations === 0) publisher.published(ReasonCode.NoMatchingSubscribers);
      else
        publisher.published(
          refused === destinations ? ReasonCode.QuotaExceeded : ReasonCode.Success,
        );
    };
    for (const node of nodes) this.#toNode(node, message, rx2, publisher, () => one(Status.Ok));
    if (shards.length > 0) this.#toShards(shards, message, rx2, one);
    for (const { shard, keys } of groups)
      this.channel(shard).send({ type: 'group', groups: keys, rx2, message }, (reply) =>
        one(reply.status),
      );
    if (message.retain) {
      left++;
      this.#retain(message, rx2, (refused) => {
        notRetained = refused;
        one(Status.Ok);
      });
    }
    one(Status.Ok);
  }

  #toNode(
    node: string,
    message: Message,
    rx2: Rx2Id | null,
    publisher: Publisher,
    done: () => void,
  ): void {
    if (node === this.#port.name) {
      const behind = this.received.deliver(rx2, message, this.#deliverLive);
      if (!behind) return done();
      publisher.slowed();
      return whenAllHaveRoom(behind, done);
    }
    const channel = this.#liveChannel(node);
    const waits = channel.givenUp || this.#port.peers.full(node);
    const to = waits ? null : this.#port.peers.to(node);
    channel.send(to, { message, rx2, publisher, done });
  }

  #liveChannel(node: string): LiveChannel {
    const held = this.#live.get(node);
    if (held) return held;
    const channel = new LiveChannel();
    this.#live.set(node, channel);
    return channel;
  }

  #retain(published: Message, rx2: Rx2Id | null, done: (refused: boolean) => void): void {
    const shard = shardOf(published.topic, this.#port.shardCount);
    // A Will matches every subscription, however new; its retained copy gets a normal stamp.
    const message =
      published.hlc === EVERY_SUBSCRIPTION
        ? { ...published, hlc: this.#port.clock.next() }
        : published;
    this.channel(shard).send({ type: 'retain', rx2, message }, ({ status }) =>
      done(status === Status.QuotaExceeded),
    );
  }

  /** One frame per leader, with the message once and a sequence for each of its shards. */
  #toShards(
    shards: readonly number[],
    message: Message,
    rx2: Rx2Id | null,
    one: (status: Status) => void,
  ): void {
    const request: PublishRequest = { type: 'publish', message, rx2 };
    const done = (reply: Reply) => one(reply.status);
    if (shards.length === 1) return this.channel(shards[0]!).send(request, done);
    const groups = new Map<string, { shard: number; sequence: number; prev: number }[]>();
    for (const shard of shards) {
      const channel = this.channel(shard);
      const leader = this.#port.views.leader(shard);
      if (leader === this.#port.name || !channel.takes || this.#port.peers.full(leader)) {
        channel.send(request, done);
        continue;
      }
      const sequence = channel.reserve(request, done);
      const number = { shard, sequence, prev: channel.claim(sequence) };
      const group = groups.get(leader);
      if (group) group.push(number);
      else groups.set(leader, [number]);
    }
    for (const [leader, numbers] of groups) {
      const w = this.#port.peers.to(leader);
      if (w) LinkMessage.Publish.write(w, { numbers, rx2, message });
    }
  }

  /** Requests that no leader has answered yet. */
  get outstanding(): number {
    let sum = this.#held.length;
    for (const channel of this.#channels.values()) sum += channel.outstanding;
    return sum;
  }

  // ---- requests to shards ----------------------------------------------------------------------

  channel(shard: number): ShardChannel {
    let channel = this.#channels.get(shard);
    if (!channel) {
      channel = new ShardChannel(shard, this.#transmit, (s) =>
        this.#port.peers.full(this.#port.views.leader(s)),
      );
      this.#channels.set(shard, channel);
      if (this.#reachable(shard)) channel.open();
    }
    return channel;
  }

  #reachable(shard: number): boolean {
    const leader = this.#port.views.leader(shard);
    if (leader === this.#port.name) return this.#port.leaders[shard]?.serving ?? false;
    return this.#port.peers.get(leader)?.up ?? false;
  }

  readonly #transmit: Transmit = (shard, sequence, prev, request) => {
    const leader = this.#port.views.leader(shard);
    if (leader === this.#port.name) {
      const { name: node, bootEpoch } = this.#port;
      const origin: Origin = { node, bootEpoch, sequence };
      this.#port.leaders[shard]?.handle(origin, prev, request, (reply) =>
        this.#onReply(shard, sequence, reply),
      );
      return;
    }
    const w = this.#port.peers.to(leader);
    if (w) LinkMessage.Request.write(w, { shard, sequence, prev }, request);
  };

  #onReply(shard: number, sequence: number, reply: Reply): void {
    this.#channels.get(shard)?.onReply(sequence, reply, this.#port.env.nowMs());
  }

  /** The shard's leader, or its term, has changed. */
  onLeader(shard: number): void {
    const channel = this.#channels.get(shard);
    if (!channel) return;
    channel.close();
    if (this.#reachable(shard)) channel.open();
  }

  onLinkUp(peer: Peer): void {
    for (const channel of this.#channels.values())
      if (this.#port.views.leader(channel.shard) === peer.name) channel.open();
    this.#live
      .get(peer.name)
      ?.resend(this.#port.peers.to(peer.name), () => this.#port.peers.full(peer.name));
  }

  /** There is room again on the way to the node. @param turn another one each time: whose turn it is */
  onDrained(peer: string, turn: number): void {
    this.#live.get(peer)?.resume(this.#port.peers.to(peer), () => this.#port.peers.full(peer));
    const channels = [...this.#channels.values()];
    for (let i = 0; i < channels.length && !this.#port.peers.full(peer); i++) {
      const channel = channels[(i + turn) % channels.length]!;
      if (this.#port.views.leader(channel.shard) === peer) channel.resume();
    }
  }

  onLinkDown(peer: string): void {
    this.#doubts.drop(peer);
    for (const channel of this.#channels.values())
      if (this.#port.views.leader(channel.shard) === peer) channel.close();
  }

  /** The node's process is gone, and its live sessions with it. */
  onPeerGone(peer: string): void {
    this.#live.get(peer)?.abandon();
  }

  /** Membership gave the process up. It may only hang, or be cut off, and come back. */
  onPeerLost(peer: string): void {
    this.#liveChannel(peer).giveUp(this.#port.peers.to(peer));
  }

  /** Nothing had been read of the node for long. */
  onSilence(peer: string): void {
    this.#doubts.onSilence(peer);
  }

  /** What the node's live sessions want is forgotten. */
  onRoutesForgotten(peer: string): void {
    this.#liveChannel(peer).forget(this.#published);
  }

  /** The node has told what its live sessions want. */
  onRoutesKnown(peer: string): void {
    this.#live
      .get(peer)
      ?.learn(this.#published, this.#port.clock.next(), this.#port.peers.to(peer));
  }

  tick(nowMs: number): void {
    const { peers } = this.#port;
    for (const [name, channel] of this.#live) {
      const heardMs = peers.get(name)?.heardMs ?? 0;
      if (!channel.tick(nowMs, heardMs, () => peers.to(name), peers.moves(name))) continue;
      this.#port.env.log('warn', 'node does not answer: live messages no longer wait for it', {
        peer: name,
      });
    }
    if (nowMs - this.#toldHeldMs >= TELL_HELD_MS) {
      this.#toldHeldMs = nowMs;
      this.received.eachHeld((peer, sequence) => this.#tellHeld(peer, sequence));
    }
    for (const channel of this.#channels.values()) {
      if (channel.isOpen || nowMs < channel.retryAtMs) continue;
      if (this.#reachable(channel.shard)) channel.open();
    }
  }

  // ---- from other nodes ------------------------------------------------------------------------

  onRequest(peer: Peer, r: Reader): void {
    const { number, request } = LinkMessage.Request.read(r);
    this.#handle(peer, number, request);
  }

  onPublish(peer: Peer, r: Reader): void {
    const { numbers, rx2, message } = LinkMessage.Publish.read(r);
    for (const number of numbers) this.#handle(peer, number, { type: 'publish', rx2, message });
  }

  #handle(peer: Peer, number: RequestNumber, request: Request): void {
    const { shard, sequence, prev } = number;
    const { bootEpoch } = peer;
    const origin: Origin = { node: peer.name, bootEpoch, sequence };
    const answer = (reply: Reply) => {
      if (peer.bootEpoch !== bootEpoch) return;
      if (reply.opened) return this.#answerOpen(peer.name, shard, sequence, reply, reply.opened);
      const w = this.#port.peers.to(peer.name);
      if (w) LinkMessage.Reply.write(w, shard, sequence, reply);
    };
    const leader = this.#port.leaders[shard];
    if (leader) leader.handle(origin, prev, request, answer);
    else answer({ status: Status.NotLeader, opened: null });
  }

  /** A session's subscriptions may be many: all but the last page go ahead of the reply. */
  #answerOpen(node: string, shard: number, sequence: number, reply: Reply, opened: Opened): void {
    const produce = pages(opened.subscriptions, bytesOf, (w, page, { last }) => {
      if (last) {
        const { status } = reply;
        return LinkMessage.Reply.write(w, shard, sequence, {
          status,
          opened: { ...opened, subscriptions: page },
        });
      }
      LinkMessage.Subscriptions.write(w, { shard, sequence, page });
    });
    this.#port.peers.later(node, Lane.Bulk, produce);
  }

  onSubscriptions(r: Reader): void {
    const { shard, sequence, page } = LinkMessage.Subscriptions.read(r);
    this.#channels.get(shard)?.onSubscriptions(sequence, page);
  }

  onReply(r: Reader): void {
    const { shard, sequence, reply } = LinkMessage.Reply.read(r);
    this.#onReply(shard, sequence, reply);
  }

  onLivePublish(peer: Peer, r: Reader): void {
    const live = LinkMessage.LivePublish.read(r);
    const { clock, env } = this.#port;
    const ageMs = clock.ageMs(live.message.hlc);
    if (this.#doubts.take(peer.name, live, env.nowMs(), ageMs)) return;
    this.#takeLive(peer, live);
  }

  #takeLive(peer: Peer, live: LivePublish): void {
    const taken = this.received.take(peer.name, peer.bootEpoch, live, this.#deliverLive);
    if (!taken.waits) return this.#ackLive(peer, taken.sequence);
    this.#tellHeld(peer.name, taken.sequence);
    if (!taken.behind) return;
    const { bootEpoch } = peer;
    whenAllHaveRoom(taken.behind, () => {
      this.received.settled(peer.name, bootEpoch, taken.sequence);
      if (peer.bootEpoch === bootEpoch) this.#ackLive(peer, taken.sequence);
    });
  }

  #ackLive(peer: Peer, sequence: number): void {
    const w = this.#port.peers.to(peer.name);
    if (w) LinkMessage.LiveAck.write(w, sequence);
  }

  /** The message is here and waits for a slow client; sent again and again, as a sign of life. */
  #tellHeld(peer: string, sequence: number): void {
    const w = this.#port.peers.to(peer);
    if (w) LinkMessage.LiveHeld.write(w, sequence);
  }

  onLiveHeld(peer: Peer, r: Reader): void {
    this.#live.get(peer.name)?.onHeld(LinkMessage.LiveHeld.read(r));
  }

  /** The answer follows everything that was said before: a LiveGap, if the message was given up. */
  onLiveAsk(peer: Peer, r: Reader): void {
    const sequence = LinkMessage.LiveAsk.read(r);
    if (!this.#live.get(peer.name)?.onAsk()) return;
    const w = this.#port.peers.to(peer.name);
    if (w) LinkMessage.LiveAwaited.write(w, sequence);
  }

  onLiveAwaited(peer: Peer, r: Reader): void {
    const sequence = LinkMessage.LiveAwaited.read(r);
    const nowMs = this.#port.env.nowMs();
    for (const live of this.#doubts.onAwaited(peer.name, sequence, nowMs))
      this.#takeLive(peer, live);
  }

  onLiveAck(peer: Peer, r: Reader): void {
    const sequence = LinkMessage.LiveAck.read(r);
    const channel = this.#live.get(peer.name);
    if (!channel) return;
    const { givenUp } = channel;
    channel.onAck(sequence, this.#port.peers.to(peer.name));
    if (givenUp && !channel.givenUp)
      this.#port.env.log('info', 'node answers again: it gets live messages', { peer: peer.name });
  }

  onLiveGap(peer: Peer, r: Reader): void {
    const { sequence, missed } = LinkMessage.LiveGap.read(r);
    this.#doubts.drop(peer.name);
    this.received.takeGap(peer.name, peer.bootEpoch, sequence, () =>
      this.#port.endMissed(missed, peer.name),
    );
    this.#ackLive(peer, sequence);
  }
}

const bytesOf = ({ filter }: SubscriptionRequest) => filter.length + 32;
