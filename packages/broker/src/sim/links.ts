import assert from 'node:assert';
import type { Prng, Scheduler } from '@shoal/swim/sim';
import type { SimNetwork } from './network.ts';
import type { Transcript } from './transcript.ts';

/** One life of a node process, as the links see it. */
export interface LinkHost {
  readonly name: string;
  readonly alive: boolean;
  readonly paused: boolean;
  readonly bootEpoch: number;
  readonly clusterId: string;
  /** Peers that the member list names, with their boot epochs: a link is kept with each. */
  readonly peers: ReadonlyMap<string, number>;
  /** Runs `fn` in the process's event loop: now, when it wakes, or never if it dies first. */
  run(fn: () => void): void;
  onLinkUp(peer: string, bootEpoch: number): void;
  onLinkDown(peer: string): void;
  /** The link that just went down ended, and not by this host's doing. */
  onReset(peer: string): void;
  /** A connection to the peer, which had a link, was refused. */
  onNoListener(peer: string, bootEpoch: number): void;
  onFrame(peer: string, frame: Uint8Array): void;
}

/** One end of a link, in one process. */
interface End {
  readonly host: LinkHost;
  /** Between onLinkUp and onLinkDown of this link. */
  up: boolean;
  /** Frames towards this end arrive no earlier, so that they stay in order. */
  nextArrivalMs: number;
  /** Frames towards this end that a cut holds back, oldest first. */
  held: Uint8Array[];
  heldSinceMs: number;
}

/** One connection between two processes: ordered and reliable until it is reset. */
interface Link {
  readonly id: number;
  /** 0 dialled, 1 accepted. */
  readonly ends: readonly [End, End];
  dead: boolean;
  stalledUntilMs: number;
}

/** A frame that is longer ends its sender: what peers say is cut into frames of about 1 MiB. */
const FRAME_BYTES_MAX = 1024 * 1024 + 64 * 1024;
const REDIAL_MIN_MS = 50;
const REDIAL_MAX_MS = 1000;
const DIAL_TIMEOUT_MS = 1000;

/**
 * Links between nodes: one per pair, dialled by the smaller name, as `edge/link/peer-link.ts` keeps them.
 *
 * Bytes of a link arrive in order and once, late without bound, or the link is reset: then all that
 * was on its way is lost, and each end learns of it at a time of its own.
 */
export class SimLinks {
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #network: SimNetwork;
  readonly #transcript: Transcript;
  readonly #hosts = new Map<string, LinkHost>();
  /** Newest link of a pair, by `small>large`. */
  readonly #links = new Map<string, Link>();
  /** What each process believes to be up, by peer: at most one link each. */
  readonly #upEnds = new WeakMap<LinkHost, Map<string, { end: End; link: Link }>>();
  readonly #dialling = new Map<string, number>();
  #nextId = 1;

  constructor(o: {
    scheduler: Scheduler;
    random: Prng;
    network: SimNetwork;
    transcript: Transcript;
  }) {
    this.#scheduler = o.scheduler;
    this.#random = o.random;
    this.#network = o.network;
    this.#transcript = o.transcript;
    this.#network.whenHealed(() => this.#releaseHeld());
  }

  /** A process began, replacing an earlier one of the same name. */
  attach(host: LinkHost): void {
    this.#hosts.set(host.name, host);
  }

