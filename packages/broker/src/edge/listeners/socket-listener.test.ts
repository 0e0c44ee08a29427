import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parseAddress } from '@shoal/swim';
import type { ClientHandler, ClientSocket } from '../../ports.ts';
import { SocketListener, type SocketListenerOptions } from './socket-listener.ts';

/** A handler that records, and lets a test wait for each kind of call. */
class Recorder implements ClientHandler {
  readonly socket: ClientSocket;
  received = Buffer.alloc(0);
  closed = 0;
  readonly connected = Promise.withResolvers<void>();
  readonly gone = Promise.withResolvers<void>();
  readonly drained = Promise.withResolvers<void>();
  readonly second = Promise.withResolvers<number>();
  #waiting: { bytes: number; resolve: () => void } | undefined;
  onBytes: (bytes: Buffer) => void = () => {};

  constructor(socket: ClientSocket) {
    this.socket = socket;
  }

  /** Resolves once `bytes` have arrived in all. */
  arrived(bytes: number): Promise<void> {
    if (this.received.length >= bytes) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting = { bytes, resolve };
    });
  }

  onData(buffer: Uint8Array, start: number, end: number): void {
    const bytes = Buffer.from(buffer.subarray(start, end));
    this.received = Buffer.concat([this.received, bytes]);
    this.onBytes(bytes);
    if (this.#waiting && this.received.length >= this.#waiting.bytes) this.#waiting.resolve();
  }

  onClosed(): void {
    this.closed++;
    this.gone.resolve();
  }

  onSecond(nowMs: number): void {
    this.second.resolve(nowMs);
  }

  onDrain(): void {
    this.drained.resolve();
  }
}

/** A listener on a free port, its handlers in order of arrival, and its clients. */
class Bench {
  readonly listener: SocketListener;
  readonly #arrivals: Recorder[];
  readonly #waiting: ((recorder: Recorder) => void)[];
  readonly #clients: Socket[] = [];

  private constructor(
    listener: SocketListener,
    arrivals: Recorder[],
    waiting: ((recorder: Recorder) => void)[],
  ) {
    this.listener = listener;
    this.#arrivals = arrivals;
    this.#waiting = waiting;
  }

  static async start(options: Partial<SocketListenerOptions> = {}): Promise<Bench> {
    const arrivals: Recorder[] = [];
    const waiting: ((recorder: Recorder) => void)[] = [];
    const listener = await SocketListener.start({
      place: { host: '127.0.0.1', port: 0 },
      maxConnections: 2000,
      log: () => {},
      onConnection: (socket) => {
        const recorder = new Recorder(socket);
        const next = waiting.shift();
        if (next) next(recorder);
        else arrivals.push(recorder);
        return recorder;
      },
      ...options,
    });
    return new Bench(listener, arrivals, waiting);
  }

  get port(): number {
    const address = parseAddress(this.listener.address);
    return address.port;
  }

