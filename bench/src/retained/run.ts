/** One run: retained messages are published, read in each way, and outlive restarts; all of it is watched. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LocalCluster } from '../chaos/cluster.ts';
import { encodeRetained, type Qos } from '../load/codec.ts';
import { type ConnectionListener, LoadConnection } from '../load/connection.ts';
import { isSettled, treePrivateBytes } from '../proc/memory.ts';
import { Bystanders } from './bystander.ts';
import { ALL, Arrivals, payloadOf, SOME, someOf, topicOf } from './topics.ts';

export interface RetainedOptions {
  readonly nodes: number;
  readonly topics: number;
  /** Further flags of `shoal start`. */
  readonly startArgs: readonly string[];
  /** Longest wait for memory to come to rest, and for nodes to be ready. */
  readonly settleMaxMs: number;
  readonly readyMaxMs: number;
  /** Longest that one step may take. */
  readonly stepMaxMs: number;
  readonly keep: boolean;
  readonly onStep: (step: StepFigures) => void;
}

/** What one step took, and what was felt meanwhile. */
export interface StepFigures {
  readonly step: string;
  readonly seconds: number;
  /** Messages published or received; for restarts 0. */
  readonly messages: number;
  readonly repeated: number;
  /** Longest pause of any node's main loop, by the clock and by its own CPU time. */
  readonly loopPauseMs: number;
  readonly loopPauseCpuMs: number;
  readonly pings: number;
  readonly pingP99Ms: number;
  readonly pingLongestMs: number;
}

export interface Footprint {
  /** Private memory and disk of each node, in bytes. */
  readonly memory: readonly number[];
  readonly disk: readonly number[];
}

export interface RetainedFigures {
  readonly steps: readonly StepFigures[];
  readonly empty: Footprint;
  readonly full: Footprint;
  readonly restarted: Footprint;
}

const HOST = '127.0.0.1';
const PUBLISHERS_PER_NODE = 4;
const IN_FLIGHT = 100;
const SAMPLE_MS = 500;
const SETTLED_SAMPLES = 8;
const SETTLED_SHARE = 0.01;
/** A line of the watch is written this often. */
const WATCH_MS = 300;

class Publisher implements ConnectionListener {
  readonly #next: () => number | undefined;
  readonly #done: (error?: Error) => void;
  #inFlight = 0;

  constructor(next: () => number | undefined, done: (error?: Error) => void) {
    this.#next = next;
    this.#done = done;
  }

  fill(connection: LoadConnection): void {
    while (this.#inFlight < IN_FLIGHT) {
      const i = this.#next();
      if (i === undefined) break;
      this.#inFlight++;
      connection.write(encodeRetained(topicOf(i), connection.takePacketId(), payloadOf(i)));
    }
    if (this.#inFlight === 0) this.#done();
  }

  onMessage(): void {}

  onPublished(connection: LoadConnection): void {
    this.#inFlight--;
    this.fill(connection);
  }

  onLost(): void {
    this.#done(new Error('a publisher was disconnected'));
  }
}

class Run {
  readonly #options: RetainedOptions;
  readonly #cluster: LocalCluster;
  readonly #steps: StepFigures[] = [];
  #clients = 0;

  constructor(cluster: LocalCluster, options: RetainedOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  async measure(): Promise<RetainedFigures> {
    const { topics } = this.#options;
    const names = this.#cluster.names;
    const empty = await this.#footprint();
    await this.#step('publish', names, async () => {
      await this.#publish();
      return { messages: topics, repeated: 0 };
    });
    const full = await this.#footprint();
    await this.#step(`${ALL} live QoS 0`, names, () => this.#read(ALL, 0, topics, true));
    await this.#step(`${ALL} live QoS 1`, names, () => this.#read(ALL, 1, topics, true));
    await this.#step(`${ALL} persistent QoS 1`, names, () => this.#read(ALL, 1, topics, false));
    await this.#step(`${ALL} persistent, hopping`, names, () => this.#hop());
    const some = someOf(topics);
    await this.#step(`${SOME} live QoS 1`, names, () => this.#read(SOME, 1, some, true));
    await this.#step(`${SOME} persistent QoS 1`, names, () => this.#read(SOME, 1, some, false));
    if (names.length > 1) await this.#restartOne(names.at(-1)!, names.slice(0, -1));
    await this.#restartAll();
    const restarted = await this.#footprint();
    await this.#step(`${ALL} live QoS 1, restarted`, names, () => this.#read(ALL, 1, topics, true));
    return { steps: this.#steps, empty, full, restarted };
  }

