/**
 * What bystanders feel while one client does its worst within the limits.
 *
 *   npm run abuse -- --seconds 60 --json abuse.json
 *   npm run abuse -- --only retained --keep       one input; data and logs stay
 *
 * Three nodes. For each input, one after another: a bystander at every node sends PINGREQ ten times a
 * second; counted are the longest wait for PINGRESP, elections, and the largest resident memory. A node
 * that ends, or an election, fails the run.
 */
import fs from 'node:fs';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { residentBytes } from '../proc/memory.ts';
import { LocalCluster } from './cluster.ts';

const EMPTY = Buffer.alloc(0);

const PING_EVERY_MS = 100;
const CALM_MS = 3000;
const MEBIBYTE = 1024 * 1024;
/** Longest wait for PINGRESP on a quiet machine. */
const PING_MS_MAX = 250;

interface Figures {
  readonly input: string;
  readonly rounds: number;
  readonly pingP99Ms: number;
  readonly pingMaxMs: number;
  readonly elections: number;
  readonly residentMiB: number;
  readonly alive: boolean;
}

/** Goes on until `over()`; returns how often it did what it does. */
type Input = (cluster: LocalCluster, over: () => boolean) => Promise<number>;

/** Reads and acknowledges what comes, and knows how many answers of each kind there were. */
class Client {
  readonly socket: net.Socket;
  readonly #answers = new Map<string, number>();
  #wanted: { cmd: string; count: number; done: () => void }[] = [];
  #broken: (why: Error) => void = () => {};

  constructor(port: number) {
    this.socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    parser.on('packet', (packet) => this.#onPacket(packet));
    parser.on('error', () => this.socket.destroy());
    this.socket.on('data', (chunk) => parser.parse(chunk));
    this.socket.on('error', () => {});
    this.socket.once('close', () => this.#broken(new Error('the connection ended')));
  }

  static async connect(cluster: LocalCluster, node: string, clientId: string): Promise<Client> {
    const client = new Client(cluster.endpoint(node).port);
    const answered = client.answer('connack');
    const base = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5 } as const;
    client.send({ ...base, clientId, clean: true, keepalive: 0 });
    await answered;
    return client;
  }

  #onPacket(packet: Packet): void {
    if (packet.cmd === 'publish') {
      if (packet.qos === 1) this.send({ cmd: 'puback', messageId: packet.messageId! });
      return;
    }
    this.#answers.set(packet.cmd, (this.#answers.get(packet.cmd) ?? 0) + 1);
    const due = this.#wanted.filter(({ cmd, count }) => count <= (this.#answers.get(cmd) ?? 0));
    this.#wanted = this.#wanted.filter((wanted) => !due.includes(wanted));
    for (const { done } of due) done();
  }

  send(packet: Packet): void {
    this.socket.write(mqttPacket.generate(packet, { protocolVersion: 5 }));
  }

