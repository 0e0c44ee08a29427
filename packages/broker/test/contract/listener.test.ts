import { join } from 'node:path';
import { parseAddress } from '@shoal/swim';
import type { ListenerConfig } from '../../src/config-listener.ts';
import type { ListenerOptions } from '../../src/edge/listeners/listener.ts';
import { SocketListener } from '../../src/edge/listeners/socket-listener.ts';
import { startListener } from '../../src/edge/listeners/transports.ts';
import type { ClientHandler } from '../../src/ports.ts';
import { connectedPipe, untilHolds } from '../sim/world.ts';
import { Authority } from '../tls/certificates.ts';
import { describeClientSocketContract } from './client-socket.ts';
import { describeListenerContract } from './listener.ts';
import { connectSecure, connectStream, connectWeb } from './listener-clients.ts';

const authority = new Authority();
const server = authority.sign('server', 'DNS:localhost,IP:127.0.0.1');
const folder = authority.folder;
after(() => authority.remove());

const tls = { cert: [server.cert], key: [server.key] };
const ca = authority.text;

/** As a proxy on this machine would send it. */
const PROXY_HEADER = Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.8 4711 1883\r\n');
const proxyFrom = ['127.0.0.0/8'];
let sockets = 0;

const start =
  (config: Omit<ListenerConfig, 'name' | 'address'>) =>
  (options: ListenerOptions, address = '127.0.0.1:0') =>
    startListener(
      { name: 'under-test', address, maxConnections: options.ownConnectionsMax, ...config },
      options,
    );

for (const sharedReadBuffer of [true, false]) {
  describeListenerContract(sharedReadBuffer ? 'tcp' : "tcp by 'data' events", {
    start: (options, address = '127.0.0.1:0') =>
      SocketListener.start({ ...options, place: parseAddress(address), sharedReadBuffer }),
    connect: connectStream,
  });
}

describeListenerContract('unix', {
  start: (options, address = join(folder, `${++sockets}.sock`)) =>
    start({ transport: 'unix' })(options, address),
  connect: connectStream,
});

describeListenerContract('tls', {
  start: start({ transport: 'tls', ...tls }),
  connect: (address) => connectSecure(address, ca),
});

describeListenerContract('ws', {
  halfCloses: false,
  start: start({ transport: 'ws' }),
  connect: (address) => connectWeb(address),
});

describeListenerContract('wss', {
  halfCloses: false,
  start: start({ transport: 'wss', ...tls }),
  connect: (address) => connectWeb(address, ca),
});

describeListenerContract('tcp behind a proxy', {
  start: start({ transport: 'tcp', proxyFrom }),
  connect: (address) => connectStream(address, PROXY_HEADER),
});

describeListenerContract('tls behind a proxy', {
  start: start({ transport: 'tls', ...tls, proxyFrom }),
  connect: (address) => connectSecure(address, ca, PROXY_HEADER),
});

describeListenerContract('ws behind a proxy', {
  halfCloses: false,
  start: start({ transport: 'ws', proxyFrom }),
  connect: (address) => connectWeb(address, undefined, PROXY_HEADER),
});

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
