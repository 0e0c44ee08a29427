import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { ClientHandler, ClientSocket } from '../../ports.ts';
import { TcpListener } from './tcp.ts';

const idle = (socket: ClientSocket): ClientHandler => ({
  onData: () => {},
  onClosed: () => socket.close(false),
  onSecond: () => {},
  onDrain: () => {},
});

describe('TcpListener that is not open yet', () => {
  it('takes the port and turns everybody away until it is opened', async () => {
    let arrived = 0;
    const listener = await TcpListener.start({
      host: '127.0.0.1',
      port: 0,
      isOpen: false,
      onConnection: (socket) => {
        arrived++;
        return idle(socket);
      },
      maxConnections: 10,
      log: () => {},
    });
    const port = Number(listener.address.split(':')[1]);
    const early = connect(port, '127.0.0.1').resume();
    early.on('error', () => {});
    await once(early, 'close');
    assert.equal(arrived, 0);
    listener.open();
    const welcome = connect(port, '127.0.0.1').resume();
    await once(welcome, 'connect');
    welcome.end();
    await once(welcome, 'close');
    assert.equal(arrived, 1);
    await listener.close();
  });
});
