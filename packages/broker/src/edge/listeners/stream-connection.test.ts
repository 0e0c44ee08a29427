import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseAddress } from '@shoal/swim';
import type { ClientSocket } from '../../ports.ts';
import { SocketListener } from './socket-listener.ts';

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('StreamConnection', () => {
  let listener: SocketListener;
  let client: Socket;
  let server: ClientSocket;
  let drained: Promise<void>;
  /** What the listener tells of its sockets, in all. */
  let pending = 0;

  beforeEach(async () => {
    const accepted = Promise.withResolvers<ClientSocket>();
    const drain = Promise.withResolvers<void>();
    listener = await SocketListener.start({
      place: { host: '127.0.0.1', port: 0 },
      maxConnections: 10,
      log: () => {},
      onPending: (changeBytes) => {
        pending += changeBytes;
      },
      onConnection: (socket) => {
        accepted.resolve(socket);
        return {
          onData: () => {},
          onClosed: () => {},
          onSecond: () => {},
          onDrain: () => drain.resolve(),
        };
      },
    });
    const address = parseAddress(listener.address);
    client = connect({ host: '127.0.0.1', port: address.port });
    client.on('error', () => {});
    await once(client, 'connect');
    server = await accepted.promise;
    drained = drain.promise;
  });

  afterEach(async () => {
    client.destroy();
    await listener.close();
  });

  it('calls onDrain at the end of the turn if the kernel takes all at once', async () => {
    client.resume();
    server.write(Buffer.alloc(100));
    server.awaitDrain();
    listener.flush();
    await drained;
    assert.equal(server.pendingBytes, 0);
  });

  it('knows what its socket has not taken, to the byte, and the listener the sum', async () => {
    client.pause();
    while (server.pendingBytes < 2_000_000) {
      server.write(Buffer.alloc(500_000));
      listener.flush();
      await turn();
    }
    assert.ok(pending >= 2_000_000, `${pending} bytes`);
    // What the kernel takes of one write shows before the write is over.
    const before = server.pendingBytes;
    client.resume();
    while (server.pendingBytes === before) await turn();
    client.destroy();
    while (listener.count > 0) await turn();
    assert.equal(pending, 0);
  });
});