  /**
   * A process died: its kernel resets every link it had. `silent`: the machine is gone too, so that
   * the other ends learn of it by time, or by the next process.
   */
  detach(host: LinkHost, silent: boolean): void {
    if (this.#hosts.get(host.name) === host) this.#hosts.delete(host.name);
    for (const link of this.#links.values()) {
      if (link.ends[0].host !== host && link.ends[1].host !== host) continue;
      if (silent)
        this.#scheduler.after(this.#network.options.linkTimeoutMs, () => this.#kill(link));
      else this.#kill(link);
    }
  }

  /** The member list of `host` changed: dials whom it should, drops whom it should not have. */
  peersChanged(host: LinkHost): void {
    for (const link of this.#links.values()) {
      const [near, far] = sides(link, host);
      if (!near?.up || link.dead) continue;
      // Unlisted, or listed with a newer process than the one at the other end.
      const bootEpoch = host.peers.get(far.host.name);
      if (bootEpoch === undefined || bootEpoch > far.host.bootEpoch) this.#kill(link, host);
    }
    for (const name of host.peers.keys()) {
      if (host.name < name) this.#dialSoon(host, name, 0);
    }
  }

  /** Sends on the link that is up at `host`; dropped silently if there is none. */
  send(host: LinkHost, peer: string, frame: Uint8Array): void {
    const link = this.#links.get(pairKey(host.name, peer));
    if (link === undefined || link.dead) return;
    const [near, far] = sides(link, host);
    if (near === undefined || !near.up) return;
    assert(frame.length <= FRAME_BYTES_MAX, `a frame of ${frame.length} bytes to ${peer}`);
    this.#transcript.note(host.name, `frame to ${peer}`, frame);
    const { linkBytesPerMs } = this.#network.options;
    const arriveMs =
      Math.max(
        far.nextArrivalMs,
        this.#scheduler.nowMs + this.#network.delayMs(),
        link.stalledUntilMs,
      ) + (linkBytesPerMs > 0 ? frame.length / linkBytesPerMs : 0);
    far.nextArrivalMs = arriveMs;
    this.#scheduler.at(arriveMs, () => this.#arrive(link, near, far, frame));
  }

  /** Links that are up at both ends, as pairs of names, in a stable order. */
  established(): readonly (readonly [string, string])[] {
    const pairs: [string, string][] = [];
    for (const link of this.#links.values()) {
      if (!link.dead && link.ends[0].up && link.ends[1].up) {
        pairs.push([link.ends[0].host.name, link.ends[1].host.name]);
      }
    }
    return pairs;
  }

  /** Resets the link of a pair; what is in flight is lost. */
  reset(a: string, b: string, by?: LinkHost): boolean {
    const link = this.#links.get(pairKey(a, b));
    if (link === undefined || link.dead) return false;
    this.#kill(link, by);
    return true;
  }

  /** Holds all bytes of a pair's link until `untilMs`. */
  stall(a: string, b: string, untilMs: number): boolean {
    const link = this.#links.get(pairKey(a, b));
    if (link === undefined || link.dead) return false;
    link.stalledUntilMs = Math.max(link.stalledUntilMs, untilMs);
    return true;
  }

  #arrive(link: Link, near: End, far: End, frame: Uint8Array): void {
    if (link.dead) return;
    const blocked = this.#network.blocked(near.host.name, far.host.name);
    if (blocked || far.held.length > 0) {
      if (far.held.length === 0) far.heldSinceMs = this.#scheduler.nowMs;
      far.held.push(frame);
      this.#scheduler.after(this.#network.options.linkTimeoutMs, () => this.#expire(link, far));
      return;
    }
    this.#deliver(near, far, frame);
  }

