import { connect, createServer, type Server, type Socket } from 'node:net';
import { formatAddress, parseAddress } from '../address.ts';
import { SWIM_MAGIC } from '../core/message.ts';
import { deferred } from '../deferred.ts';
import type { NoAnswer, RequestDone } from '../transport.ts';
import { surface } from './callbacks.ts';
import { type Admission, ByteBudget, readFrame, writeFrame } from './frame.ts';
import type { Resolver } from './resolver.ts';
import { systemClock } from './system.ts';

/** Streams that came in and connections not yet known at once; beyond, the oldest is closed. */
const SOCKETS_MAX = 1_024;
/** Requests being read hold together at most this many times `streamBytesMax`. */
const UNREAD_STREAMS_MAX = 8;

/** What happens on the TCP port. */
export interface TcpHandlers {
  /** One request; `reply(null)` closes the stream without an answer. */
  onRequest(from: string, bytes: Uint8Array, reply: (bytes: Uint8Array | null) => void): void;
  /**
   * A connection that does not speak SWIM, with the bytes read so far; paused, and the receiver's
   * to keep. Listeners, `error` above all, must be attached before returning.
   */
  onForeign(socket: Socket, head: Buffer): void;
}

/** As TransportOptions has it; the judgement may take a while. */
export interface RequestHead {
  readonly bytes: number;
  admit(head: Uint8Array, from: string): Admission;
}

/** What requests of ours need. */
export interface TcpClientOptions {
  readonly resolver: Resolver;
  readonly streamBytesMax: number;
}

export interface TcpOptions extends TcpClientOptions {
  readonly ip: string;
  readonly port: number;
  readonly streamTimeoutMs: number;
  readonly requestHead?: RequestHead | undefined;
  /** Default {@link SOCKETS_MAX}. */
  readonly socketsMax?: number;
  readonly handlers: TcpHandlers;
}

/** One request and one answer per TCP connection, on a port shared with others. */
export class TcpTransport {
  /** Listened on; 0 if it does not listen. */
  readonly port: number;
  readonly #server: Server | undefined;
  readonly #options: TcpClientOptions;
  /** Connections that are ours: unknown yet, or speaking SWIM. */
  readonly #sockets: Set<Socket>;
  /** How to end each request of ours that is under way. */
  readonly #pending = new Set<() => void>();
  #closed = false;

  private constructor(
    options: TcpClientOptions,
    sockets: Set<Socket>,
    port: number,
    server?: Server,
  ) {
    this.#options = options;
    this.#sockets = sockets;
    this.port = port;
    this.#server = server;
  }

  /** Only requests of its own: another part of this process listens. */
  static client(options: TcpClientOptions): TcpTransport {
    return new TcpTransport(options, new Set(), 0);
  }

  /** @throws the system's error (EADDRINUSE and the like) */
  static async listen(options: TcpOptions): Promise<TcpTransport> {
    const sockets = new Set<Socket>();
    const intake: Intake = {
      sockets,
      incoming: new Set(),
      budget: new ByteBudget(options.streamBytesMax * UNREAD_STREAMS_MAX),
    };
    const server = createServer((socket) => accept(socket, options, intake));
    const listening = deferred<void>();
    server.once('error', listening.reject);
    server.listen({ host: options.ip, port: options.port, exclusive: true }, listening.resolve);
    await listening.promise;
    server.off('error', listening.reject);
    // Errors of accept (no file descriptors left): the connection is refused, no more.
    server.on('error', () => {});
    const { port } = server.address() as { port: number };
    return new TcpTransport(options, sockets, port, server);
  }

