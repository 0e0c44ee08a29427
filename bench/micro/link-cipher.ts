/**
 * What does encryption cost a link between nodes?
 *
 *     node --conditions=shoal-source bench/micro/link-cipher.ts
 *
 * Both ends in this process, over loopback, ten frames a turn: µs of CPU (all threads) per frame in
 * clear, over TLS as links do it, and with a seal for each frame as membership does it; and ms of CPU
 * for one connection to come up. Medians of interleaved runs.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { cpus } from 'node:os';
import {
  LinkSecurity,
  type SecuredSocket,
} from '../../packages/broker/src/edge/link/link-security.ts';
import { generateKey, Keyring, Sealer } from '../../packages/swim/src/index.ts';

const RUNS = 5;
const FRAMES = 10_000;
const SIZES = [300, 4_000];
const key = generateKey();

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** Two ends of one connection; with security both are secure. */
async function pair(secure: boolean): Promise<[Socket, Socket, () => void]> {
  const options = { keys: [key], encryption: 'required', clusterId: () => 'c' } as const;
  const accepted = Promise.withResolvers<Socket>();
  const security = new LinkSecurity(options);
  const take = (result: SecuredSocket | string): void => {
    if (typeof result === 'string') accepted.reject(new Error(result));
    else accepted.resolve(result.socket);
  };
  const server = createServer((socket) => {
    if (!secure) {
      accepted.resolve(socket);
      return;
    }
    socket.once('data', (head: Buffer) => {
      socket.pause();
      security.accept(socket, head, take);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const raw = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const dialled = Promise.withResolvers<Socket>();
  if (secure) {
    new LinkSecurity(options).dial(raw, (result) => {
      if (typeof result === 'string') dialled.reject(new Error(result));
      else dialled.resolve(result.socket);
    });
  } else raw.once('connect', () => dialled.resolve(raw));
  const ends = await Promise.all([dialled.promise, accepted.promise]);
  return [...ends, () => server.close()];
}

async function stream(kind: 'clear' | 'TLS' | 'seals', size: number): Promise<number> {
  const [from, to, close] = await pair(kind === 'TLS');
  const sealers = [0, 1].map(
    () => new Sealer({ keyring: Keyring.of([key]), clusterId: 'c', sendersMax: 4 }),
  ) as [Sealer, Sealer];
  const wire = size + (kind === 'seals' ? 52 : 0);
  const done = Promise.withResolvers<void>();
  let received = 0;
  let rest: Buffer = Buffer.alloc(0);
  to.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (kind === 'seals') {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (; rest.length >= wire; rest = rest.subarray(wire)) {
        if (sealers[1].open('link', rest.subarray(0, wire)) === undefined)
          throw new Error('forged');
      }
    }
    if (received >= FRAMES * wire) done.resolve();
  });
  const frame = Buffer.alloc(size, 7);
  const startUs = cpuUs();
  for (let n = 1; n <= FRAMES; n++) {
    from.write(kind === 'seals' ? sealers[0].seal('link', frame) : frame);
    if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await done.promise;
  const us = (cpuUs() - startUs) / FRAMES;
  for (const socket of [from, to]) socket.destroy();
  close();
  return us;
}

async function comeUp(): Promise<number> {
  const startUs = cpuUs();
  for (let n = 0; n < 20; n++) {
    const [from, to, close] = await pair(true);
    for (const socket of [from, to]) socket.destroy();
    close();
  }
  return (cpuUs() - startUs) / 20 / 1_000;
}

const figures = new Map<string, number[]>();
const note = (name: string, figure: number): void => {
  figures.set(name, [...(figures.get(name) ?? []), figure]);
};
for (let run = 0; run <= RUNS; run++) {
  for (const size of SIZES) {
    for (const kind of ['clear', 'TLS', 'seals'] as const) {
      const us = await stream(kind, size);
      // The first run warms up.
      if (run > 0) note(`${kind} ${size} B, µs a frame`, us);
    }
  }
  const ms = await comeUp();
  if (run > 0) note('TLS comes up, ms both ends', ms);
}
console.log(`${cpus()[0]?.model}, Node.js ${process.version}`);
for (const [name, values] of figures) {
  const sorted = values.toSorted((a, b) => a - b);
  console.log(`${name.padEnd(28)} ${(sorted[sorted.length >> 1] as number).toFixed(1)}`);
}
