import { networkInterfaces } from 'node:os';
import { socketTransport } from '../../src/runtime/bind.ts';
import { SecureTransport } from '../../src/runtime/secure-transport.ts';
import { listenForThread, relayedTransport, type StreamHandlers } from '../../src/runtime/split.ts';
import { Keyring } from '../../src/security/keyring.ts';
import { MemoryHub } from '../../src/sim/memory.ts';
import { Network } from '../../src/sim/network.ts';
import { Prng } from '../../src/sim/prng.ts';
import { Scheduler } from '../../src/sim/scheduler.ts';
import type { Transport, TransportOpener } from '../../src/transport.ts';
import { describeTransportContract } from './transport.ts';

async function settleAlone<T>(promise: Promise<T>): Promise<T> {
  return await promise;
}

const sockets = (listen: string) => () => ({
  open: socketTransport(),
  listen: () => listen,
  settle: settleAlone,
});

describeTransportContract('UDP and TCP over IPv4', sockets('127.0.0.1:0'));

// A container may have no IPv6 at all.
const loopbacks = Object.values(networkInterfaces()).flat();
if (loopbacks.some((at) => at?.address === '::1')) {
  describeTransportContract('UDP and TCP over IPv6', sockets('[::1]:0'));
}

/** Both halves in one thread, without what lies between them. */
const openHalves: TransportOpener = async (options) => {
  const heard = Promise.withResolvers<StreamHandlers>();
  const opened = Promise.withResolvers<Transport>();
  const tcp = await listenForThread(
    {
      ...options,
      onRequest: (from, bytes, reply) =>
        void heard.promise.then((streams) => streams.onRequest(from, bytes, reply)),
      onForeign: (socket) => socket.destroy(),
    },
    async (listen) => opened.resolve(await relayedTransport(heard.resolve)({ ...options, listen })),
  );
  const other = await opened.promise;
  return {
    address: other.address,
    get failed() {
      return other.failed;
    },
    send: (to, bytes) => other.send(to, bytes),
    request: (to, bytes, timeoutMs, done) => other.request(to, bytes, timeoutMs, done),
    close: async () => {
      await tcp.close();
      await other.close();
    },
  };
};

describeTransportContract('UDP and TCP in two halves', () => ({
  open: openHalves,
  listen: () => '127.0.0.1:0',
  settle: settleAlone,
}));

describeTransportContract('memory', () => ({
  open: new MemoryHub().open,
  listen: () => 'host:0',
  settle: settleAlone,
}));

describeTransportContract('sealed', () => ({
  open: (options) =>
    SecureTransport.open(
      socketTransport(),
      {
        keyring: Keyring.of([new Uint8Array(32).fill(1)]),
        encryption: 'required',
        clusterId: 'contract',
        sendersMax: 64,
        origin: 'a 1',
        onRefused: () => {},
        onKeyring: async (bytes) => bytes,
      },
      options,
    ),
  listen: () => '127.0.0.1:0',
  settle: settleAlone,
}));

describeTransportContract('simulated', () => {
  const scheduler = new Scheduler();
  const network = new Network({ scheduler, prng: new Prng('contract') });
  let last = 0;
  return {
    open: async (options) => network.open(options),
    listen: () => {
      last++;
      return `host:${last}`;
    },
    /** Virtual time passes, a millisecond at a time, until the promise settles. */
    settle: async (promise) => {
      let settled = false;
      const mark = (): void => {
        settled = true;
      };
      promise.then(mark, mark);
      for (let turn = 0; !settled && turn < 100_000; turn++) {
        await new Promise(setImmediate);
        if (!settled) scheduler.runUntil(scheduler.nowMs + 1);
      }
      return await promise;
    },
  };
});
