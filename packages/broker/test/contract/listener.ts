import assert from 'node:assert/strict';
import type { Listener, ListenerOptions } from '../../src/edge/listeners/listener.ts';
import { BrokerError } from '../../src/errors.ts';
import type { ClientHandler, ClientSocket } from '../../src/ports.ts';
import { type ClientEnd, describeClientSocketContract } from './client-socket.ts';

/** A client of a listener. */
export interface ListenerClient extends ClientEnd {
  /** Sends nothing more, and says so; it may go on reading. */
  finish(): void;
}

/** One transport under test. */
export interface Transport {
  /** A client can finish and still read. A WebSocket that is closed is so both ways. Default true. */
  readonly halfCloses?: boolean;
  /** @param address where an earlier listener was bound; absent for a free one */
  start(options: ListenerOptions, address?: string): Promise<Listener>;
  /** A client that has tried to connect: it may be turned away. */
  connect(address: string): Promise<ListenerClient>;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

/** Ends the connection where there is no room for it. */
const accept = (socket: ClientSocket): ClientHandler => {
  if (socket.isExcess) socket.close(true);
  return deaf;
};

const deaf: ClientHandler = {
  onData: () => {},
  onClosed: () => {},
  onSecond: () => {},
  onDrain: () => {},
};

/** What a {@link Listener} promises, whatever its transport; its sockets pass the suite of client sockets. */
export function describeListenerContract(name: string, transport: Transport): void {
  const base = { onConnection: accept, maxConnections: 100, log: () => {} };

  describe(`Listener contract: ${name}`, () => {
    const started: Listener[] = [];
    const clients: ListenerClient[] = [];
    const start = async (options: Partial<ListenerOptions> = {}, address?: string) => {
      const listener = await transport.start({ ...base, ...options }, address);
      started.push(listener);
      return listener;
    };
    const connect = async ({ address }: Listener) => {
      const client = await transport.connect(address);
      clients.push(client);
      return client;
    };

    afterEach(async () => {
      for (const client of clients.splice(0)) client.leave();
      await Promise.all(started.splice(0).map((listener) => listener.close()));
    });

    it('turns clients away until it is opened', async () => {
      let accepted = 0;
      const onConnection = () => {
        accepted++;
        return deaf;
      };
      const listener = await start({ isOpen: false, onConnection });
      const early = await connect(listener);
      await until(() => early.isOver);
      assert.equal(accepted, 0);
      listener.open();
      await connect(listener);
      await until(() => accepted === 1);
      assert.equal(listener.count, 1);
    });

    it('turns away whom it has no room for, those of other listeners counted', async () => {
      let others = 1;
      const listener = await start({ maxConnections: 2, othersCount: () => others });
      const first = await connect(listener);
      await until(() => listener.count === 1);
      const surplus = await connect(listener);
      await until(() => surplus.isOver);
      assert.equal(first.isOver, false);
      others = 0;
      await connect(listener);
      await until(() => listener.count === 2);
    });

    it('turns away whom it has no room for itself', async () => {
      const listener = await start({ ownConnectionsMax: 1 });
      await connect(listener);
      await until(() => listener.count === 1);
      const surplus = await connect(listener);
      await until(() => surplus.isOver);
      assert.equal(listener.count, 1);
    });

    it('forgets connections that are over', async () => {
      const listener = await start();
      const client = await connect(listener);
      await until(() => listener.count === 1);
      client.leave();
      await until(() => listener.count === 0);
    });

    it('forgets clients that come and go at once', async () => {
      const counters = { handshakesUnderWay: 0, handshakesFailed: 0 };
      const opening = { handshakesMax: 100, handshakeTimeoutMs: 10_000, counters };
      const listener = await start({ opening });
      const coming = Array.from({ length: 20 }, () => connect(listener));
      for (const client of await Promise.all(coming)) client.leave();
      await until(() => listener.count === 0);
      assert.equal(counters.handshakesUnderWay, 0);
    });

    it('hands over bytes cut anywhere, and many pieces that come as one', async () => {
      const sent = Buffer.from(Uint8Array.from({ length: 40 }, (_, i) => i));
      let received = Buffer.alloc(0);
      const onData = (buffer: Uint8Array, from: number, to: number) => {
        received = Buffer.concat([received, buffer.subarray(from, to)]);
      };
      const listener = await start({ onConnection: () => ({ ...deaf, onData }) });
      const client = await connect(listener);
      let bytes = 0;
      for (let cut = 1; cut < sent.length; cut++) {
        client.write(sent.subarray(0, cut));
        bytes += cut;
        await until(() => received.length === bytes);
        client.write(sent.subarray(cut));
        bytes += sent.length - cut;
      }
      for (let i = 0; i < 10; i++) client.write(sent);
      bytes += 10 * sent.length;
      await until(() => received.length === bytes);
      for (let at = 0; at < bytes; at += sent.length)
        assert.ok(received.subarray(at, at + sent.length).equals(sent), `at ${at}`);
    });

    it('ends a connection whose client sends nothing more', async () => {
      let closed = 0;
      let received = 0;
      const listener = await start({
        onConnection: () => ({
          ...deaf,
          onData: (_, from, to) => {
            received += to - from;
          },
          onClosed: () => closed++,
        }),
      });
      const client = await connect(listener);
      client.write(Buffer.from('last words'));
      client.finish();
      await until(() => client.isOver && listener.count === 0);
      assert.deepEqual([received, closed], [10, 1]);
    });

    it('sends a client that has finished what it was answered before', async () => {
      const listener = await start({
        onConnection: (socket) => ({
          ...deaf,
          onData: (buffer, from, to) => socket.write(buffer.slice(from, to)),
        }),
      });
      const client = await connect(listener);
      client.write(Buffer.from('answer me'));
      client.finish();
      await until(() => client.isOver && listener.count === 0);
      if (transport.halfCloses !== false) assert.equal(client.received.toString(), 'answer me');
    });

    it('names an address in use', async () => {
      const { address } = await start();
      await assert.rejects(
        start({}, address),
        (error) => error instanceof BrokerError && error.code === 'BROKER_ERR_ADDRESS_IN_USE',
      );
    });

    it('gives its address back when it is closed', async () => {
      const { address } = await start();
      await started.pop()!.close();
      assert.equal((await start({}, address)).address, address);
    });

    it('closes every connection after what it was sent, and waits for their end', async () => {
      const sockets: ClientSocket[] = [];
      let closed = 0;
      const listener = await start({
        onConnection: (socket) => {
          sockets.push(socket);
          return { ...deaf, onClosed: () => closed++ };
        },
      });
      const [one, two] = [await connect(listener), await connect(listener)];
      await until(() => sockets.length === 2);
      for (const socket of sockets) socket.write(Buffer.from('last'));
      await listener.close();
      assert.deepEqual([closed, listener.count], [2, 0]);
      await until(() => one.isOver && two.isOver);
      assert.deepEqual([one.received.toString(), two.received.toString()], ['last', 'last']);
    });

    it('calls onSecond', async () => {
      let seconds = 0;
      const listener = await start({
        onConnection: () => ({ ...deaf, onSecond: () => seconds++ }),
      });
      await connect(listener);
      await until(() => seconds > 0);
    });

    it('flushes at once what was written', async () => {
      let socket: ClientSocket | undefined;
      const listener = await start({
        onConnection: (accepted) => {
          socket = accepted;
          return deaf;
        },
      });
      const client = await connect(listener);
      await until(() => socket !== undefined);
      socket!.write(Buffer.from('now'));
      listener.flush();
      await until(() => client.received.toString() === 'now' && socket!.pendingBytes === 0);
    });

    it('tells of all that its sockets have not taken, which ends with the connection', async () => {
      let pending = 0;
      let socket: ClientSocket | undefined;
      const listener = await start({
        onPending: (changeBytes) => {
          pending += changeBytes;
        },
        onConnection: (accepted) => {
          socket = accepted;
          return deaf;
        },
      });
      const client = await connect(listener);
      await until(() => socket !== undefined);
      client.stopReading();
      while (pending < 1_000_000) {
        socket!.write(Buffer.alloc(500_000));
        await turn();
      }
      client.leave();
      await until(() => listener.count === 0);
      assert.equal(pending, 0);
    });
  });

  describeClientSocketContract(name, async (handler) => {
    const accepted = Promise.withResolvers<ClientSocket>();
    const listener = await transport.start({
      ...base,
      onConnection: (socket) => {
        accepted.resolve(socket);
        return handler;
      },
    });
    const client = await transport.connect(listener.address);
    const socket = await accepted.promise;
    return {
      socket,
      client,
      turn: async (fn) => {
        fn();
        await turn();
      },
      until,
      dispose: async () => {
        client.leave();
        await listener.close();
      },
    };
  });
}