  #deliver(near: End, far: End, frame: Uint8Array): void {
    far.host.run(() => {
      if (!far.up) return;
      far.host.onFrame(near.host.name, frame);
    });
  }

  /** Retransmission gave up: bytes were held for longer than a connection lives. */
  #expire(link: Link, far: End): void {
    if (link.dead || far.held.length === 0) return;
    if (this.#scheduler.nowMs - far.heldSinceMs >= this.#network.options.linkTimeoutMs)
      this.#kill(link);
  }

  #releaseHeld(): void {
    for (const link of this.#links.values()) {
      if (link.dead) continue;
      for (const side of [0, 1] as const) {
        const far = link.ends[side];
        const near = link.ends[side === 0 ? 1 : 0];
        if (far.held.length === 0 || this.#network.blocked(near.host.name, far.host.name)) continue;
        // What was held arrives at the retransmission, behind nothing that was sent later.
        const held = far.held;
        far.held = [];
        for (const frame of held) this.#deliver(near, far, frame);
      }
    }
  }

  /** @param by the end that drops it; to the other, or else to both, it is a reset */
  #kill(link: Link, by?: LinkHost): void {
    if (link.dead) return;
    link.dead = true;
    const names = link.ends.map((end) => end.host.name);
    this.#transcript.note(names.join('-'), `link ${link.id} reset`);
    for (const end of link.ends) {
      this.#scheduler.after(this.#random.next() * 5, () =>
        end.host.run(() => {
          if (this.#down(end, link) && end.host !== by)
            end.host.onReset(otherOf(link, end).host.name);
        }),
      );
    }
    const [dialler, acceptor] = link.ends;
    this.#dialSoon(dialler.host, acceptor.host.name, REDIAL_MIN_MS);
  }

  /** The kernel of a process that is gone refuses what was linked to it and knocks. */
  #knock(end: End, other: LinkHost): void {
    this.#scheduler.after(this.#network.delayMs() * 2, () => {
      const gone = !other.alive && this.#hosts.get(other.name) === undefined;
      if (!gone || this.#network.severed(end.host.name, other.name)) return;
      end.host.run(() => end.host.onNoListener(other.name, other.bootEpoch));
    });
  }

  /** @returns whether it was up */
  #down(end: End, link: Link): boolean {
    if (!end.up) return false;
    end.up = false;
    const other = otherOf(link, end);
    this.#upAt(end.host).delete(other.host.name);
    this.#transcript.note(end.host.name, `link ${link.id} to ${other.host.name} down`);
    end.host.onLinkDown(other.host.name);
    this.#knock(end, other.host);
    return true;
  }

  #upAt(host: LinkHost): Map<string, { end: End; link: Link }> {
    let ends = this.#upEnds.get(host);
    if (ends === undefined) {
      ends = new Map();
      this.#upEnds.set(host, ends);
    }
    return ends;
  }

  #dialSoon(host: LinkHost, peer: string, backoffMs: number): void {
    const key = pairKey(host.name, peer);
    const current = this.#links.get(key);
    if (current !== undefined && !current.dead && current.ends[0].host === host) return;
    if (this.#dialling.get(key) === host.bootEpoch) return;
    this.#dialling.set(key, host.bootEpoch);
    const jitteredMs = backoffMs * (0.5 + this.#random.next() * 0.5);
    this.#scheduler.after(jitteredMs + this.#network.delayMs() * 2, () =>
      host.run(() => this.#dial(host, peer, key, backoffMs)),
    );
  }

  #dial(host: LinkHost, peer: string, key: string, backoffMs: number): void {
    this.#dialling.delete(key);
    if (!host.alive || !host.peers.has(peer)) return;
    const other = this.#hosts.get(peer);
    const reachable =
      other?.alive === true && !other.paused && !this.#network.severed(host.name, peer);
    // A node answers members only: a dialler it has not heard of tries again. Neither takes an earlier life.
    const welcome =
      reachable &&
      host.clusterId !== '' &&
      other.clusterId === host.clusterId &&
      isNewest(host, other) &&
      isNewest(other, host);
    if (!welcome) {
      const nextMs = reachable ? backoffMs * 2 : Math.max(backoffMs * 2, DIAL_TIMEOUT_MS / 4);
      this.#dialSoon(host, peer, Math.min(REDIAL_MAX_MS, Math.max(REDIAL_MIN_MS, nextMs)));
      return;
    }
    this.#establish(host, other, key);
  }

  #establish(dialler: LinkHost, acceptor: LinkHost, key: string): void {
    const previous = this.#links.get(key);
    const nowMs = this.#scheduler.nowMs;
    const acceptMs = nowMs + this.#network.delayMs();
    const dialMs = acceptMs + this.#network.delayMs();
    const ends: [End, End] = [
      { host: dialler, up: false, nextArrivalMs: dialMs, held: [], heldSinceMs: 0 },
      { host: acceptor, up: false, nextArrivalMs: acceptMs, held: [], heldSinceMs: 0 },
    ];
    const link: Link = { id: this.#nextId++, ends, dead: false, stalledUntilMs: 0 };
    this.#links.set(key, link);
    if (previous && !previous.dead) previous.dead = true;
    this.#scheduler.at(acceptMs, () => this.#comeUp(link, ends[1], ends[0]));
    this.#scheduler.at(dialMs, () => this.#comeUp(link, ends[0], ends[1]));
  }

  #comeUp(link: Link, end: End, other: End): void {
    if (link.dead) return;
    end.host.run(() => {
      // A newer link replaces the older: its end first, then the new one's beginning.
      const older = this.#upAt(end.host).get(other.host.name);
      if (older !== undefined) this.#down(older.end, older.link);
      if (link.dead) return;
      end.up = true;
      this.#upAt(end.host).set(other.host.name, { end, link });
      this.#transcript.note(end.host.name, `link ${link.id} to ${other.host.name} up`);
      end.host.onLinkUp(other.host.name, other.host.bootEpoch);
    });
  }
}

/** `peer` is the process that `host` lists, or a later one of its name. */
function isNewest(host: LinkHost, peer: LinkHost): boolean {
  return peer.bootEpoch >= (host.peers.get(peer.name) ?? Number.POSITIVE_INFINITY);
}

function otherOf(link: Link, end: End): End {
  return link.ends[0] === end ? link.ends[1] : link.ends[0];
}

function pairKey(a: string, b: string): string {
  return a < b ? `${a}>${b}` : `${b}>${a}`;
}

/** The end of `host` and the one opposite; undefined if the link is of an earlier life. */
function sides(link: Link, host: LinkHost): readonly [End | undefined, End] {
  if (link.ends[0].host === host) return [link.ends[0], link.ends[1]];
  if (link.ends[1].host === host) return [link.ends[1], link.ends[0]];
  return [undefined, link.ends[0]];
}
