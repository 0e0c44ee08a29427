/**
 * The other nodes: links, heartbeats, grants. Silence and heartbeats are per pair of nodes, never per
 * shard.
 *
 * A heartbeat carries its send time; the answer brings it back. So a sender knows of each peer a time
 * at which the peer had certainly heard it (for its leader lease), and, if the answer grants it, a time
 * until which the peer sends no SUBACK for a subscription that this node does not know (its route grant).
 * Heartbeats overtake announcements, so a grant counts only once as many of those have been read as
 * its giver had made.
 */
import type { Writer } from '../../bytes.ts';
import type { MemberInfo } from '../../ports.ts';
import { type CopyId, copyId } from '../../shard/view.ts';
import type { Calm } from '../calm.ts';
import type { Heartbeat, HeartbeatAck } from './heartbeat.ts';
import { Inbox, Lane, Outbox, type Produce } from './lanes.ts';
import { LinkMessage } from './link-message.ts';
import type { LostShard } from './views.ts';

/**
 * How long a granted heartbeat lets the asker route publishes, from its sending: every node of a cluster
 * must say the same. Long enough for membership to find out first that a node is not reached any more.
 */
export function grantMs(silenceMs: number): number {
  return 4 * silenceMs;
}

/** Read whenever they are needed: a joiner learns them. */
export interface PeersTimings {
  readonly heartbeatMs: number;
  readonly silenceMs: number;
}

/**
 * A link on which nothing came for so long has been silent: its other end may have given this one up, or be
 * about to.
 */
export const LONG_SILENCE_MS = 1000;

/** A grant that came before the announcements that its giver had made. */
interface EarlyGrant {
  readonly sentMs: number;
  /** Units of announcements before it. */
  readonly after: number;
}

/** Bytes that wait for credit of one peer; beyond, QoS 0 messages for its clients are dropped and counted. */
const ZERO_WAITING_BYTES_MAX = 16 * 1024 * 1024;
/** Grants kept until the announcements before them are here; later ones say nothing more. */
const EARLY_GRANTS_MAX = 16;

export class Peer {
  readonly name: string;
  member: MemberInfo;
  id: CopyId;
  up = false;
  /** Boot epoch on the link; that of the last link while down. */
  bootEpoch = 0;
  heardMs = Number.NEGATIVE_INFINITY;
  /** Its host is there and refuses connections to it: counts as silence until there is a link again. */
  refused = false;
  /** Send time of our latest heartbeat that the peer has answered. */
  ackedMs = Number.NEGATIVE_INFINITY;
  /** We may route by what the peer told us until then. */
  grantUntilMs = Number.NEGATIVE_INFINITY;
  /** The process of the peer has granted that once. */
  granting = false;
  /** Which process has granted it. */
  grantEpoch = 0;
  /** Its grant has run out although it may be acknowledging subscriptions. */
  lapsed = false;
  /**
   * Until when those are waited for that may lead shards after it, since it had gone on without this node.
   * A new grant of the same process ends that; with epoch 0 only word of those who lead what it `lost` does.
   */
  gone: {
    readonly bootEpoch: number;
    readonly untilMs: number;
    readonly lost?: readonly LostShard[];
  } | null = null;
  /** Routes of it were asked for on an earlier link and had not come. */
  #lacking = false;
  /** When its latest heartbeat was sent, if that is still to be answered. */
  owedMs: number | null = null;
  /** When we last granted the peer that it may route by what we told it. */
  grantedMs = Number.NEGATIVE_INFINITY;
  /** The peer's folder has had all the runs that were seen of it: what its copies say counts. */
  trusted = false;
  /** The peer has told us all its routes on this link. */
  synced = false;
  /** Shards whose routes we asked the peer for. */
  needs = 0;
  /** Boot epoch of the process that said that it stops, in order; 0 for none. */
  stoppedEpoch = 0;
  readonly out = new Outbox();
  readonly in = new Inbox();
  earlyGrants: EarlyGrant[] = [];
  /** Pages of the routes of a shard that have come, until the last one is here. */
  readonly routePages = new Map<number, string[]>();
  /** Something was written, or may be sent, in this turn. */
  touched = false;

  constructor(member: MemberInfo) {
    this.name = member.name;
    this.member = member;
    this.id = copyId(member.name, member.meta.storeId);
  }

