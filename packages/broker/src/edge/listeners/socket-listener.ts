import { type Server, Socket } from 'node:net';
import { boundAddress, KEEP_ALIVE_SECONDS, listen, type Place } from './bind.ts';
import type { StreamKind } from './byte-stream.ts';
import type { ExcessCounters, Listener, ListenerOptions } from './listener.ts';
import { type Layer, type Opened, type Opening, Openings } from './openings.ts';
import { CLOSE_SECONDS_MAX, type Peer, StreamConnection } from './stream-connection.ts';
import { TurnFlush } from './turn-flush.ts';

export interface SocketListenerOptions extends ListenerOptions {
  /** Named in errors. */
  readonly name?: string;
  readonly place: Place;
  /** Clock for `onSecond`, monotonic; default performance.now(). */
  readonly nowMs?: () => number;
  /** Patience with a peer that does not close its side; default 5. */
  readonly closeSecondsMax?: number;
  /** False: 'data' events instead of one read buffer, as if Node.js did not offer it. */
  readonly sharedReadBuffer?: boolean;
  /** What a socket passes before it is a connection, in order; none for plain TCP. */
  readonly layers?: readonly Layer[];
  /** The last step, where MQTT is not spoken on the socket itself. */
  readonly finish?: (opening: Opening, done: (opened: Opened) => void) => void;
  readonly kind?: StreamKind;
  readonly onReload?: () => Promise<void>;
  readonly onClose?: () => void;
}

/** One read buffer for all connections of a process: `onData` consumes it before the next read. */
const READ_BYTES = 65_536;
let readBuffer: Buffer | undefined;

/** What a raw connection of libuv offers. */
interface AcceptedHandle {
  setNoDelay?(on: boolean): void;
  setKeepAlive?(on: boolean, initialDelaySeconds: number): void;
}

/** Connections of a node beyond its bounds that are held until their CONNECT is refused. */
const EXCESS_MAX = 64;

/** `onSecond` is called for one slot of connections each time, so that its work is spread. */
const WHEEL_SLOTS = 20;
const WHEEL_TICK_MS = 1000 / WHEEL_SLOTS;

/** A socket that knows its connection, so that the event handlers below serve all of them. */
type OwnedSocket = Socket & { [connectionOf]: StreamConnection };
const connectionOf = Symbol('connection');

/** The constructor takes a handle too: that is how net.Server makes its sockets. */
const AdoptingSocket = Socket as unknown as new (options: object) => Socket;

function onRead(this: OwnedSocket, bytes: number, buffer: Uint8Array): boolean {
  this[connectionOf].onData(buffer, bytes);
  return true;
}

function onDataEvent(this: OwnedSocket, chunk: Buffer): void {
  this[connectionOf].onData(chunk, chunk.length);
}

function onEndEvent(this: OwnedSocket): void {
  this[connectionOf].onEnd();
}

/** A reset is an end like any other; 'close' follows and does the work. */
function onErrorEvent(): void {}

/**
 * Accepts MQTT clients on a TCP port or a unix socket, and sees them through the layers of its transport.
 *
 *     kernel → one 64 KiB read buffer → ClientHandler.onData
 *     ClientSocket.write → chunks of the connection → one write per turn → kernel
 *
 * net.Server cannot give its sockets a common read buffer, and its 'data' events allocate one per
 * read (half as much CPU again per packet; bench/micro/mqtt-listener.ts). So the server's
 * handle is asked for raw connections, which become net.Sockets with `onread`. That step uses
 * `_handle.onconnection`, which Node.js does not document: where it is missing, 'data' events it is.
 */
export class SocketListener implements Listener {
  readonly #options: SocketListenerOptions;
  readonly #server: Server;
  readonly #turn: TurnFlush;
  readonly #wheel: StreamConnection[][] = Array.from({ length: WHEEL_SLOTS }, () => []);
  /** Absent while there is no connection. */
  #timer: NodeJS.Timeout | undefined;
  #nextSlot = 0;
  #tickSlot = 0;
  /** All that are held, those in excess too. */
  #connections = 0;
  #excess = 0;
  readonly #excessOfNode: ExcessCounters;
  #saidFull = false;
  #acceptErrors = 0;
  #isOpen: boolean;
  #closed: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  readonly #openings: Openings;
  /** Nothing stands between a socket and its connection. */
  readonly #isDirect: boolean;
  /** By 'data' events. */
  readonly #reads: boolean;
  readonly #peer: Peer | undefined = undefined;