  /** So many more answers of this kind. @throws Error if the connection ends first */
  answer(cmd: Packet['cmd'], more = 1): Promise<void> {
    const count = (this.#answers.get(cmd) ?? 0) + more;
    return new Promise((done, broken) => {
      if (this.socket.destroyed) return broken(new Error('the connection ended'));
      this.#broken = broken;
      this.#wanted.push({ cmd, count, done });
    });
  }

  publish(topic: string, payload: Buffer, messageId: number, retain = false): Promise<void> {
    const answered = this.answer('puback');
    this.send({ cmd: 'publish', qos: 1, dup: false, retain, topic, payload, messageId });
    return answered;
  }

  subscribe(filters: readonly string[]): Promise<void> {
    const answered = this.answer('suback');
    const subscriptions = filters.map((topic) => ({ topic, qos: 1 as const }));
    this.send({ cmd: 'subscribe', messageId: 1, subscriptions });
    return answered;
  }

  end(): void {
    this.#broken = () => {};
    this.socket.destroy();
  }
}

const INPUTS: Readonly<Record<string, Input>> = {
  'wildcard SUBSCRIBE over 300 retained of 1 MB': async (cluster, over) => {
    const publisher = await Client.connect(cluster, 'n1', 'retainer');
    const payload = Buffer.alloc(1_000_000);
    for (let i = 1; i <= 300; i++) await publisher.publish(`big/${i}`, payload, i, true);
    let rounds = 0;
    while (!over()) {
      const client = await Client.connect(cluster, 'n2', `wild-${rounds++}`);
      await client.subscribe(['big/#']);
      await pause(5000);
      client.end();
    }
    for (let i = 1; i <= 300; i++) await publisher.publish(`big/${i}`, EMPTY, i, true);
    publisher.end();
    return rounds;
  },
  '30 publishes of 900 kB at once, to three subscribers': async (cluster, over) => {
    const readers: Client[] = [];
    for (const node of cluster.names) {
      const client = await Client.connect(cluster, node, `screen-${node}`);
      await client.subscribe(['picture']);
      readers.push(client);
    }
    const publisher = await Client.connect(cluster, 'n1', 'camera');
    const payload = Buffer.alloc(900_000);
    let rounds = 0;
    while (!over()) {
      const all = publisher.answer('puback', 30);
      for (let messageId = 1; messageId <= 30; messageId++) {
        const base = { cmd: 'publish', qos: 1, dup: false, retain: false } as const;
        publisher.send({ ...base, topic: 'picture', payload, messageId });
      }
      await all;
      rounds++;
    }
    for (const client of [...readers, publisher]) client.end();
    return rounds;
  },
  'SUBSCRIBE of 10,000 filters': async (cluster, over) => {
    let rounds = 0;
    const filters = Array.from({ length: 10_000 }, (_, i) => `f/${i}/+`);
    while (!over()) {
      const client = await Client.connect(cluster, 'n3', `filters-${rounds++}`);
      await client.subscribe(filters);
      client.end();
    }
    return rounds;
  },
  'messages of 300 kB to one that does not read': async (cluster, over) => {
    let rounds = 0;
    const publisher = await Client.connect(cluster, 'n1', 'talker');
    const payload = Buffer.alloc(300_000);
    while (!over()) {
      const deaf = await Client.connect(cluster, 'n2', `deaf-${rounds}`);
      await deaf.subscribe(['talk']);
      deaf.socket.pause();
      for (let i = 0; i < 60 && !over(); i++, rounds++)
        await publisher.publish('talk', payload, 1 + (rounds % 60_000));
      deaf.end();
    }
    publisher.end();
    return rounds;
  },
  'PINGREQ and PUBREL of one that reads no answer': async (cluster, over) => {
    let rounds = 0;
    const flood = Buffer.concat([
      Buffer.alloc(32_768, Buffer.of(0xc0, 0)),
      Buffer.alloc(32_768, Buffer.of(0x62, 2, 0, 9)),
    ]);
    while (!over()) {
      const client = await Client.connect(cluster, 'n1', `flood-${rounds++}`);
      client.socket.pause();
      const untilMs = performance.now() + 5000;
      while (performance.now() < untilMs && !client.socket.destroyed && !over()) {
        if (client.socket.writableLength < MEBIBYTE) client.socket.write(flood);
        await pause(1);
      }
      client.end();
    }
    return rounds;
  },
};

/** Pings a node until it is told to stop. */
async function bystander(
  cluster: LocalCluster,
  node: string,
  waits: number[],
  over: () => boolean,
): Promise<void> {
  const client = await Client.connect(cluster, node, `bystander-${node}`);
  while (!over()) {
    const startMs = performance.now();
    const answered = client.answer('pingresp');
    client.send({ cmd: 'pingreq' });
    await answered;
    const waitMs = performance.now() - startMs;
    waits.push(waitMs);
    await pause(Math.max(0, PING_EVERY_MS - waitMs));
  }
  client.end();
}

async function electionsOf(cluster: LocalCluster): Promise<number> {
  const texts = await Promise.all(
    cluster.names.map(async (name) => String((await cluster.get(name, '/metrics'))?.body ?? '')),
  );
  return texts.reduce(
    (sum, text) => sum + Number(/^shoal_elections_total(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1] ?? 0),
    0,
  );
}

async function measure(cluster: LocalCluster, input: string, seconds: number): Promise<Figures> {
  const waits: number[] = [];
  const before = await electionsOf(cluster);
  let resident = 0;
  let done = false;
  // Counts from when the input is ready.
  let endMs = 0;
  const over = () => {
    endMs ||= performance.now() + seconds * 1000;
    return performance.now() > endMs;
  };
  const watching = Promise.allSettled(
    cluster.names.map((node) => bystander(cluster, node, waits, () => done)),
  );
  const memory = (async () => {
    for (; !done; await pause(250))
      for (const name of cluster.names)
        if (cluster.isUp(name)) resident = Math.max(resident, residentBytes(cluster.pid(name)));
  })();
  const rounds = await INPUTS[input]!(cluster, over);
  await pause(CALM_MS);
  done = true;
  await memory;
  const alive = (await watching).every(({ status }) => status === 'fulfilled');
  waits.sort((a, b) => a - b);
  return {
    input,
    rounds,
    pingP99Ms: waits[Math.floor(waits.length * 0.99)] ?? 0,
    pingMaxMs: waits.at(-1) ?? 0,
    elections: (await electionsOf(cluster)) - before,
    residentMiB: resident / MEBIBYTE,
    alive: alive && cluster.names.every((name) => cluster.isUp(name)),
  };
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const cluster = await LocalCluster.create({ nodes: 3, keep: values.keep });
const results: Figures[] = [];
try {
  for (const input of Object.keys(INPUTS)) {
    if (!input.includes(values.only)) continue;
    const f = await measure(cluster, input, Number(values.seconds));
    results.push(f);
    console.log(
      `${f.alive && f.elections === 0 ? 'ok  ' : 'FAIL'} ${input}: ${f.rounds} times, ping p99 ` +
        `${f.pingP99Ms.toFixed(0)} ms, longest ${f.pingMaxMs.toFixed(0)} ms` +
        `${f.pingMaxMs > PING_MS_MAX ? ` (above ${PING_MS_MAX})` : ''}, ${f.elections} elections, ` +
        `${f.residentMiB.toFixed(0)} MiB`,
    );
  }
} finally {
  await cluster.stop();
}
if (values.json !== undefined)
  fs.writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
process.exitCode = results.every((f) => f.alive && f.elections === 0) ? 0 : 1;