  /** A new link to the process with this boot epoch. */
  linked(bootEpoch: number, nowMs: number): void {
    this.up = true;
    this.refused = false;
    if (bootEpoch !== this.bootEpoch) this.replaced();
    this.bootEpoch = bootEpoch;
    this.heardMs = nowMs;
    this.trusted = false;
    this.synced = false;
    this.#lacking = this.lacksRoutes;
    this.needs = 0;
    this.#clear();
  }

  /** Routes that it announced, or led by, are on their way. */
  get lacksRoutes(): boolean {
    return this.needs !== 0 || this.#lacking;
  }

  /** It has announced all that it leads, and the routes that were lacking are asked for on this link. */
  onSynced(): void {
    this.synced = true;
    this.#lacking = false;
  }

  /** Its process is another one, which knows nothing of earlier grants. */
  replaced(): void {
    if (this.lacksRoutes) this.lapsed = true;
    this.needs = 0;
    this.#lacking = false;
    this.granting = false;
    this.grantUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** The link is gone, with what was under way. */
  lost(): void {
    this.up = false;
    this.synced = false;
    this.#clear();
  }

  #clear(): void {
    this.owedMs = null;
    this.earlyGrants = [];
    this.routePages.clear();
    this.out.reset();
    this.in.reset();
  }
}

/** What peers need of their node. */
export interface PeersHost {
  nowMs(): number;
  hlc(): number;
  sendFrame(peer: string, frame: Uint8Array): void;
  /** Asks for a flush at the end of the turn. */
  schedule(): void;
  readonly calm: Pick<Calm, 'now' | 'stir'>;
  /** Whether a heartbeat of this peer is answered with a grant. */
  grants(peer: Peer, nowMs: number): boolean;
  /** The disk is behind: peers are to send no more for now. */
  readonly busy: boolean;
  /** What a peer's full lane made wait may be written. */
  onDrained(peer: string): void;
}

export class Peers {
  readonly self: string;
  readonly byName = new Map<string, Peer>();
  readonly #host: PeersHost;
  #dirty: Peer[] = [];
  /** Peers that wait for credit. */
  readonly #owed = new Set<Peer>();
  readonly #timings: PeersTimings;
  readonly #hlc: () => number;
  #lastHeartbeatMs = 0;

  constructor(self: string, timings: PeersTimings, host: PeersHost) {
    this.self = self;
    this.#host = host;
    this.#hlc = () => host.hlc();
    this.#timings = timings;
  }

  get(name: string): Peer | undefined {
    return this.byName.get(name);
  }

  /** Where the next message to the peer is written, or null while the link is down. */
  to(name: string, lane: Lane = Lane.Bulk): Writer | null {
    const peer = this.byName.get(name);
    if (!peer?.up) return null;
    this.#host.calm.stir();
    return this.#writer(peer, lane);
  }

  #writer(peer: Peer, lane: Lane): Writer {
    if (!peer.touched) this.#touch(peer);
    return peer.out.writer(lane, this.#hlc);
  }

  /** Something long for the peer: written page by page, when the lane has come to it. */
  later(name: string, lane: typeof Lane.Announce | typeof Lane.Bulk, produce: Produce): void {
    const peer = this.byName.get(name);
    if (!peer?.up) return;
    this.#host.calm.stir();
    if (!peer.touched) this.#touch(peer);
    peer.out.later(lane, produce);
  }

  #touch(peer: Peer): void {
    peer.touched = true;
    if (this.#dirty.length === 0) this.#host.schedule();
    this.#dirty.push(peer);
  }

  /** So much waits for the peer that senders that can wait should, until `onDrained`. */
  full(name: string): boolean {
    const peer = this.byName.get(name);
    return peer?.up === true && peer.out.full;
  }

  /** So much waits for the peer that what may be dropped is. */
  crowded(name: string): boolean {
    const peer = this.byName.get(name);
    return peer?.up === true && peer.out.waitingBytes >= ZERO_WAITING_BYTES_MAX;
  }

