/**
 * Links by way of a third node, for two members that do not reach each other while others reach both.
 *
 * ```
 *   dialler ── hello ─▶ relay ── hello ─▶ accepter        the smaller name dials, as with connections
 *   dialler ◀─ welcome ─ relay ◀─ welcome ─ accepter      up at the accepter when it says so, then here
 *           ◀── frames, each in the lane it is of ──▶
 *           ◀── down, from the one that has no such link ──
 * ```
 * What is relayed is frames: the two have lanes, credit and order of their own, and know of no difference.
 * The link ends with either half of its way, after silence, or when a connection comes up.
 */
import type { Writer } from '../../bytes.ts';
import type { NodeEnv } from '../../ports.ts';
import { Lane } from './lanes.ts';
import { LinkMessage } from './link-message.ts';
import type { Peer } from './peers.ts';
import type { Relayed } from './relayed.ts';

/** How long two members have no link before they ask for one by way of another. */
const RELAY_AFTER_MS = 1000;
/** Between two requests for such a link, each to another node. */
const ASK_EVERY_MS = 300;
/** A link on which nothing came for so long, to a member that others reach, is given up. */
const SILENT_MS = 2000;
/** When a node that hangs is suspected already. */
const SUSPECTED_MS = 1500;
/** For so much of the time after that the member was found alive: one that has just woken is heard again soon. */
const ALIVE_MS = 500;
/** What one tick counts at the most: a node that has just woken itself has read nothing yet. */
const LOOK_MS = 100;

export interface RelaysPort {
  readonly name: string;
  readonly peers: {
    readonly byName: ReadonlyMap<string, Peer>;
    get(name: string): Peer | undefined;
    to(name: string, lane: Lane): Writer | null;
  };
  nowMs(): number;
  log: NodeEnv['log'];
  onUp(name: string, bootEpoch: number): void;
  onDown(name: string): void;
  onFrame(name: string, frame: Uint8Array): void;
  /** Ends the connection of a link. */
  reset(name: string, why: string): void;
}

/** A link by way of another node, at one of its ends. */
interface RelayedLink {
  readonly via: string;
  /** The process at the other end. */
  readonly bootEpoch: number;
}

export class Relays {
  readonly #port: RelaysPort;
  readonly #links = new Map<string, RelayedLink>();
  /** When a member was found to have no link, and when a link was last asked for. */
  readonly #lacking = new Map<string, { sinceMs: number; askedMs: number; turn: number }>();

  /** Links on which nothing comes: since when, and for how long of it the member was found alive. */
  readonly #mute = new Map<string, { heardMs: number; aliveMs: number }>();
  #lookedMs = Number.POSITIVE_INFINITY;

  constructor(port: RelaysPort) {
    this.#port = port;
  }

  has(peer: string): boolean {
    return this.#links.has(peer);
  }

  /** Takes a frame for a peer whose link leads over another node. @returns false if it has none such */
  send(peer: string, frame: Uint8Array): boolean {
    const link = this.#links.get(peer);
    if (!link) return false;
    this.#write(link.via, laneOf(frame), { type: 'frame', name: peer, final: false, frame });
    return true;
  }

