/**
 * Links to the other nodes: up, down, and what comes by them.
 *
 * A unit (lanes.ts) is the sender's clock and messages of one turn; each goes to the part of the node
 * that its kind is for.
 */
import { BytesError, Reader } from '../../bytes.ts';
import type { MemberInfo } from '../../ports.ts';
import type { Replica } from '../../shard/replica.ts';
import { copyId } from '../../shard/view.ts';
import type { Announcing } from './announcing.ts';
import { LinkMessage } from './link-message.ts';
import type { LinkPort } from './link-port.ts';
import { LONG_SILENCE_MS, Peer } from './peers.ts';
import { Relays } from './relays.ts';
import { Wire } from './wire.ts';

/**
 * Frames kept of a link whose process is not known yet: gossip takes a second or two to tell. Beyond,
 * the link is reset; bytes are bounded by the credit that the sender does not get meanwhile.
 */
const EARLY_FRAMES_MAX = 4096;

/** What comes on a link of two nodes that have nothing to say, and after bulk. */
const UNASKED: ReadonlySet<number> = new Set([Wire.Heartbeat, Wire.HeartbeatAck, Wire.Credit]);

interface EarlyLink {
  readonly bootEpoch: number;
  readonly frames: Uint8Array[];
}

/** Membership gave it up. It may only hang or be cut off: only a newer process proves that it is gone. */
function isLost({ state }: MemberInfo): boolean {
  return state === 'faulty' || state === 'left';
}

export class Links {
  readonly #port: LinkPort;
  readonly #announcing: Announcing;
  /** Links whose process membership does not know yet, with what came on them, by name. */
  readonly #early = new Map<string, EarlyLink>();

  /** Links by way of other nodes. */
  readonly relays: Relays;
  /** Rises with every lane that drains. */
  #turn = 0;

  constructor(port: LinkPort, announcing: Announcing) {
    this.#port = port;
    this.#announcing = announcing;
    const { env, name, peers } = port;
    this.relays = new Relays({
      name,
      peers,
      nowMs: () => env.nowMs(),
      log: env.log,
      onUp: (peer, bootEpoch) => this.#up(peer, bootEpoch),
      onDown: (peer) => this.#down(peer),
      onFrame: (peer, frame) => this.onFrame(peer, frame),
      reset: (peer, why) => env.resetLink?.(peer, why),
    });
  }

  // ---- up and down -----------------------------------------------------------------------------

  /** Membership knows more: of links' other ends too. */
  onMembers(members: readonly MemberInfo[]): void {
    const { name: self, env, grants, membership, peers, shardCount, shards, counters } = this.#port;
    this.#port.calm.stir();
    membership.update(members, shardCount, env.nowMs());
    for (const m of members) if (m.name !== self) this.#onMember(m);
    for (const [name, { bootEpoch, frames }] of [...this.#early]) {
      if (peers.get(name)?.member.bootEpoch !== bootEpoch) continue;
      this.#early.delete(name);
      this.onLinkUp(name, bootEpoch);
      for (const frame of frames) this.onFrame(name, frame);
    }
    grants.refresh(env.nowMs());
    shards.onMembers();
    const counts = counters.members;
    counts.alive = counts.suspect = counts.faulty = counts.stopped = 0;
    counters.membersUnwell = 0;
    for (const m of members) {
      if (m.state === 'left') continue;
      counts[peers.get(m.name)?.stoppedEpoch === m.bootEpoch ? 'stopped' : m.state]++;
      if (m.unwell && m.state !== 'faulty') counters.membersUnwell++;
    }
  }

  #onMember(m: MemberInfo): void {
    const { peers, router } = this.#port;
    const peer = peers.get(m.name);
    if (!peer) {
      peers.byName.set(m.name, new Peer(m));
    } else {
      const before = peer.member;
      // The process at the other end of the link is not the one that membership now knows.
      if (peer.up && m.bootEpoch > peer.bootEpoch) this.#lost(peer);
      peer.member = m;
      peer.id = copyId(m.name, m.meta.storeId);
      if (m.bootEpoch > before.bootEpoch) {
        if (m.bootEpoch > peer.bootEpoch) peer.replaced();
        router.onPeerGone(m.name);
      } else if (isLost(m)) router.onPeerLost(m.name);
    }
    if (isLost(m) && !peer?.up) this.#forgetRoutes(m.name);
  }

