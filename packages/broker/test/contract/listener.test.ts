import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseAddress } from '@shoal/swim';
import { TcpListener } from '../../src/edge/listeners/tcp.ts';
import type { ClientHandler } from '../../src/ports.ts';
import { connectedPipe, untilHolds } from '../sim/world.ts';
import { type ClientEnd, describeClientSocketContract } from './client-socket.ts';
import { describeListenerContract } from './listener.ts';

/** A client over any stream of Node.js. */
class StreamClient implements ClientEnd {
  isOver = false;
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    for (const event of ['end', 'close']) socket.on(event, () => this.#over());
  }

  #over(): void {
    this.isOver = true;
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  stopReading(): void {
    this.#socket.pause();
  }

  read(): void {
    this.#socket.resume();
  }

  leave(): void {
    this.#socket.destroy();
  }
}

for (const sharedReadBuffer of [true, false]) {
  describeListenerContract(sharedReadBuffer ? 'tcp' : "tcp by 'data' events", {
    start: (options, address = '127.0.0.1:0') =>
      TcpListener.start({ ...options, ...parseAddress(address), sharedReadBuffer }),
    connect: async (address) => {
      const socket = connect(parseAddress(address));
      const client = new StreamClient(socket);
      await once(socket, 'connect');
      return client;
    },
  });
}

/** For how long a client that stops reading does not read. */
const STALL_MS = 500;

describeClientSocketContract('simulated', async (handler: ClientHandler) => {
  const chunks: Uint8Array[] = [];
  let isOver = false;
  const { scheduler, host, pipe } = connectedPipe(1, handler, {
    onData: (bytes) => chunks.push(bytes.slice()),
    onClosed: () => {
      isOver = true;
    },
  });
  return {
    socket: pipe,
    client: {
      get received() {
        return Buffer.concat(chunks);
      },
      get isOver() {
        return isOver;
      },
      write: (bytes) => pipe.send(bytes.slice()),
      stopReading: () => {
        pipe.stalledUntilMs = scheduler.nowMs + STALL_MS;
      },
      read: () => {},
      leave: () => pipe.leave(false),
    },
    turn: async (fn) => {
      host.run(fn);
      scheduler.runUntil(scheduler.nowMs + 1);
    },
    until: (holds) => untilHolds(scheduler, holds),
    dispose: async () => {},
  };
});
