import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Connections of the admin API; one more closes the one that has idled, or sent half a request, the longest. */
export const ADMIN_CONNECTIONS_MAX = 256;

/**
 * Keeps the connections of an HTTP server within a bound: a new connection takes the place of an idle one. A
 * new one is closed only if every other one is being answered.
 */
export class AdminConnections {
  readonly #max: number;
  /** Least lately used first, with the request that is under way. */
  readonly #sockets = new Map<Socket, IncomingMessage | null>();

  constructor(server: Server, max = ADMIN_CONNECTIONS_MAX) {
    this.#max = max;
    server.on('connection', (socket) => this.#welcome(socket));
    server.on('request', (request, response) => this.#onRequest(request, response));
  }

  get count(): number {
    return this.#sockets.size;
  }

  #welcome(socket: Socket): void {
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#sockets.size >= this.#max && !this.#closeOldest()) {
      socket.destroy();
      return;
    }
    this.#sockets.set(socket, null);
  }

  #closeOldest(): boolean {
    for (const [socket, request] of this.#sockets) {
      if (request?.complete) continue;
      this.#sockets.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    this.#use(socket, request);
    response.once('close', () => this.#use(socket, null));
  }

  #use(socket: Socket, request: IncomingMessage | null): void {
    if (!this.#sockets.delete(socket)) return;
    this.#sockets.set(socket, request);
  }
}