  #forgetRoutes(name: string): void {
    const peer = this.#port.peers.get(name);
    // Its grant was for what is forgotten now.
    if (peer) peer.grantUntilMs = Number.NEGATIVE_INFINITY;
    this.#port.routes.clearNode(name);
    this.#port.router.onRoutesForgotten(name);
  }

  /**
   * A link waits until membership tells of the same process: only then it is known which copies its
   * words are those of.
   */
  onLinkUp(name: string, bootEpoch: number): void {
    this.relays.onConnected(name);
    this.#up(name, bootEpoch);
  }

  #up(name: string, bootEpoch: number): void {
    const { env, grants, peers, router, shards, lineage, clients, connections, giving } =
      this.#port;
    this.#port.calm.stir();
    const peer = peers.get(name);
    if (peer?.member.bootEpoch !== bootEpoch) {
      this.#early.set(name, { bootEpoch, frames: [] });
      return;
    }
    if (peer.bootEpoch !== 0 && bootEpoch !== peer.bootEpoch) router.onPeerGone(name);
    peer.linked(bootEpoch, env.nowMs());
    lineage.hello(peer);
    this.#announcing.hello(peer);
    grants.onLinkUp(peer);
    for (const copy of shards.copies) copy.onLinkUp(peer.id);
    router.onLinkUp(peer);
    for (const copy of shards.led) shards.leaders[copy.shard]!.delivering.onLinkUp(name);
    clients.onLinkUp(name);
    connections.onLinkUp(name);
    giving.onLinkUp(name);
  }

  onLinkDown(name: string): void {
    this.relays.onDisconnected(name);
    if (!this.relays.has(name)) this.#down(name);
  }

  #down(name: string): void {
    this.#early.delete(name);
    const peer = this.#port.peers.get(name);
    if (peer?.up) this.#lost(peer);
  }

  #lost(peer: Peer): void {
    const { counters, giving, queries, router, shards } = this.#port;
    const { name } = peer;
    counters.linkResets++;
    this.#port.calm.stir();
    peer.lost();
    router.onLinkDown(name);
    queries.onLinkDown(name);
    giving.onLinkDown(name);
    for (const copy of shards.led) shards.leaders[copy.shard]!.delivering.onLinkDown(name);
    if (isLost(peer.member)) this.#forgetRoutes(name);
  }

  /**
   * The host of this process answers, and nothing listens there any more: the process is gone, or about to
   * be. Others need not wait for silence to go on without it; a wrong guess costs a change of view.
   */
  onNoListener(name: string, bootEpoch: number): void {
    const { env, peers, router, shards } = this.#port;
    const peer = peers.get(name);
    if (!peer || peer.up || peer.bootEpoch !== bootEpoch || peer.refused) return;
    peer.refused = true;
    this.#port.calm.stir();
    env.log('info', 'node refuses connections: its process has ended', { peer: name });
    router.onPeerLost(name);
    shards.onSilent(env.nowMs());
  }

  /** What a full lane made wait goes on: each kind, and each shard of it, in turn first. */
  onDrained(name: string): void {
    const { giving, peers, router, shards } = this.#port;
    const peer = peers.get(name);
    if (!peer) return;
    const turn = this.#turn++;
    const led = [...shards.led];
    const shardsOf = (run: (copy: Replica) => void) => {
      for (let i = 0; i < led.length && !peers.full(name); i++) run(led[(i + turn) % led.length]!);
    };
    const kinds = [
      () => shardsOf((copy) => copy.appending.onDrained(peer.id)),
      () => shardsOf((copy) => shards.leaders[copy.shard]!.delivering.onDrained(name)),
      () => router.onDrained(name, turn),
      () => giving.onDrained(name),
    ];
    for (let i = 0; i < kinds.length; i++) kinds[(i + turn) % kinds.length]!();
  }

  // ---- frames ----------------------------------------------------------------------------------

  onFrame(name: string, frame: Uint8Array): void {
    const port = this.#port;
    const early = this.#early.get(name);
    if (early) {
      if (early.frames.length < EARLY_FRAMES_MAX) early.frames.push(frame);
      else port.env.resetLink?.(name, 'its process is not known as a member');
      return;
    }
    const peer = port.peers.get(name);
    if (!peer?.up) return;
    const nowMs = port.env.nowMs();
    if (nowMs - peer.heardMs >= LONG_SILENCE_MS) port.router.onSilence(name);
    peer.heardMs = nowMs;
    port.counters.linkFramesReceived++;
    port.counters.linkBytesReceived += frame.length;
    try {
      const unit = peer.in.take(frame);
      if (unit) this.#onUnit(peer, unit);
      port.peers.onTaken(peer);
    } catch (e) {
      if (!(e instanceof BytesError)) throw e;
      port.env.log('error', 'frame refused', { peer: name, why: e.message });
      // What followed in the frame is lost, as is everything on a link that goes down.
      port.env.resetLink?.(name, 'the peer sent an unreadable frame');
    }
  }

  #onUnit(peer: Peer, unit: Uint8Array): void {
    const { clock, peers } = this.#port;
    const r = new Reader(unit, 1);
    const hlc = r.f64();
    // Every node would follow it: beyond this the clock could count no more.
    if (!Number.isSafeInteger(hlc) || hlc < 0) throw new BytesError(`clock ${hlc}`);
    clock.observe(hlc);
    while (!r.done) this.#onMessage(peer, r);
    if (peer.in.read(unit)) peers.onAnnounced(peer);
  }

  /** What comes often. */
  #onMessage(peer: Peer, r: Reader): void {
    const port = this.#port;
    const kind = r.u8();
    if (!UNASKED.has(kind)) port.calm.stir();
    switch (kind) {
      case Wire.Shard: {
        const { shard, message } = LinkMessage.Shard.read(r);
        if (peer.trusted) port.shards.onMessage(shard, peer.id, message);
        return;
      }
      case Wire.Request:
        return port.router.onRequest(peer, r);
      case Wire.Publish:
        return port.router.onPublish(peer, r);
      case Wire.Reply:
        return port.router.onReply(r);
      case Wire.Subscriptions:
        return port.router.onSubscriptions(r);
      case Wire.LivePublish:
        return port.router.onLivePublish(peer, r);
      case Wire.LiveAck:
        return port.router.onLiveAck(peer, r);
      case Wire.Deliver:
        return port.connections.deliverHere(LinkMessage.Deliver.read(r));
      case Wire.Give:
        return port.connections.giveHere(peer.name, LinkMessage.Give.read(r));
      case Wire.Given: {
        const { token, outcome } = LinkMessage.Given.read(r);
        return port.giving.onGiven(token, outcome);
      }
      case Wire.GiveFree: {
        return port.giving.onFree(peer.name, LinkMessage.GiveFree.read(r));
      }
      case Wire.LiveHeld:
        return port.router.onLiveHeld(peer, r);
      case Wire.LiveAsk:
        return port.router.onLiveAsk(peer, r);
      case Wire.LiveAwaited:
        return port.router.onLiveAwaited(peer, r);
      case Wire.LiveGap:
        return port.router.onLiveGap(peer, r);
      case Wire.QosZero:
        port.live.deliver(LinkMessage.QosZero.read(r));
        return;
      default:
        return this.#onControl(peer, kind, r);
    }
  }

  #onControl(peer: Peer, kind: number, r: Reader): void {
    const announcing = this.#announcing;
    const { env, peers, grants, lineage, connections, queries, asking } = this.#port;
    switch (kind) {
      case Wire.Heartbeat:
        return peers.onHeartbeat(peer, LinkMessage.Heartbeat.read(r), env.nowMs());
      case Wire.HeartbeatAck:
        return peers.onHeartbeatAck(peer, LinkMessage.HeartbeatAck.read(r));
      case Wire.Credit:
        return peers.onCredit(peer, LinkMessage.Credit.read(r));
      case Wire.Hello:
        return announcing.onHello(LinkMessage.Hello.read(r));
      case Wire.Routes: {
        const { whole, changes } = LinkMessage.Routes.read(r);
        return announcing.onRoutes(peer, whole, changes);
      }
      case Wire.Views:
        return announcing.onViews(peer, LinkMessage.Views.read(r));
      case Wire.ShardRoutes:
        return announcing.onShardRoutes(peer, LinkMessage.ShardRoutes.read(r));
      case Wire.NeedShardRoutes:
        return announcing.onNeed(peer, LinkMessage.NeedShardRoutes.read(r));
      case Wire.Synced:
        return grants.onSynced(peer, LinkMessage.Synced.read(r), env.nowMs());
      case Wire.Barrier:
        return announcing.onBarrier(peer, LinkMessage.Barrier.read(r));
      case Wire.BarrierAck:
        return grants.onBarrierAck(peer, LinkMessage.BarrierAck.read(r), env.nowMs());
      case Wire.Pubrel: {
        const { to, position } = LinkMessage.Pubrel.read(r);
        return connections.pubrelHere(to, position);
      }
      case Wire.Runs:
        return lineage.onRuns(peer, LinkMessage.Runs.read(r));
      case Wire.RunMissing:
        lineage.onRunMissing(LinkMessage.RunMissing.read(r));
        return;
      case Wire.LaterRun:
        return lineage.onLaterRun(LinkMessage.LaterRun.read(r));
      case Wire.Stopped:
        peer.stoppedEpoch = peer.bootEpoch;
        return;
      case Wire.Kick: {
        const { to, reasonCode, yields, by } = LinkMessage.Kick.read(r);
        return connections.kickHere(to, reasonCode, yields, by);
      }
      case Wire.RetainedQuery:
        return queries.onQuery(peer.name, LinkMessage.RetainedQuery.read(r));
      case Wire.RetainedReply: {
        const { id, page } = LinkMessage.RetainedReply.read(r);
        return queries.onReply(id, page);
      }
      case Wire.RetainedEnd:
        return queries.onEnd(peer.name, LinkMessage.RetainedEnd.read(r));
      case Wire.RetainedZero: {
        const { to, batch } = LinkMessage.RetainedZero.read(r);
        return connections.retainedHere(peer.name, to, batch);
      }
      case Wire.RetainedTaken: {
        const { clientId, token } = LinkMessage.RetainedTaken.read(r);
        return this.#port.onRetainedTaken(clientId, token);
      }
      case Wire.Relay:
        return this.relays.onRelayed(peer, LinkMessage.Relay.read(r));
      case Wire.Ask: {
        const { id, value } = LinkMessage.Ask.read(r);
        return asking.onAsk(peer, id, value);
      }
      case Wire.Answer: {
        const { id, value } = LinkMessage.Answer.read(r);
        return asking.onAnswer(id, value);
      }
      default:
        throw new BytesError(`message of unknown kind ${kind}`);
    }
  }
}
