import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Resolver } from './resolver.ts';
import { TcpTransport } from './tcp.ts';

describe('TcpTransport', () => {
  const opened: TcpTransport[] = [];

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((transport) => transport.close()));
  });

  async function listen(socketsMax: number): Promise<TcpTransport> {
    const transport = await TcpTransport.listen({
      ip: '127.0.0.1',
      port: 0,
      resolver: new Resolver(4),
      streamBytesMax: 10_000,
      streamTimeoutMs: 10_000,
      socketsMax,
      handlers: {
        onRequest: (_from, bytes, reply) => reply(bytes),
        onForeign: (socket: Socket) => socket.destroy(),
      },
    });
    opened.push(transport);
    return transport;
  }

  it('answers past connections that say nothing: the oldest makes room', async () => {
    const transport = await listen(4);
    const silent: Socket[] = [];
    for (let n = 0; n < 4; n++) {
      const socket = connect(transport.port, '127.0.0.1');
      socket.on('error', () => {});
      await once(socket, 'connect');
      silent.push(socket);
    }
    const closed = once(silent[0] as Socket, 'close');
    const answer = await new Promise((resolve) =>
      transport.request(`127.0.0.1:${transport.port}`, Buffer.from('hello'), 5_000, resolve),
    );
    assert.deepEqual(Buffer.from(answer as Uint8Array).toString(), 'hello');
    await closed;
    assert.deepEqual(
      silent.map((socket) => socket.destroyed),
      [true, false, false, false],
    );
    for (const socket of silent) socket.destroy();
  });
});