  tick(nowMs: number): void {
    const stepMs = Math.max(0, Math.min(LOOK_MS, nowMs - this.#lookedMs));
    this.#lookedMs = nowMs;
    for (const peer of this.#port.peers.byName.values()) {
      const { name, member, up } = peer;
      const { state } = member;
      // A member that some nodes do not reach is suspected again and again, and heard of in between.
      const isPresent = state === 'alive' || state === 'suspect';
      if (up && state === 'alive' && this.#isMute(peer, nowMs, stepMs)) this.#giveUp(name);
      else if (up || !isPresent) this.#lacking.delete(name);
      else if (this.#port.name < name) this.#ask(peer, nowMs);
    }
    for (const lists of [this.#lacking, this.#mute])
      for (const name of lists.keys()) if (!this.#port.peers.get(name)) lists.delete(name);
  }

  /** Nothing comes by a link to a member that others reach. */
  #isMute({ name, heardMs }: Peer, nowMs: number, stepMs: number): boolean {
    const mute = this.#mute.get(name);
    if (mute?.heardMs !== heardMs) {
      this.#mute.set(name, { heardMs, aliveMs: 0 });
      return false;
    }
    const silentMs = nowMs - heardMs;
    if (silentMs > SUSPECTED_MS) mute.aliveMs += stepMs;
    return silentMs > SILENT_MS && mute.aliveMs >= ALIVE_MS;
  }

  #giveUp(name: string): void {
    if (this.#links.has(name)) this.#end(name, true);
    else this.#port.reset(name, 'nothing comes by it, though others reach the peer');
  }

  #ask({ name, member: { bootEpoch }, heardMs }: Peer, nowMs: number): void {
    const lack = this.#lacking.get(name) ?? { sinceMs: nowMs, askedMs: 0, turn: 0 };
    this.#lacking.set(name, lack);
    // A link that was silent before it ended, at either end, has been waited for already.
    const heard = Number.isFinite(heardMs) ? heardMs : nowMs;
    const sinceMs = Math.min(heard, lack.sinceMs);
    if (nowMs - sinceMs < RELAY_AFTER_MS || nowMs - lack.askedMs < ASK_EVERY_MS) return;
    const others = this.#direct();
    if (others.length === 0) return;
    lack.askedMs = nowMs;
    const via = others[lack.turn++ % others.length]!;
    this.#write(via, Lane.Urgent, { type: 'hello', name, final: false, bootEpoch });
  }

  /** Peers whose link is a connection. */
  #direct(): string[] {
    const names: string[] = [];
    for (const { name, up } of this.#port.peers.byName.values())
      if (up && !this.#links.has(name)) names.push(name);
    return names;
  }

  #isDirect(name: string): boolean {
    return this.#port.peers.get(name)?.up === true && !this.#links.has(name);
  }

  #write(to: string, lane: Lane, message: Relayed): void {
    const w = this.#port.peers.to(to, lane);
    if (w) LinkMessage.Relay.write(w, message);
  }

  /** A connection to the peer is up: the way over another node is not needed any more. */
  onConnected(name: string): void {
    this.#lacking.delete(name);
    if (this.#links.has(name)) this.#end(name, true);
  }

  /** A connection is gone, and with it all that led over it. */
  onDisconnected(name: string): void {
    for (const [peer, { via }] of this.#links) if (via === name) this.#end(peer, false);
  }

  /** @param told whether the other end hears of it */
  #end(name: string, told: boolean): void {
    const link = this.#links.get(name);
    if (!link) return;
    this.#links.delete(name);
    this.#port.log('info', 'link by way of another node has ended', { peer: name, via: link.via });
    if (told) this.#write(link.via, Lane.Urgent, { type: 'down', name, final: false });
    this.#port.onDown(name);
  }

  // ---- what comes ------------------------------------------------------------------------------

  onRelayed(from: Peer, m: Relayed): void {
    if (m.final) this.#arrived(from.name, m);
    else this.#pass(from, m);
  }

  /** Between the two: a message of `from` goes on to the peer that it names. */
  #pass(from: Peer, m: Relayed): void {
    if (!this.#isDirect(m.name) || !this.#isDirect(from.name)) {
      if (m.type === 'frame')
        this.#write(from.name, Lane.Urgent, { type: 'down', name: m.name, final: true });
      return;
    }
    // HELLO and WELCOME say which process they are of; the one asked for must be the one that is linked.
    if (m.type === 'hello' || m.type === 'welcome') {
      if (this.#port.peers.get(m.name)?.bootEpoch !== m.bootEpoch) return;
      const { bootEpoch } = from;
      return this.#write(m.name, Lane.Urgent, { ...m, name: from.name, final: true, bootEpoch });
    }
    const lane = m.type === 'frame' ? laneOf(m.frame) : Lane.Urgent;
    this.#write(m.name, lane, { ...m, name: from.name, final: true });
  }

  /** At an end of the link. */
  #arrived(via: string, m: Relayed): void {
    const { name } = m;
    const link = this.#links.get(name);
    switch (m.type) {
      case 'hello':
        return this.#accept(via, name, m.bootEpoch);
      case 'welcome': {
        const peer = this.#port.peers.get(name);
        if (!peer || peer.up || peer.member.bootEpoch !== m.bootEpoch) {
          // A connection was faster, or another node.
          if (link?.via !== via)
            this.#write(via, Lane.Urgent, { type: 'down', name, final: false });
          return;
        }
        return this.#up(via, name, m.bootEpoch);
      }
      case 'frame':
        if (link?.via === via) this.#port.onFrame(name, m.frame);
        else this.#write(via, Lane.Urgent, { type: 'down', name, final: false });
        return;
      case 'down':
        if (link?.via === via) this.#end(name, false);
        return;
    }
  }

  #accept(via: string, name: string, bootEpoch: number): void {
    const peer = this.#port.peers.get(name);
    if (peer?.member.bootEpoch !== bootEpoch || name >= this.#port.name) return;
    if (this.#isDirect(name)) {
      // The dialler has no connection any more: this end of it is to find out.
      if (this.#port.nowMs() - peer.heardMs > RELAY_AFTER_MS)
        this.#port.reset(name, 'the peer has lost it');
      return;
    }
    // The dialler begins anew: what it said before is lost.
    this.#end(name, false);
    this.#write(via, Lane.Urgent, { type: 'welcome', name, final: false, bootEpoch });
    this.#up(via, name, bootEpoch);
  }

  #up(via: string, name: string, bootEpoch: number): void {
    this.#lacking.delete(name);
    this.#links.set(name, { via, bootEpoch });
    this.#port.log('info', 'linked by way of another node', { peer: name, via });
    this.#port.onUp(name, bootEpoch);
  }
}

function laneOf(frame: Uint8Array): Lane {
  return ((frame[0] ?? 0) & 3) as Lane;
}