  /** HOST:PORT as bound, or the path of a unix socket. */
  readonly address: string;

  private constructor(options: SocketListenerOptions, server: Server) {
    this.#options = options;
    this.#server = server;
    this.#isOpen = options.isOpen ?? true;
    const { closeSecondsMax = CLOSE_SECONDS_MAX, onPending, kind, place, rules } = options;
    this.#turn = new TurnFlush(closeSecondsMax, onPending, kind, rules);
    this.address = boundAddress(server, place);
    if ('path' in place) this.#peer = { remote: `unix:${place.path}` };
    const { name = this.address, log, opening } = options;
    this.#excessOfNode = options.excess ?? { connectionsExcess: 0, connectionsOverLimit: 0 };
    this.#openings = new Openings(name, log, (opened) => this.#gone(opened), opening);
    this.#isDirect = (options.layers ?? []).length === 0 && options.finish === undefined;
    server.on('error', (error) => this.#onAcceptError(error));
    // What is read before MQTT begins is read by others, not into the common buffer.
    this.#reads = !this.#isDirect || options.sharedReadBuffer === false || !this.#adoptHandles();
    if (this.#reads) server.on('connection', (socket) => this.#welcome(socket));
  }

  /**
   * Listens and accepts.
   *
   * @throws BrokerError BROKER_ERR_ADDRESS_IN_USE, or BROKER_ERR_ADDRESS_UNUSABLE, with its cause
   */
  static async start(options: SocketListenerOptions): Promise<SocketListener> {
    return new SocketListener(options, await listen(options.place, options.name));
  }

  get count(): number {
    return this.#connections - this.#excess;
  }

  flush(): void {
    this.#turn.flush();
  }

  open(): void {
    this.#isOpen = true;
  }

  async reload(): Promise<void> {
    await this.#options.onReload?.();
  }

  /** Accepts no further connection and leaves the others as they are. */
  stopAccepting(): void {
    if (this.#server.listening) this.#server.close();
  }

  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = Promise.withResolvers<void>();
      this.stopAccepting();
      this.#options.onClose?.();
      this.#openings.close();
      for (const slot of this.#wheel) for (const connection of slot) connection.close(true);
      this.#finishIfEmpty();
    }
    return this.#closed.promise;
  }

  #finishIfEmpty(): void {
    if (this.#closed === undefined || this.#connections > 0) return;
    this.#closed.resolve();
  }

  /** Takes raw connections from the server's handle. @returns false if Node.js has changed */
  #adoptHandles(): boolean {
    const handle = (this.#server as unknown as { _handle?: { onconnection?: unknown } })._handle;
    if (typeof handle?.onconnection !== 'function') return false;
    readBuffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
    const onread = { buffer: readBuffer, callback: onRead };
    handle.onconnection = (error: number, accepted: AcceptedHandle): void => {
      if (error) {
        this.#onAcceptError(new Error(`accept: ${error}`));
        return;
      }
      // A unix socket has neither.
      accepted.setNoDelay?.(true);
      accepted.setKeepAlive?.(true, KEEP_ALIVE_SECONDS);
      this.#welcome(new AdoptingSocket({ handle: accepted, allowHalfOpen: true, onread }));
    };
    return true;
  }

  #welcome(socket: Socket): void {
    if (!this.#isOpen) {
      socket.on('error', onErrorEvent);
      socket.destroy();
      return;
    }
    const isExcess = this.#isFull();
    if (this.#closed !== undefined || (isExcess && !this.#holdsExcess())) {
      socket.on('error', onErrorEvent);
      socket.destroy();
      return;
    }
    this.#connections++;
    this.#timer ??= setInterval(() => this.#tick(), WHEEL_TICK_MS);
    socket.on('error', onErrorEvent);
    if (this.#isDirect) {
      const peer = isExcess ? { ...this.#peer, isExcess } : this.#peer;
      this.#attach(socket, this.#begin(new StreamConnection(socket, this.#turn, peer)));
      return;
    }
    const opening = this.#openings.begin(socket, isExcess, this.#nowMs());
    if (opening === null) {
      socket.destroy();
      this.#gone({ isExcess });
    } else {
      this.#pass(opening, 0);
    }
  }

  #isFull(): boolean {
    const { maxConnections, ownConnectionsMax = maxConnections, othersCount } = this.#options;
    return this.count + (othersCount?.() ?? 0) >= maxConnections || this.count >= ownConnectionsMax;
  }

  /** @returns false if one more connection without room is not to be held */
  #holdsExcess(): boolean {
    const excess = this.#excessOfNode;
    excess.connectionsOverLimit++;
    if (!this.#saidFull) {
      this.#saidFull = true;
      const text = 'connection limit reached: refusing connections';
      const { maxConnections, ownConnectionsMax = maxConnections, name } = this.#options;
      const fields = { maxConnections: ownConnectionsMax, ofNode: maxConnections };
      this.#options.log('warn', text, { listener: name ?? this.address, ...fields });
    }
    if (excess.connectionsExcess >= EXCESS_MAX) return false;
    excess.connectionsExcess++;
    this.#excess++;
    return true;
  }

