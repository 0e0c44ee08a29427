import { connect, type Socket } from 'node:net';
import { readAddress } from '@shoal/swim';
import { FRAME_BYTES_MAX } from '../../node/link/lanes.ts';
import type { LinkPeer, Log } from '../../ports.ts';
import { LinkConnection, type LinkConnectionEvents } from './link-connection.ts';
import { type Hello, LINK_VERSION } from './link-frame.ts';
import type { LinkSecurity, SecuredCallback } from './link-security.ts';

/** What the links tell the node, from the event loop and never from within a call. */
export interface LinkEvents {
  onLinkUp(peer: string, bootEpoch: number): void;
  onLinkDown(peer: string): void;
  /** One frame; the bytes are the receiver's to keep. */
  onFrame(peer: string, frame: Uint8Array): void;
  /** A link that was up has ended, and the peer's host refuses connections: nothing listens there. */
  onNoListener(peer: string, bootEpoch: number): void;
}

/** Our identity, and who hears of the links. */
export interface PeerLinksInit {
  /** '' until founded or learned: no link comes up before. */
  readonly clusterId: () => string;
  readonly name: string;
  readonly bootEpoch: number;
  /** How links are encrypted; default not at all. */
  readonly security?: LinkSecurity | undefined;
  /** A connection was refused before it said who it is, or after. */
  readonly onRefused?: () => void;
  readonly node: LinkEvents;
  /** A link that was up ended and not by our doing: worth a probe, no evidence by itself. */
  readonly onReset: (peer: string) => void;
  readonly log: Log;
  /** Uniform in [0, 1), for the jitter of redials. */
  readonly random?: () => number;
  /** Bytes that may wait to be sent to one peer before its link is reset; default 64 MiB. */
  readonly pendingBytesMax?: number;
}

const REDIAL_MIN_MS = 50;
const REDIAL_MAX_MS = 1000;
/** Accepted connections that have not said HELLO; beyond it the oldest is closed. */
const HANDSHAKES_MAX = 256;
/** After the end of a link it is asked so often whether the peer still listens, with these pauses. */
const KNOCKS_MS = [10, 30, 100, 300];
const PENDING_BYTES_MAX = 64 * 1024 * 1024;

/** A connection that is up. */
interface Link {
  readonly connection: LinkConnection;
  readonly bootEpoch: number;
}

/** A peer that is listed, with its link or the way to one. */
interface Peer {
  listed: LinkPeer;
  link: Link | undefined;
  dialing: LinkConnection | undefined;
  redial: NodeJS.Timeout | undefined;
  backoffMs: number;
}

/**
 * The links of one node: one ordered, reliable connection to every listed peer, dialled by the one
 * whose name is smaller.
 *
 *     absent ──setPeers──► dialling ──HELLO──► up ──end, error, unlisted──► down, redial
 *                             └──── refused, timeout: again after 50 ms … 1 s ────┘
 *
 * A connection is up for the accepting side when it has the dialler's HELLO, for the dialler when it
 * has the answer. A newer connection of the same peer, or a newer boot epoch, replaces the old:
 * `onLinkDown` first, and nothing that the old one still delivers is seen. What was in flight when a link
 * ends is lost, and the core above sends it again.
 */
export class PeerLinks {
  readonly #init: PeerLinksInit;
  readonly #peers = new Map<string, Peer>();
  /** Accepted connections that have not said who they are. */
  readonly #handshakes = new Set<LinkConnection>();
  /** The last refusal logged: a peer that tries again every second is worth one line. */
  #lastRefusal = '';
  #closed = false;

  constructor(init: PeerLinksInit) {
    this.#init = init;
  }

