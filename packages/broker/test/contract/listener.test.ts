import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseAddress } from '@shoal/swim';
import { Prng, Scheduler } from '@shoal/swim/sim';
import { TcpListener } from '../../src/edge/listeners/tcp.ts';
import type { ClientHandler } from '../../src/ports.ts';
import { ClientPipe, type PipeHost } from '../../src/sim/pipe.ts';
import { Transcript } from '../../src/sim/transcript.ts';
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

/** Virtual time after which a condition never holds. */
const PATIENCE_MS = 60_000;
/** For how long a client that stops reading does not read. */
const STALL_MS = 500;

describeClientSocketContract('simulated', async (handler: ClientHandler) => {
  const scheduler = new Scheduler();
  const chunks: Uint8Array[] = [];
  let isOver = false;
  const dirty = new Set<ClientPipe>();
  const host: PipeHost = {
    name: 'n1',
    alive: true,
    listening: true,
    run: (fn) => {
      fn();
      for (const pipe of dirty) pipe.endOfTurn();
      dirty.clear();
    },
    markDirty: (pipe) => dirty.add(pipe),
    accept: () => handler,
  };
  const pipe = new ClientPipe({
    scheduler,
    random: new Prng(1),
    transcript: new Transcript({ nowMs: () => scheduler.nowMs, readable: false }),
    host,
    client: {
      onData: (bytes) => chunks.push(bytes.slice()),
      onClosed: () => {
        isOver = true;
      },
    },
    remote: 'c#1',
  });
  pipe.dial();
  scheduler.runUntil(20);
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
    until: async (holds) => {
      const endMs = scheduler.nowMs + PATIENCE_MS;
      while (!holds()) {
        if (scheduler.nowMs >= endMs) throw new Error('it never happened');
        scheduler.runUntil(scheduler.nowMs + 1);
      }
    },
    dispose: async () => {},
  };
});