  /** Through the layers from `next` on, and then it is a connection. */
  #pass(opening: Opening, next: number): void {
    const { layers = [], finish } = this.#options;
    const layer = layers[next];
    if (layer !== undefined) return layer(opening, (on) => this.#pass(on, next + 1));
    if (finish !== undefined) return finish(opening, (opened) => this.#opened(opening, opened));
    const { socket } = opening;
    this.#opened(opening, {
      stream: socket,
      attach: (connection) => this.#attach(socket, connection),
    });
  }

  #opened(opening: Opening, { stream, attach }: Opened): void {
    if (!this.#openings.done(opening)) {
      stream.destroy();
      return;
    }
    const { remote = this.#peer?.remote, certificate, isExcess } = opening;
    const peer = { remote, certificate, isExcess };
    const connection = new StreamConnection(stream, this.#turn, peer);
    attach(this.#begin(connection), () => this.#ended(connection));
  }

  #attach(socket: Socket, connection: StreamConnection): void {
    (socket as OwnedSocket)[connectionOf] = connection;
    socket.on('end', onEndEvent);
    socket.on('close', this.#onCloseEvent);
    if (this.#reads) socket.on('data', onDataEvent);
  }

  #begin(connection: StreamConnection): StreamConnection {
    connection.slot = this.#nextSlot;
    this.#nextSlot = (this.#nextSlot + 1) % WHEEL_SLOTS;
    const slot = this.#wheel[connection.slot]!;
    connection.index = slot.length;
    slot.push(connection);
    connection.handler = this.#options.onConnection(connection);
    return connection;
  }

  /** One function for all sockets; Node.js calls it with the socket as `this`. */
  readonly #onCloseEvent = ((listener: SocketListener) =>
    function (this: Socket): void {
      listener.#ended((this as OwnedSocket)[connectionOf]);
    })(this);

  #ended(connection: StreamConnection): void {
    this.#forget(connection);
    connection.onClose();
    this.#gone(connection);
  }

  #gone({ isExcess }: { readonly isExcess: boolean }): void {
    this.#connections--;
    if (isExcess) {
      this.#excess--;
      this.#excessOfNode.connectionsExcess--;
    }
    if (this.#connections === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    this.#finishIfEmpty();
  }

  #forget(connection: StreamConnection): void {
    const slot = this.#wheel[connection.slot]!;
    const last = slot.pop()!;
    if (last !== connection) {
      slot[connection.index] = last;
      last.index = connection.index;
    }
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? performance.now();
  }

  #tick(): void {
    const slot = this.#wheel[this.#tickSlot]!;
    this.#tickSlot = (this.#tickSlot + 1) % WHEEL_SLOTS;
    const opening = this.#openings.count > 0;
    if (slot.length === 0 && !opening) return;
    const nowMs = this.#nowMs();
    if (opening) this.#openings.tick(nowMs);
    for (const connection of slot) connection.onSecond(nowMs);
  }

  /** Out of file descriptors, most likely: the kernel keeps the client queued, we go on. */
  #onAcceptError(error: Error): void {
    this.#acceptErrors++;
    if (Number.isInteger(Math.log2(this.#acceptErrors))) {
      const fields = { error: error.message, times: this.#acceptErrors };
      this.#options.log('error', 'accepting a connection failed', fields);
    }
  }
}