  /** One request; null if it failed or took longer than timeoutMs, connecting included. */
  request(to: string, bytes: Uint8Array, timeoutMs: number, done: RequestDone): void {
    const finish: RequestDone = (answer, why) => {
      if (!this.#pending.delete(fail)) return;
      clearTimeout(timer);
      done(answer, why);
    };
    const fail = (): void => finish(null);
    const timer = setTimeout(fail, timeoutMs);
    this.#pending.add(fail);
    if (this.#closed || bytes.length > this.#options.streamBytesMax) {
      setImmediate(fail);
      return;
    }
    this.#open(to, Buffer.from(bytes), timeoutMs, finish).catch(fail);
  }

  /** Stops listening and cuts SWIM's streams; connections handed on stay as they are. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // Its callback would wait for the connections handed on; the port is free at once.
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    for (const fail of this.#pending) fail();
  }

  async #open(
    to: string,
    bytes: Uint8Array,
    timeoutMs: number,
    finish: RequestDone,
  ): Promise<void> {
    const { resolver, streamBytesMax } = this.#options;
    const { host, port } = parseAddress(to);
    const ip = await resolver.resolve(host, systemClock());
    if (this.#closed) return;
    const socket = connect({ host: ip, port, noDelay: true });
    adopt(socket, this.#sockets, timeoutMs);
    let why: NoAnswer | undefined;
    socket.once('end', () => {
      why = 'closed';
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED') why = 'refused';
    });
    readFrame(socket, undefined, { bytesMax: streamBytesMax }, (message) => {
      socket.destroy();
      finish(message, message === null ? why : undefined);
    });
    writeFrame(socket, bytes);
  }
}

/** Keeps a connection as ours until it closes, or for its longest life. */
function adopt(socket: Socket, sockets: Set<Socket>, lifeMs: number): () => void {
  const onError = (): void => {};
  const onClose = (): void => release();
  const timer = setTimeout(() => socket.destroy(), lifeMs);
  const release = (): void => {
    clearTimeout(timer);
    sockets.delete(socket);
    socket.off('error', onError);
    socket.off('close', onClose);
  };
  sockets.add(socket);
  // What went wrong does not matter: 'close' follows, and means failure.
  socket.on('error', onError);
  socket.on('close', onClose);
  return release;
}

/** What connections that came in share. */
interface Intake {
  readonly sockets: Set<Socket>;
  /** Those that came in, the oldest first. */
  readonly incoming: Set<Socket>;
  readonly budget: ByteBudget;
}

function accept(socket: Socket, options: TcpOptions, intake: Intake): void {
  const { handlers, streamBytesMax, streamTimeoutMs, requestHead } = options;
  const { sockets, incoming, budget } = intake;
  // The oldest has had its time: silent connections never keep out one that speaks at once.
  const [oldest] = incoming;
  if (oldest !== undefined && incoming.size >= (options.socketsMax ?? SOCKETS_MAX)) {
    incoming.delete(oldest);
    oldest.destroy();
  }
  incoming.add(socket);
  socket.once('close', () => incoming.delete(socket));
  const release = adopt(socket, sockets, streamTimeoutMs);
  socket.once('data', (head: Buffer) => {
    if (head[0] !== SWIM_MAGIC) {
      socket.pause();
      release();
      incoming.delete(socket);
      surface(
        () => handlers.onForeign(socket, head),
        () => socket.destroy(),
      );
      return;
    }
    const from = formatAddress(socket.remoteAddress ?? '', socket.remotePort ?? 0);
    const limits = {
      bytesMax: streamBytesMax,
      budget,
      head: requestHead && {
        bytes: requestHead.bytes,
        admit: (bytes: Buffer) => requestHead.admit(bytes, from),
      },
    };
    readFrame(socket, head, limits, (message) => {
      if (message === null || socket.destroyed) {
        socket.destroy();
        return;
      }
      let answered = false;
      handlers.onRequest(from, message, (bytes) => {
        if (answered) return;
        answered = true;
        if (bytes === null || bytes.length > streamBytesMax || socket.destroyed) {
          socket.destroy();
          return;
        }
        writeFrame(socket, Buffer.from(bytes));
        socket.end();
      });
    });
  });
}