  async #publish(): Promise<void> {
    let at = 0;
    const next = () => (at < this.#options.topics ? at++ : undefined);
    const lanes = this.#cluster.names.flatMap((node) =>
      Array.from({ length: PUBLISHERS_PER_NODE }, () => node),
    );
    await Promise.all(
      lanes.map(async (node) => {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const publisher = new Publisher(next, (error) => (error ? reject(error) : resolve()));
        const connection = await this.#connect(node, true, publisher);
        publisher.fill(connection);
        await promise;
        await connection.close();
      }),
    );
  }

  #connect(
    node: string,
    cleanSession: boolean,
    listener: ConnectionListener,
    clientId = `retained-${this.#clients++}`,
  ): Promise<LoadConnection> {
    const { port } = this.#cluster.endpoint(node);
    const options = { host: HOST, port, transport: 'tcp', clientId, cleanSession } as const;
    return LoadConnection.open(0, options, listener);
  }

  /** A client of the first node subscribes and has all that is retained. */
  async #read(filter: string, qos: Qos, count: number, clean: boolean) {
    const arrivals = new Arrivals(this.#options.topics);
    const clientId = `reader-${this.#clients++}`;
    const node = this.#cluster.names[0]!;
    const connection = await this.#connect(node, clean, arrivals, clientId);
    await connection.subscribe(filter, qos);
    await arrivals.reach(count);
    await connection.close();
    if (!clean) await this.#endSession(node, clientId);
    return { messages: arrivals.distinct, repeated: arrivals.repeated };
  }

  /** The cursor of a persistent session survives its connections: it reads on at the next node. */
  async #hop() {
    const { names } = this.#cluster;
    const { topics } = this.#options;
    const arrivals = new Arrivals(topics);
    const clientId = `hopper-${this.#clients++}`;
    for (let hop = 0; hop <= names.length; hop++) {
      const node = names[hop % names.length]!;
      const connection = await this.#connect(node, false, arrivals, clientId);
      if (hop === 0) await connection.subscribe(ALL, 1);
      await arrivals.reach(Math.ceil((topics * (hop + 1)) / (names.length + 1)));
      if (hop === names.length) await connection.close();
      else connection.destroy();
    }
    await this.#endSession(names[0]!, clientId);
    return { messages: arrivals.distinct, repeated: arrivals.repeated };
  }

  async #endSession(node: string, clientId: string): Promise<void> {
    const connection = await this.#connect(node, true, new Arrivals(0), clientId);
    await connection.close();
  }

  async #restartOne(name: string, others: readonly string[]): Promise<void> {
    await this.#step(`${name} stops, and starts until it serves`, others, async () => {
      await this.#cluster.kill(name, 'SIGTERM');
      await this.#cluster.start(name);
      return { messages: 0, repeated: 0 };
    });
    await this.#step(`${name} until its copies are in place`, others, () => this.#whole());
  }

  async #restartAll(): Promise<void> {
    const { names } = this.#cluster;
    await Promise.all(names.map((name) => this.#cluster.kill(name, 'SIGTERM')));
    await this.#step('all start until they serve', [], async () => {
      await Promise.all(names.map((name) => this.#cluster.start(name)));
      return { messages: 0, repeated: 0 };
    });
    await this.#step('all until their copies are in place', names, () => this.#whole());
  }

  async #whole() {
    const { readyMaxMs } = this.#options;
    if (!(await this.#cluster.whole(readyMaxMs)))
      throw new Error(`not whole in ${readyMaxMs} ms:\n${await this.#cluster.describe()}`);
    return { messages: 0, repeated: 0 };
  }

  /** @param watched nodes that have a bystander */
  async #step(
    step: string,
    watched: readonly string[],
    run: () => Promise<{ messages: number; repeated: number }>,
  ): Promise<void> {
    const bystanders = new Bystanders(watched.map((name) => this.#cluster.endpoint(name).port));
    const { stepMaxMs } = this.#options;
    const late = AbortSignal.timeout(stepMaxMs);
    try {
      await bystanders.take();
      const wallMs = Date.now();
      const startMs = performance.now();
      const over = new Promise<never>((_resolve, reject) =>
        late.addEventListener('abort', () => reject(new Error(`${step}: not in ${stepMaxMs} ms`))),
      );
      const { messages, repeated } = await Promise.race([run(), over]);
      const seconds = (performance.now() - startMs) / 1000;
      const { pings, p99Ms, longestMs } = await bystanders.take();
      await pause(WATCH_MS);
      const figures = {
        step,
        seconds,
        messages,
        repeated,
        ...longestPause(this.#cluster.folder, wallMs),
        pings,
        pingP99Ms: p99Ms,
        pingLongestMs: longestMs,
      };
      this.#steps.push(figures);
      this.#options.onStep(figures);
    } finally {
      await bystanders.end();
    }
  }

  /** Once memory has come to rest, or does not. */
  async #footprint(): Promise<Footprint> {
    const { names } = this.#cluster;
    const sample = () => names.map((name) => treePrivateBytes(this.#cluster.pid(name)));
    const sums: number[] = [];
    let memory = sample();
    const endMs = performance.now() + this.#options.settleMaxMs;
    while (!isSettled(sums, SETTLED_SAMPLES, SETTLED_SHARE) && performance.now() < endMs) {
      await pause(SAMPLE_MS);
      memory = sample();
      sums.push(memory.reduce((sum, bytes) => sum + bytes, 0));
    }
    return { memory, disk: names.map((name) => diskBytes(this.#cluster.dataDir(name))) };
  }
}

/** Blocks of the folder's files. */
function diskBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).blocks * 512, 0);
}

const WATCH_FILE = 'loop-watch';

/** Over all nodes, of lines written since; 0 if none was. */
function longestPause(folder: string, sinceWallMs: number) {
  let loopPauseMs = 0;
  let loopPauseCpuMs = 0;
  for (const name of readdirSync(folder).filter((file) => file.startsWith(WATCH_FILE)))
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n')) {
      const [wallMs = 0, pauseMs = 0, cpuMs = 0] = line.split(' ').map(Number);
      if (wallMs <= sinceWallMs) continue;
      loopPauseMs = Math.max(loopPauseMs, pauseMs);
      loopPauseCpuMs = Math.max(loopPauseCpuMs, cpuMs);
    }
  return { loopPauseMs, loopPauseCpuMs };
}

/** @throws Error if a message is missing, a node ends, or a step takes too long */
export async function runRetained(options: RetainedOptions): Promise<RetainedFigures> {
  const { nodes, startArgs, readyMaxMs, keep } = options;
  const cluster = LocalCluster.prepare({
    nodes,
    startArgs,
    readyTimeoutMs: readyMaxMs,
    keep,
    env: (folder) => ({
      NODE_OPTIONS: `--import=${fileURLToPath(new URL('loop-watch.ts', import.meta.url))}`,
      SHOAL_LOOP_WATCH: join(folder, WATCH_FILE),
    }),
  });
  const stop = (): void => void cluster.stop().then(() => process.exit(130));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    await cluster.form();
    return await new Run(cluster, options).measure();
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
    await cluster.stop();
  }
}
