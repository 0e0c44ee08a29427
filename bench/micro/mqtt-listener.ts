/**
 * What does an idle connection cost the listener in memory, and a packet in CPU time?
 *
 * One process listens, this one connects: the slope of its resident memory between 2,000 and 8,000
 * connections, and its CPU time (all threads) per read of 64 bytes and per answer, with one shared
 * read buffer and with 'data' events. Needs 8,000 file descriptors in each process.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { SocketListener } from '../../packages/broker/src/edge/listeners/socket-listener.ts';
import type { ClientHandler, ClientSocket } from '../../packages/broker/src/ports.ts';

const FEW = 2_000;
const MANY = 8_000;
const TALKERS = 200;
const TURNS = 300;

interface Sample {
  readonly address: string;
  readonly connections: number;
  readonly residentBytes: number;
  readonly cpuUs: number;
  readonly reads: number;
}

let reads = 0;

/** The least that a handler can be: one field. */
class Echo implements ClientHandler {
  readonly #socket: ClientSocket;

  constructor(socket: ClientSocket) {
    this.#socket = socket;
  }

  onData(buffer: Uint8Array, start: number, end: number): void {
    reads++;
    if (end - start > 1) this.#socket.write(new Uint8Array(buffer.subarray(start, end)));
  }

  onClosed(): void {}
  onSecond(): void {}
  onDrain(): void {}
}

if (process.argv[2] === 'serve') await serve(process.argv[3] === 'shared');
else await measure();

/** The measured process: echoes what it reads, and reports itself when asked. */
async function serve(sharedReadBuffer: boolean): Promise<void> {
  const listener = await SocketListener.start({
    place: { host: '127.0.0.1', port: 0 },
    maxConnections: 20_000,
    sharedReadBuffer,
    log: () => {},
    onConnection: (socket) => new Echo(socket),
  });
  const gc = (globalThis as { gc?: () => void }).gc;
  process.on('message', () => {
    gc?.();
    gc?.();
    const { user, system } = process.cpuUsage();
    process.send?.({
      address: listener.address,
      connections: listener.count,
      residentBytes: process.memoryUsage.rss(),
      cpuUs: user + system,
      reads,
    } satisfies Sample);
  });
  process.send?.('ready');
}

async function ask(server: ChildProcess): Promise<Sample> {
  const answer = once(server, 'message');
  server.send('sample');
  return (await answer)[0] as Sample;
}

async function measure(): Promise<void> {
  console.log(`${cpus()[0]?.model}, Node ${process.version}`);
  for (const variant of ['shared', 'events', 'shared', 'events']) {
    const server = fork(fileURLToPath(import.meta.url), ['serve', variant], {
      execArgv: ['--conditions=shoal-source', '--expose-gc'],
    });
    await once(server, 'message');
    await measureOne(server, variant);
    server.kill();
    await once(server, 'exit');
  }
}

async function measureOne(server: ChildProcess, variant: string): Promise<void> {
  const port = Number((await ask(server)).address.split(':')[1]);
  const clients: Socket[] = [];
  const grow = async (to: number): Promise<Sample> => {
    while (clients.length < to) {
      const batch = Array.from({ length: 200 }, () => connect(port, '127.0.0.1').setNoDelay());
      await Promise.all(batch.map((client) => once(client, 'connect')));
      for (const client of batch) client.write('x');
      clients.push(...batch);
    }
    for (;;) {
      const sample = await ask(server);
      if (sample.connections === to && sample.reads >= to) return sample;
    }
  };
  const few = await grow(FEW);
  const many = await grow(MANY);
  const bytes = (many.residentBytes - few.residentBytes) / (MANY - FEW);
  const acceptUs = (many.cpuUs - few.cpuUs) / (MANY - FEW);

  const message = Buffer.alloc(64, 1);
  const before = await ask(server);
  for (let turn = 0; turn < TURNS; turn++) {
    const talkers = clients.slice(0, TALKERS);
    const echoes = talkers.map((client) => once(client, 'data'));
    for (const client of talkers) client.write(message);
    await Promise.all(echoes);
  }
  const after = await ask(server);
  const readUs = (after.cpuUs - before.cpuUs) / (after.reads - before.reads);
  console.log(
    `${variant.padEnd(7)} ${bytes.toFixed(0)} B per idle connection, ` +
      `${acceptUs.toFixed(1)} µs per accept, ${readUs.toFixed(1)} µs per read and answer`,
  );
  for (const client of clients) client.destroy();
}
