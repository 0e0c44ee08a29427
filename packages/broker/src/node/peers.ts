/**
 * The other nodes: links, heartbeats, leases. Silence and heartbeats are per pair of nodes, never per
 * shard.
 *
 * A heartbeat carries its send time; the answer brings it back. So a sender knows of each peer a time
 * at which the peer had certainly heard it (for its leader lease), and, if the answer grants it, a time
 * until which the peer lets no SUBACK pass that this node has not been told of (for its route lease).
 */
import { type Reader, Writer } from '../bytes.ts';
import type { MemberInfo } from '../ports.ts';
import { type CopyId, copyId } from '../shard/view.ts';
import { Wire } from './wire.ts';

/**
 * How long a granted heartbeat lets the asker route publishes, from its sending: every node of a
 * cluster must say the same, since a new leader waits for what earlier ones granted.
 */
export function routeLeaseMs(silenceMs: number): number {
  return 2 * silenceMs;
}

export interface PeersTimings {
  readonly heartbeatMs: number;
  readonly silenceMs: number;
}

export class Peer {
  readonly name: string;
  member: MemberInfo;
  id: CopyId;
  up = false;
  /** Boot epoch on the link; that of the last link while down. */
  bootEpoch = 0;
  heardMs = Number.NEGATIVE_INFINITY;
  /** Send time of our latest heartbeat that the peer has answered. */
  ackedMs = Number.NEGATIVE_INFINITY;
  /** We may route by what the peer told us until then. */
  leaseUntilMs = Number.NEGATIVE_INFINITY;
  /** When we last granted the peer a lease. */
  grantedMs = Number.NEGATIVE_INFINITY;
  /** The peer has told us all its routes on this link. */
  synced = false;
  /** Shards whose routes we asked the peer for. */
  needs = 0;
  readonly out = new Writer(1024);

  constructor(member: MemberInfo) {
    this.name = member.name;
    this.member = member;
    this.id = copyId(member.name, member.meta.storeId);
  }
}

export class Peers {
  readonly self: string;
  readonly byName = new Map<string, Peer>();
  readonly #sendFrame: (peer: string, frame: Uint8Array) => void;
  readonly #schedule: () => void;
  readonly #hlc: () => number;
  readonly #dirty = new Set<Peer>();
  readonly #heartbeatMs: number;
  readonly #routeLeaseMs: number;
  #lastHeartbeatMs = 0;

  constructor(
    self: string,
    timings: PeersTimings,
    sendFrame: (peer: string, frame: Uint8Array) => void,
    schedule: () => void,
    hlc: () => number,
  ) {
    this.#hlc = hlc;
    this.self = self;
    this.#heartbeatMs = timings.heartbeatMs;
    this.#routeLeaseMs = routeLeaseMs(timings.silenceMs);
    this.#sendFrame = sendFrame;
    this.#schedule = schedule;
  }

  get(name: string): Peer | undefined {
    return this.byName.get(name);
  }

  /** A writer into the peer's frame of this turn, or null while the link is down. */
  to(name: string): Writer | null {
    const peer = this.byName.get(name);
    if (!peer?.up) return null;
    if (peer.out.length === 0) {
      // Every frame carries the clock, so that what one node did before telling another is before.
      peer.out.f64(this.#hlc());
      this.#dirty.add(peer);
      this.#schedule();
    }
    return peer.out;
  }

  flush(): void {
    for (const peer of this.#dirty) {
      if (peer.up && peer.out.length > 0) this.#sendFrame(peer.name, peer.out.take());
      else peer.out.reset();
    }
    this.#dirty.clear();
  }

  heartbeat(nowMs: number): void {
    if (nowMs - this.#lastHeartbeatMs < this.#heartbeatMs) return;
    this.#lastHeartbeatMs = nowMs;
    for (const peer of this.byName.values()) {
      const w = this.to(peer.name);
      if (!w) continue;
      w.u8(Wire.Heartbeat);
      w.f64(nowMs);
    }
  }

  /** @param print of the shards that this node leads: the grant is for them */
  onHeartbeat(peer: Peer, r: Reader, nowMs: number, grants: boolean, print: number): void {
    const sentMs = r.f64();
    const w = this.to(peer.name);
    if (!w) return;
    if (grants) peer.grantedMs = nowMs;
    w.u8(Wire.HeartbeatAck);
    w.f64(sentMs);
    w.bool(grants);
    w.u32(print);
  }

  /**
   * @param print of the shards that this node believes the peer to lead: if the peer has lost one of
   *   them, its grant says nothing of what the next leader has announced meanwhile
   */
  onHeartbeatAck(peer: Peer, r: Reader, print: number): void {
    const sentMs = r.f64();
    const grants = r.bool();
    const granted = r.u32() === print && grants;
    if (sentMs > peer.ackedMs) peer.ackedMs = sentMs;
    if (granted && peer.synced && peer.needs === 0)
      peer.leaseUntilMs = Math.max(peer.leaseUntilMs, sentMs + this.#routeLeaseMs);
  }
}