  accepted(): Promise<Recorder> {
    const recorder = this.#arrivals.shift();
    if (recorder) return Promise.resolve(recorder);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  client(allowHalfOpen = false): Socket {
    const client = connect({ host: '127.0.0.1', port: this.port, allowHalfOpen });
    client.on('error', () => {});
    this.#clients.push(client);
    return client;
  }

  async pair(allowHalfOpen = false): Promise<[Socket, Recorder]> {
    const client = this.client(allowHalfOpen);
    const [recorder] = await Promise.all([this.accepted(), once(client, 'connect')]);
    return [client, recorder];
  }

  /** Resolves in the turn in which the last connection is forgotten. */
  async emptied(): Promise<void> {
    while (this.listener.count > 0) await turn();
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await this.listener.close();
    assert.equal(this.listener.count, 0);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Collects garbage until `done`, or for many turns in vain. */
async function collectGarbage(done: () => boolean): Promise<void> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  for (let tries = 0; tries < 50 && !done(); tries++) {
    gc();
    await turn();
  }
}

/** Everything that a client receives until the server's end. */
async function untilEnd(client: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  client.on('data', (chunk: Buffer) => chunks.push(chunk));
  client.resume();
  await once(client, 'end');
  return Buffer.concat(chunks);
}

/** Bytes that repeat only every 251, so that a swap or a gap shows. */
function pattern(bytes: number, from = 0): Buffer {
  const out = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) out[i] = (from + i) % 251;
  return out;
}

for (const sharedReadBuffer of [true, false]) {
  describe(`SocketListener ${sharedReadBuffer ? 'with one read buffer' : "with 'data' events"}`, () => {
    let bench: Bench;
    const start = async (options: Partial<SocketListenerOptions> = {}): Promise<void> => {
      bench = await Bench.start({ sharedReadBuffer, ...options });
    };
    afterEach(() => bench.stop());

    it('hands bytes over and knows the remote address', async () => {
      await start();
      const [client, server] = await bench.pair();
      client.write(pattern(200_000));
      await server.arrived(200_000);
      assert.ok(server.received.equals(pattern(200_000)));
      assert.equal(server.socket.remote, `127.0.0.1:${client.localPort}`);
      assert.equal(bench.listener.count, 1);
    });

    it('keeps the streams of connections apart', async () => {
      await start();
      const [[one, first], [two, second]] = [await bench.pair(), await bench.pair()];
      for (let i = 0; i < 50; i++) {
        one.write('a');
        two.write('b');
      }
      await Promise.all([first.arrived(50), second.arrived(50)]);
      assert.equal(first.received.toString(), 'a'.repeat(50));
      assert.equal(second.received.toString(), 'b'.repeat(50));
    });

    it('sends the writes of one turn as one', async () => {
      await start();
      const [client, server] = await bench.pair();
      const original = Socket.prototype.write;
      const written: number[] = [];
      Socket.prototype.write = function (this: Socket, ...args: unknown[]): boolean {
        written.push((args[0] as Uint8Array).length);
        return original.apply(this, args as never);
      } as typeof original;
      try {
        for (let i = 0; i < 20; i++) server.socket.write(pattern(10, 10 * i));
        assert.equal(server.socket.pendingBytes, 200);
        assert.deepEqual(written, []);
        const [chunk] = (await once(client, 'data')) as [Buffer];
        assert.deepEqual(written, [200]);
        assert.ok(chunk.equals(pattern(200)));
        assert.equal(server.socket.pendingBytes, 0);
        bench.listener.flush();
        assert.deepEqual(written, [200]);
      } finally {
        Socket.prototype.write = original;
      }
    });

    it('reports what a slow reader owes, and keeps the order through it', async () => {
      await start();
      const [client, server] = await bench.pair();
      client.pause();
      let bytes = 0;
      // Sizes around the limits of concatenation, until the kernel's buffers are full.
      while (server.socket.pendingBytes < 2_000_000) {
        for (const size of [1, 100, 4_000, 70_000, 65_535, 2, 30_000]) {
          server.socket.write(pattern(size, bytes));
          bytes += size;
        }
        await turn();
      }
      server.socket.close(true);
      const received = await untilEnd(client);
      assert.equal(received.length, bytes);
      assert.ok(received.equals(pattern(bytes)));
    });

    it('keeps what a blocked connection owes apart from what others are sent', async () => {
      await start();
      const [slowClient, slow] = await bench.pair();
      const [quickClient, quick] = await bench.pair();
      slowClient.pause();
      let bytes = 0;
      while (slow.socket.pendingBytes < 500_000) {
        for (const size of [20_000, 20_001]) {
          slow.socket.write(pattern(size, bytes));
          bytes += size;
          quick.socket.write(Buffer.alloc(size, 0xff)); // a value that the pattern never has
        }
        await turn();
      }
      quick.socket.close(true);
      slow.socket.close(true);
      const [owed, other] = await Promise.all([untilEnd(slowClient), untilEnd(quickClient)]);
      assert.ok(owed.equals(pattern(bytes)));
      assert.ok(other.equals(Buffer.alloc(bytes, 0xff)));
    });

    it('holds small writes to a blocked connection in little more than their bytes', async () => {
      await start();
      const [client, server] = await bench.pair();
      client.pause();
      const filler = pattern(1_000_000);
      let bytes = 0;
      for (; server.socket.pendingBytes < 2_000_000; bytes += filler.length) {
        server.socket.write(filler);
        await turn();
      }
      // Slices of a large buffer: each would keep all of it alive, were it not copied.
      let alive = 0;
      const collected = new FinalizationRegistry(() => alive--);
      const writeAcks = (value: number): void => {
        const acks = new Uint8Array(4_000).fill(value);
        collected.register(acks.buffer, undefined);
        alive++;
        for (let at = 0; at < acks.length; at += 4) server.socket.write(acks.subarray(at, at + 4));
      };
      for (let i = 0; i < 50; i++) {
        writeAcks(i);
        await turn();
      }
      assert.ok(server.socket.pendingBytes > 2_000_000 + 50 * 4_000 - filler.length);
      await collectGarbage(() => alive === 0);
      assert.equal(alive, 0);
      server.socket.close(true);
      const received = await untilEnd(client);
      assert.equal(received.length, bytes + 50 * 4_000);
      for (let i = 0; i < 50; i++) {
        const at = bytes + 4_000 * i;
        assert.ok(received.subarray(at, at + 4_000).every((byte) => byte === i));
      }
    });

    it('reads nothing while paused, and everything after resume', async () => {
      await start();
      const [[client, server], [other, echo]] = [await bench.pair(), await bench.pair()];
      echo.onBytes = (bytes) => echo.socket.write(bytes);
      const total = 20_000_000;
      server.onBytes = () => {
        server.onBytes = () => {};
        server.socket.pause();
      };
      client.write(pattern(total));
      await server.arrived(1);
      const seen = server.received.length;
      for (let i = 0; i < 20; i++) {
        other.write('.');
        await once(other, 'data');
      }
      assert.equal(server.received.length, seen);
      const chunks: Buffer[] = [];
      let bytes = seen;
      const all = Promise.withResolvers<void>();
      server.onData = (buffer, start, end) => {
        chunks.push(Buffer.from(buffer.subarray(start, end)));
        bytes += end - start;
        if (bytes === total) all.resolve();
      };
      server.socket.resume();
      await all.promise;
      assert.ok(Buffer.concat([server.received, ...chunks]).equals(pattern(total)));
    });

    it('can be closed while paused', async () => {
      await start();
      const [client, server] = await bench.pair();
      server.socket.pause();
      server.socket.write(Buffer.from('bye'));
      server.socket.close(true);
      assert.equal((await untilEnd(client)).toString(), 'bye');
      await bench.emptied();
      assert.equal(server.closed, 1);
    });

    it('hands over nothing after close, not even what the same turn reads', async () => {
      await start();
      const [client, server] = await bench.pair();
      let calls = 0;
      server.onBytes = () => {
        calls++;
        server.socket.close(true);
      };
      client.write(pattern(3_000_000));
      await untilEnd(client);
      assert.equal(calls, 1);
    });

    it('calls onDrain once everything written has left', async () => {
      await start();
      const [client, server] = await bench.pair();
      client.pause();
      const bytes = 8_000_000;
      server.socket.write(pattern(bytes / 2));
      server.socket.write(pattern(bytes / 2, bytes / 2));
      bench.listener.flush();
      assert.ok(server.socket.pendingBytes > 0);
      client.resume();
      await server.drained.promise;
      assert.equal(server.socket.pendingBytes, 0);
    });

    it('close(true) sends what was written first and nothing after', async () => {
      await start();
      const [client, server] = await bench.pair();
      server.socket.write(pattern(3_000_000));
      server.socket.write(Buffer.from('bye'));
      server.socket.close(true);
      server.socket.write(Buffer.from('too late'));
      assert.equal(server.closed, 0, 'onClosed must not come from within close');
      const received = await untilEnd(client);
      assert.equal(received.length, 3_000_003);
      assert.equal(received.subarray(-3).toString(), 'bye');
      assert.equal(server.closed, 1);
    });

    it('close(true) reaches a peer that is still sending', async () => {
      await start();
      const [client, server] = await bench.pair();
      const feeding = setInterval(() => client.write(Buffer.alloc(10_000)), 1);
      try {
        await server.arrived(50_000);
        const seen = server.received.length;
        server.socket.write(Buffer.from('refused'));
        server.socket.close(true);
        assert.equal((await untilEnd(client)).toString(), 'refused');
        assert.equal(server.received.length, seen, 'no data after close');
      } finally {
        clearInterval(feeding);
      }
    });

    it('close(false) drops what was written', async () => {
      await start();
      const [client, server] = await bench.pair();
      server.socket.write(Buffer.from('never'));
      server.socket.close(false);
      assert.equal(server.closed, 0);
      assert.equal((await untilEnd(client)).length, 0);
      await server.gone.promise;
      assert.equal(server.closed, 1);
    });

    it('answers what came with a FIN, then is closed', async () => {
      await start();
      const [client, server] = await bench.pair(true);
      server.onBytes = (bytes) => server.socket.write(bytes);
      client.end('last words');
      assert.equal((await untilEnd(client)).toString(), 'last words');
      await server.gone.promise;
      assert.equal(server.received.toString(), 'last words');
    });

    it('gives up on a peer that never closes its side', async () => {
      await start({ closeSecondsMax: 0 });
      const [client, server] = await bench.pair(true);
      server.socket.close(true);
      await untilEnd(client);
      // Our FIN is answered by nothing: only the listener can end this connection.
      client.on('error', () => {});
      await bench.emptied();
      assert.equal(server.closed, 1);
    });

    it('tells of a reset once', async () => {
      await start();
      const [client, server] = await bench.pair();
      client.resetAndDestroy();
      await server.gone.promise;
      server.socket.write(Buffer.from('into the void'));
      server.socket.close(false);
      bench.listener.flush();
      assert.equal(server.closed, 1);
    });

    it('calls onSecond with the given clock', async () => {
      await start({ nowMs: () => 4711 });
      const [, server] = await bench.pair();
      assert.equal(await server.second.promise, 4711);
    });

    it('closes every connection when it closes', async () => {
      await start();
      const [client, server] = await bench.pair();
      server.socket.write(Buffer.from('last'));
      const received = untilEnd(client);
      await bench.listener.close();
      assert.equal((await received).toString(), 'last');
      assert.equal(server.closed, 1);
      const late = connect(bench.port, '127.0.0.1');
      const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNREFUSED');
    });

    it('serves 1,000 connections at once', async function () {
      this.timeout(20_000);
      await start();
      const pairs: [Socket, Recorder][] = [];
      while (pairs.length < 1000) {
        pairs.push(...(await Promise.all(Array.from({ length: 50 }, () => bench.pair()))));
      }
      assert.equal(bench.listener.count, 1000);
      const echoes = pairs.map(async ([client, server], i) => {
        server.onBytes = (bytes) => server.socket.write(bytes);
        client.write(`hello ${i}`);
        return String((await once(client, 'data'))[0]);
      });
      // Pairs are matched by arrival, so an echo may belong to another one, but none is lost.
      const expected = new Set(pairs.map((_, i) => `hello ${i}`));
      assert.deepEqual(new Set(await Promise.all(echoes)), expected);
      for (const [client] of pairs) client.destroy();
      await Promise.all(pairs.map(([, server]) => server.gone.promise));
      assert.ok(pairs.every(([, server]) => server.closed === 1));
    });
  });
}

describe('SocketListener.start', () => {
  it('names an address in use, with its cause', async () => {
    const bench = await Bench.start();
    await assert.rejects(
      Bench.start({ place: { host: '127.0.0.1', port: bench.port } }),
      (error: NodeJS.ErrnoException) => {
        assert.equal(error.code, 'BROKER_ERR_ADDRESS_IN_USE');
        assert.equal((error.cause as NodeJS.ErrnoException).code, 'EADDRINUSE');
        return true;
      },
    );
    await bench.stop();
  });

  it('names an address that is not of this machine', async () => {
    await assert.rejects(Bench.start({ place: { host: '192.0.2.1', port: 0 } }), {
      code: 'BROKER_ERR_ADDRESS_UNUSABLE',
    });
  });
});