  /** The peer takes what it is sent, and more waits: it is busy, and does not hang. */
  moves(name: string): boolean {
    const peer = this.byName.get(name);
    return peer?.up === true && peer.out.moves(this.#host.nowMs());
  }

  /** Start of the end of a turn: senders that waited for room in a lane may write again. */
  resume(): void {
    for (const peer of this.#dirty)
      if (peer.up && peer.out.drained()) this.#host.onDrained(peer.name);
  }

  /** End of a turn: what may leave does. */
  flush(): void {
    for (const peer of this.#owed) {
      if (!peer.up) this.#owed.delete(peer);
      else if (!this.#host.busy) this.#credit(peer);
    }
    const dirty = this.#dirty;
    this.#dirty = [];
    const nowMs = this.#host.nowMs();
    for (const peer of dirty) {
      peer.touched = false;
      if (!peer.up) continue;
      for (const frame of peer.out.take(nowMs, this.#hlc)) this.#host.sendFrame(peer.name, frame);
      if (peer.out.drained()) this.#host.onDrained(peer.name);
    }
  }

  // ---- credit ----------------------------------------------------------------------------------

  /** A frame was taken: if the peer waits for word of that, it gets it at the end of the turn. */
  onTaken(peer: Peer): void {
    if (!peer.in.owesCredit || this.#owed.has(peer)) return;
    if (this.#owed.size === 0) this.#host.schedule();
    this.#owed.add(peer);
  }

  #credit(peer: Peer): void {
    this.#owed.delete(peer);
    if (!peer.in.owesCredit) return;
    LinkMessage.Credit.write(this.to(peer.name, Lane.Urgent)!, peer.in.tellCredit());
  }

  onCredit(peer: Peer, bytes: number): void {
    peer.out.credit(bytes, this.#host.nowMs());
    if (!peer.touched) this.#touch(peer);
  }

  /** This process ends in order: the last that the others hear of it. */
  sayStopped(): void {
    for (const name of this.byName.keys()) {
      const w = this.to(name);
      if (w) LinkMessage.Stopped.write(w);
    }
  }

  // ---- heartbeats and grants -------------------------------------------------------------------

  heartbeat(nowMs: number): void {
    const calm = this.#host.calm.now;
    const isDue = nowMs - this.#lastHeartbeatMs >= this.#timings.heartbeatMs;
    if (isDue) this.#lastHeartbeatMs = nowMs;
    for (const peer of this.byName.values()) {
      if (peer.owedMs !== null && (isDue || !calm)) this.#acknowledge(peer, peer.owedMs, nowMs);
      if (isDue && peer.up)
        LinkMessage.Heartbeat.write(this.#writer(peer, Lane.Urgent), { sentMs: nowMs, calm });
    }
  }

  /** Is answered at once, unless both ends are calm: then with the next heartbeat, in one frame. */
  onHeartbeat(peer: Peer, { sentMs, calm }: Heartbeat, nowMs: number): void {
    if (calm && this.#host.calm.now) peer.owedMs = sentMs;
    else this.#acknowledge(peer, sentMs, nowMs);
  }

  #acknowledge(peer: Peer, sentMs: number, nowMs: number): void {
    peer.owedMs = null;
    if (!peer.up) return;
    const grants = this.#host.grants(peer, nowMs);
    if (grants) peer.grantedMs = nowMs;
    const after = peer.out.announced;
    LinkMessage.HeartbeatAck.write(this.#writer(peer, Lane.Urgent), { sentMs, grants, after });
  }

  /** Something of a member that is alive is late: its link, its frames, or its word on our heartbeats. */
  someoneIsLate(nowMs: number): boolean {
    const lateMs = 3 * this.#timings.heartbeatMs;
    for (const { member, up, heardMs, ackedMs } of this.byName.values()) {
      if (member.state !== 'alive' && member.state !== 'suspect') continue;
      if (!up || nowMs - heardMs > lateMs || nowMs - ackedMs > lateMs) return true;
    }
    return false;
  }

  onHeartbeatAck(peer: Peer, { sentMs, grants, after }: HeartbeatAck): void {
    if (sentMs > peer.ackedMs) peer.ackedMs = sentMs;
    if (!grants || peer.earlyGrants.length >= EARLY_GRANTS_MAX) return;
    peer.earlyGrants.push({ sentMs, after });
    this.onAnnounced(peer);
  }

  /** Grants count once what was announced before them has been read. */
  onAnnounced(peer: Peer): void {
    const { earlyGrants } = peer;
    let due = 0;
    while (due < earlyGrants.length && earlyGrants[due]!.after <= peer.in.announced) {
      const { sentMs } = earlyGrants[due++]!;
      if (!peer.synced || peer.needs !== 0) continue;
      const untilMs = sentMs + grantMs(this.#timings.silenceMs);
      peer.granting = true;
      peer.grantEpoch = peer.bootEpoch;
      peer.lapsed = false;
      if (peer.gone?.bootEpoch === peer.bootEpoch) peer.gone = null;
      peer.grantUntilMs = Math.max(peer.grantUntilMs, untilMs);
    }
    if (due > 0) earlyGrants.splice(0, due);
  }
}