  /** Sets the whole list. Ourselves in it are ignored; links of peers no longer in it are dropped. */
  setPeers(peers: readonly LinkPeer[]): void {
    if (this.#closed) return;
    const wanted = new Map(peers.map((peer) => [peer.name, peer]));
    wanted.delete(this.#init.name);
    for (const [name, peer] of this.#peers) {
      if (wanted.has(name)) continue;
      this.#peers.delete(name);
      this.#stopDialing(peer);
      this.#dropLater(peer, 'no longer a member');
    }
    for (const listed of wanted.values()) {
      const peer = this.#peers.get(listed.name);
      if (peer === undefined) {
        const added = newPeer(listed);
        this.#peers.set(listed.name, added);
        this.#dial(added);
      } else {
        this.#relist(peer, listed);
      }
    }
  }

  /**
   * Takes over a connection that a peer opened; `head` is what was already read of it. Closes it if
   * it is not the beginning of a link, or not of a listed peer.
   */
  accept(socket: Socket, head: Uint8Array): void {
    if (this.#closed) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const [oldest] = this.#handshakes;
    if (oldest !== undefined && this.#handshakes.size >= HANDSHAKES_MAX) {
      this.#handshakes.delete(oldest);
      oldest.destroy();
      this.#init.onRefused?.();
    }
    let accepted: Peer | undefined;
    const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
    const { security } = this.#init;
    const secure =
      security && ((of: Socket, done: SecuredCallback) => security.accept(of, bytes, done));
    const events: LinkConnectionEvents = {
      onHello: (hello) => {
        this.#handshakes.delete(connection);
        accepted = this.#greeted(connection, hello);
      },
      onFrame: (frame) => this.#init.node.onFrame(accepted!.listed.name, frame),
      onEnd: (reason) => {
        this.#handshakes.delete(connection);
        if (accepted !== undefined) this.#ended(accepted, reason);
        else this.#refused(reason);
      },
    };
    const connection: LinkConnection = new LinkConnection(socket, events, secure);
    this.#handshakes.add(connection);
    if (secure === undefined) queueMicrotask(() => connection.receive(bytes));
  }

  #refused(reason: string): void {
    this.#init.onRefused?.();
    this.#init.log('debug', 'link: refused before HELLO', { reason });
  }

  /**
   * Sends one frame to `peer`; drops it if there is no link. `frame` must not change afterwards. The
   * sender waits for credit (node/link/lanes.ts); should far more wait here nevertheless, or a frame be none,
   * the link is reset: the layer above sends again what is lost.
   *
   * @param frame 1 byte to 1 MiB
   */
  send(peer: string, frame: Uint8Array): void {
    const to = this.#peers.get(peer);
    if (to?.link === undefined) return;
    if (frame.length === 0 || frame.length > FRAME_BYTES_MAX) {
      this.#dropLater(to, `a frame of ${frame.length} bytes was to be sent`);
      this.#redialLater(to);
      return;
    }
    const { connection } = to.link;
    const pending = connection.pendingBytes;
    if (pending > 0 && pending + frame.length > (this.#init.pendingBytesMax ?? PENDING_BYTES_MAX)) {
      this.#dropLater(to, 'it takes data too slowly');
      this.#redialLater(to);
      return;
    }
    connection.sendFrame(frame);
  }

  /** Ends links that came up with a key that is no longer on the ring; they are dialled anew. */
  onKeyring(): void {
    for (const peer of this.#peers.values()) {
      if (peer.link === undefined || this.#init.security?.holds(peer.link.connection.keyId))
        continue;
      this.#dropLater(peer, 'its key was removed');
      this.#redialLater(peer);
    }
  }

  /** Whether there is a link, for inspection. */
  isUp(peer: string): boolean {
    return this.#peers.get(peer)?.link !== undefined;
  }

  /** Ends every connection. No callback follows. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#handshakes) connection.destroy();
    this.#handshakes.clear();
    for (const peer of this.#peers.values()) {
      this.#stopDialing(peer);
      peer.link?.connection.destroy();
    }
    this.#peers.clear();
  }

  #relist(peer: Peer, listed: LinkPeer): void {
    const old = peer.listed;
    peer.listed = listed;
    // The process that this link leads to is gone: its successor is already a member.
    if (peer.link !== undefined && peer.link.bootEpoch < listed.bootEpoch) {
      this.#dropLater(peer, 'the peer was started again');
    }
    const moved = old.address !== listed.address || old.bootEpoch < listed.bootEpoch;
    if (!moved || peer.link !== undefined) return;
    this.#stopDialing(peer);
    peer.backoffMs = REDIAL_MIN_MS;
    this.#dial(peer);
  }

  #dial(peer: Peer): void {
    const { name, address } = peer.listed;
    // One of each pair dials; the other waits.
    if (name < this.#init.name) return;
    const target = readAddress(address);
    if ('problem' in target || target.port === 0 || this.#init.clusterId() === '') {
      this.#redialLater(peer);
      return;
    }
    const { security } = this.#init;
    const secure = security && ((of: Socket, done: SecuredCallback) => security.dial(of, done));
    const events: LinkConnectionEvents = {
      onHello: (hello) => this.#answered(peer, connection, hello),
      onFrame: (frame) => this.#init.node.onFrame(name, frame),
      onEnd: (reason) => {
        if (peer.dialing !== connection) {
          this.#ended(peer, reason);
          return;
        }
        peer.dialing = undefined;
        this.#init.log('debug', 'link: no connection', { peer: name, address, reason });
        this.#redialLater(peer);
      },
    };
    const connection: LinkConnection = new LinkConnection(connect(target), events, secure);
    peer.dialing = connection;
    connection.sendHello(this.#hello());
  }

  #redialLater(peer: Peer): void {
    const { name } = peer.listed;
    if (this.#peers.get(name) !== peer || name < this.#init.name) return;
    if (peer.redial !== undefined) return;
    const random = this.#init.random ?? Math.random;
    const redial = (): void => {
      peer.redial = undefined;
      this.#dial(peer);
    };
    peer.redial = setTimeout(redial, peer.backoffMs * (0.5 + random() / 2));
    peer.backoffMs = Math.min(REDIAL_MAX_MS, peer.backoffMs * 2);
  }

  #stopDialing(peer: Peer): void {
    clearTimeout(peer.redial);
    peer.redial = undefined;
    peer.dialing?.destroy();
    peer.dialing = undefined;
  }

  /** An accepted connection said who it is. Returns whose link it now is, if it is taken. */
  #greeted(connection: LinkConnection, hello: Hello): Peer | undefined {
    const foreign = this.#foreign(hello);
    const peer = this.#peers.get(hello.name);
    const refusal = foreign ?? this.#refusal(peer, hello);
    if (refusal !== undefined || peer === undefined) {
      this.#logRefusal(hello, refusal ?? 'not a member');
      this.#init.onRefused?.();
      if (foreign === undefined) {
        connection.destroy();
      } else {
        // Our HELLO tells the dialler, which will refuse it for the same reason.
        connection.sendHello(this.#hello());
        connection.end();
      }
      return undefined;
    }
    // Of the same boot epoch, too: only the dialler can know that its last connection is gone.
    this.#drop(peer, 'replaced by a newer connection');
    if (this.#peers.get(hello.name) !== peer) {
      connection.destroy();
      return undefined;
    }
    connection.sendHello(this.#hello());
    this.#up(peer, connection, hello);
    return peer;
  }

  /** Why a dialler of our own cluster is refused nevertheless. */
  #refusal(peer: Peer | undefined, hello: Hello): string | undefined {
    if (hello.name >= this.#init.name) return 'the smaller name dials';
    if (peer === undefined) return 'not a member';
    const newest = Math.max(peer.listed.bootEpoch, peer.link?.bootEpoch ?? 0);
    return hello.bootEpoch < newest ? 'an earlier life of the peer' : undefined;
  }

  /** The peer that we dialled answered. */
  #answered(peer: Peer, connection: LinkConnection, hello: Hello): void {
    const { name, bootEpoch, address } = peer.listed;
    let refusal = this.#foreign(hello);
    if (hello.name !== name) refusal ??= `another node is at ${address}`;
    if (hello.bootEpoch < bootEpoch) refusal ??= 'an earlier life of the peer';
    peer.dialing = undefined;
    if (refusal === undefined) {
      this.#up(peer, connection, hello);
      return;
    }
    this.#logRefusal(hello, refusal);
    connection.destroy();
    this.#redialLater(peer);
  }

  #up(peer: Peer, connection: LinkConnection, hello: Hello): void {
    peer.link = { connection, bootEpoch: hello.bootEpoch };
    peer.backoffMs = REDIAL_MIN_MS;
    this.#init.node.onLinkUp(hello.name, hello.bootEpoch);
  }

  /** The link of `peer` ended by itself. */
  #ended(peer: Peer, reason: string): void {
    const bootEpoch = peer.link?.bootEpoch;
    this.#drop(peer, reason);
    this.#redialLater(peer);
    this.#init.onReset(peer.listed.name);
    if (bootEpoch !== undefined) this.#knock(peer, bootEpoch, 0);
  }

  /**
   * Asks the host of a peer whose link has ended whether anything still listens there. A process that dies
   * may close its links before its listener: asked again a few times.
   */
  #knock(peer: Peer, bootEpoch: number, at: number): void {
    const target = readAddress(peer.listed.address);
    if ('problem' in target || target.port === 0) return;
    const current = () => !this.#closed && this.#peers.get(peer.listed.name) === peer && !peer.link;
    const socket = connect(target);
    const again = setTimeout(() => {
      socket.destroy();
      if (at + 1 < KNOCKS_MS.length && current()) this.#knock(peer, bootEpoch, at + 1);
    }, KNOCKS_MS[at]);
    again.unref();
    socket.on('connect', () => socket.destroy());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNREFUSED') return;
      clearTimeout(again);
      if (current()) this.#init.node.onNoListener(peer.listed.name, bootEpoch);
    });
  }

  /** Drops from within an event. */
  #drop(peer: Peer, reason: string): void {
    if (this.#detach(peer, reason)) this.#init.node.onLinkDown(peer.listed.name);
  }

  /** Ends the link to a peer; it is dialled anew. */
  reset(name: string, reason: string): void {
    const peer = this.#peers.get(name);
    if (this.#closed || peer === undefined) return;
    this.#dropLater(peer, reason);
    this.#redialLater(peer);
  }

  /** Drops from within a call, so that the caller is not called back before it returns. */
  #dropLater(peer: Peer, reason: string): void {
    if (!this.#detach(peer, reason)) return;
    queueMicrotask(() => {
      if (!this.#closed) this.#init.node.onLinkDown(peer.listed.name);
    });
  }

  #detach(peer: Peer, reason: string): boolean {
    if (peer.link === undefined) return false;
    peer.link.connection.destroy();
    peer.link = undefined;
    this.#init.log('info', 'link: down', { peer: peer.listed.name, reason });
    return true;
  }

  #hello(): Hello {
    const { name, bootEpoch } = this.#init;
    return { version: LINK_VERSION, clusterId: this.#init.clusterId(), name, bootEpoch };
  }

  /** Why no link with this peer is possible at all. */
  #foreign(hello: Hello): string | undefined {
    if (hello.version !== LINK_VERSION) {
      return `BROKER_ERR_PEER_INCOMPATIBLE: link version ${hello.version}, ours is ${LINK_VERSION}`;
    }
    const clusterId = this.#init.clusterId();
    if (clusterId === '' || hello.clusterId !== clusterId) {
      return 'BROKER_ERR_JOIN_OTHER_CLUSTER: it belongs to another cluster, or to none yet';
    }
    return undefined;
  }

  #logRefusal(hello: Hello, reason: string): void {
    const refusal = `${hello.name} ${reason}`;
    if (refusal === this.#lastRefusal) return;
    this.#lastRefusal = refusal;
    this.#init.log('warn', 'link: refused', { peer: hello.name, reason });
  }
}

function newPeer(listed: LinkPeer): Peer {
  return {
    listed,
    link: undefined,
    dialing: undefined,
    redial: undefined,
    backoffMs: REDIAL_MIN_MS,
  };
}
