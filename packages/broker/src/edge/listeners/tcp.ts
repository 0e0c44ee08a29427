import { createServer, type Server, Socket } from 'node:net';
import { formatAddress } from '@shoal/swim';
import { BrokerError } from '../../errors.ts';
import type { Listener, ListenerOptions } from './listener.ts';
import { CLOSE_SECONDS_MAX, TcpConnection, TurnFlush } from './tcp-connection.ts';

export interface TcpListenerOptions extends ListenerOptions {
  /** Named in errors. */
  readonly name?: string;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Clock for `onSecond`, monotonic; default performance.now(). */
  readonly nowMs?: () => number;
  /** Patience with a peer that does not close its side; default 5. */
  readonly closeSecondsMax?: number;
  /** Several processes share the port. */
  readonly reusePort?: boolean;
  /** False: 'data' events instead of one read buffer, as if Node.js did not offer it. */
  readonly sharedReadBuffer?: boolean;
}

/** One read buffer for all connections of a process: `onData` consumes it before the next read. */
const READ_BYTES = 65_536;
let readBuffer: Buffer | undefined;

/** A peer that is gone without a word is found by the kernel, also where a client asked for no Keep Alive. */
const KEEP_ALIVE_SECONDS = 60;

/** What a raw connection of libuv offers. */
interface AcceptedHandle {
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean, initialDelaySeconds: number): void;
}

/** `onSecond` is called for one slot of connections each time, so that its work is spread. */
const WHEEL_SLOTS = 20;
const WHEEL_TICK_MS = 1000 / WHEEL_SLOTS;

/** A socket that knows its connection, so that the event handlers below serve all of them. */
type OwnedSocket = Socket & { [connectionOf]: TcpConnection };
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
 * Accepts MQTT clients over TCP.
 *
 *     kernel → one 64 KiB read buffer → ClientHandler.onData
 *     ClientSocket.write → chunks of the connection → one write per turn → kernel
 *
 * net.Server cannot give its sockets a common read buffer, and its 'data' events allocate one per
 * read (half as much CPU again per packet; bench/micro/mqtt-listener.ts). So the server's
 * handle is asked for raw connections, which become net.Sockets with `onread`. That step uses
 * `_handle.onconnection`, which Node.js does not document: where it is missing, 'data' events it is.
 */
export class TcpListener implements Listener {
  readonly #options: TcpListenerOptions;
  readonly #server: Server;
  readonly #turn: TurnFlush;
  readonly #wheel: TcpConnection[][] = Array.from({ length: WHEEL_SLOTS }, () => []);
  readonly #timer: NodeJS.Timeout;
  #nextSlot = 0;
  #tickSlot = 0;
  #connections = 0;
  #refused = 0;
  #acceptErrors = 0;
  #isOpen: boolean;
  #closed: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** HOST:PORT as bound. */
  readonly address: string;

  private constructor(options: TcpListenerOptions, server: Server) {
    this.#options = options;
    this.#server = server;
    this.#isOpen = options.isOpen ?? true;
    this.#turn = new TurnFlush(options.closeSecondsMax ?? CLOSE_SECONDS_MAX, options.onPending);
    const bound = server.address();
    const port = bound !== null && typeof bound === 'object' ? bound.port : options.port;
    this.address = formatAddress(options.host, port);
    server.on('error', (error) => this.#onAcceptError(error));
    if (options.sharedReadBuffer === false || !this.#adoptHandles()) {
      server.on('connection', (socket) => {
        this.#welcome(socket);
        socket.on('data', onDataEvent);
      });
    }
    this.#timer = setInterval(() => this.#tick(), WHEEL_TICK_MS);
  }

  /**
   * Listens and accepts.
   *
   * @throws BrokerError BROKER_ERR_ADDRESS_IN_USE, or BROKER_ERR_ADDRESS_UNUSABLE, with its cause
   */
  static start(options: TcpListenerOptions): Promise<TcpListener> {
    const server = createServer({
      noDelay: true,
      allowHalfOpen: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_SECONDS * 1000,
    });
    const { name, host, port } = options;
    const shown = `${name === undefined ? '' : `listener ${name}: `}${formatAddress(host, port)}`;
    return new Promise((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        const code =
          cause.code === 'EADDRINUSE' ? 'BROKER_ERR_ADDRESS_IN_USE' : 'BROKER_ERR_ADDRESS_UNUSABLE';
        reject(new BrokerError(code, shown, { cause }));
      });
      server.listen({ host, port, backlog: 4096, reusePort: options.reusePort ?? false }, () => {
        server.removeAllListeners('error');
        resolve(new TcpListener(options, server));
      });
    });
  }

  get count(): number {
    return this.#connections;
  }

  /** Connections turned away because of `maxConnections`, since the start. */
  get refusedCount(): number {
    return this.#refused;
  }

  flush(): void {
    this.#turn.flush();
  }

  open(): void {
    this.#isOpen = true;
  }

  /** Accepts no further connection and leaves the others as they are. */
  stopAccepting(): void {
    if (this.#server.listening) this.#server.close();
  }

  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = Promise.withResolvers<void>();
      this.stopAccepting();
      for (const slot of this.#wheel) for (const connection of slot) connection.close(true);
      this.#finishIfEmpty();
    }
    return this.#closed.promise;
  }

  #finishIfEmpty(): void {
    if (this.#closed === undefined || this.#connections > 0) return;
    clearInterval(this.#timer);
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
      accepted.setNoDelay(true);
      accepted.setKeepAlive(true, KEEP_ALIVE_SECONDS);
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
    const { maxConnections, othersCount } = this.#options;
    const held = this.#connections + (othersCount?.() ?? 0);
    if (held >= maxConnections || this.#closed !== undefined) {
      this.#refused++;
      if (this.#refused === 1)
        this.#options.log('warn', 'connection limit reached: refusing connections');
      socket.on('error', onErrorEvent);
      socket.destroy();
      return;
    }
    const connection = new TcpConnection(socket, this.#turn);
    const owned = socket as OwnedSocket;
    owned[connectionOf] = connection;
    socket.on('error', onErrorEvent);
    socket.on('end', onEndEvent);
    socket.on('close', this.#onCloseEvent);
    connection.slot = this.#nextSlot;
    this.#nextSlot = (this.#nextSlot + 1) % WHEEL_SLOTS;
    const slot = this.#wheel[connection.slot]!;
    connection.index = slot.length;
    slot.push(connection);
    this.#connections++;
    connection.handler = this.#options.onConnection(connection);
  }

  /** One function for all sockets; Node.js calls it with the socket as `this`. */
  readonly #onCloseEvent = ((listener: TcpListener) =>
    function (this: Socket): void {
      const connection = (this as OwnedSocket)[connectionOf];
      listener.#forget(connection);
      connection.onClose();
      listener.#finishIfEmpty();
    })(this);

  #forget(connection: TcpConnection): void {
    const slot = this.#wheel[connection.slot]!;
    const last = slot.pop()!;
    if (last !== connection) {
      slot[connection.index] = last;
      last.index = connection.index;
    }
    this.#connections--;
  }

  #tick(): void {
    const slot = this.#wheel[this.#tickSlot]!;
    this.#tickSlot = (this.#tickSlot + 1) % WHEEL_SLOTS;
    if (slot.length === 0) return;
    const nowMs = this.#options.nowMs?.() ?? performance.now();
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
