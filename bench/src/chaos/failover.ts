/**
 * How long is a persistent session out of reach when the node that leads it is killed?
 *
 *   npm run failover -- --runs 50 --nodes 3 --json failover.json
 *
 * Each run: a client subscribes and leaves, messages are queued for it, the node that leads its
 * session is sent SIGKILL, and the client returns through another node. Measured is the time from
 * the signal to the first of the queued messages. Then everything queued has to arrive, once and in
 * order, and the node is restarted.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Prng } from '@shoal/swim/sim';
import { circumstances, integer, runProgram, writeJson } from '../program.ts';
import { Checker, type Verdict } from './checker.ts';
import { ChaosClient } from './client.ts';
import { LocalCluster } from './cluster.ts';
import { type Distribution, distribution, histogram } from './figures.ts';
import { History } from './history.ts';
import type { Endpoint } from './wire.ts';

const USAGE = `npm run failover -- [options]
  --runs N        kills, 1 to 10,000                                     (50)
  --nodes N       nodes, 3 to 9                                          (3)
  --messages N    messages queued in each run, 2 to 100,000              (100)
  --seed X        draws the choices of the run                           (random)
  --json FILE     writes the report
  --keep          leave data and logs behind
  --help          this

Exit code: 0 nothing was violated, 1 something was, 2 wrong usage.`;

export interface FailoverOptions {
  readonly cluster: LocalCluster;
  readonly runs: number;
  /** Messages queued for the session in each run, half of them QoS 2. */
  readonly messages: number;
  readonly seed: string;
  readonly onRun?: (run: number, figures: FailoverRun) => void;
}

export interface FailoverRun {
  readonly leader: string;
  readonly resumedAt: string;
  /** SIGKILL of the leader to CONNACK with session present at another node. */
  readonly connackMs: number;
  /** SIGKILL of the leader to the first queued message at another node. */
  readonly firstMessageMs: number;
  /** SIGKILL of the leader to the last queued message. */
  readonly lastMessageMs: number;
}

export interface FailoverReport {
  readonly runs: readonly FailoverRun[];
  readonly connackMs: Distribution | null;
  readonly firstMessageMs: Distribution | null;
  readonly lastMessageMs: Distribution | null;
  readonly verdict: Verdict;
}

/** How long the client keeps trying before a run counts as failed. */
const GIVE_UP_MS = 60_000;

export async function measureFailover(options: FailoverOptions): Promise<FailoverReport> {
  const checker = new Checker();
  const history = new History({
    nowMs: () => performance.now(),
    listeners: [(event) => checker.observe(event)],
  });
  const random = new Prng(options.seed);
  const runs: FailoverRun[] = [];
  for (let run = 1; run <= options.runs; run++) {
    const figures = await failOver(options, history, random, `failover-${options.seed}-${run}`);
    runs.push(figures);
    options.onRun?.(run, figures);
  }
  return {
    runs,
    connackMs: distribution(runs.map(({ connackMs }) => connackMs)),
    firstMessageMs: distribution(runs.map(({ firstMessageMs }) => firstMessageMs)),
    lastMessageMs: distribution(runs.map(({ lastMessageMs }) => lastMessageMs)),
    verdict: checker.verdict(),
  };
}

async function failOver(
  { cluster, messages }: FailoverOptions,
  history: History,
  random: Prng,
  id: string,
): Promise<FailoverRun> {
  const common = { history, random: () => random.next() };
  const version = random.chance(0.5) ? 4 : 5;
  const reader = new ChaosClient({ ...common, clientId: id, version, connectTimeoutMs: 2_000 });
  const writer = new ChaosClient({ ...common, clientId: `${id}-writer`, version: 5 });
  const topic = `failover/${id}`;
  await connected(reader, cluster.endpoint(random.pick(cluster.names)));
  await reader.subscribe(topic, 2);
  await reader.disconnect('graceful');
  await connected(writer, cluster.endpoint(random.pick(cluster.names)));
  await queueMessages(writer, topic, messages);
  await writer.disconnect('graceful');

  const leader = await leaderOf(cluster, id);
  const others = cluster.names.filter((name) => name !== leader);
  const seen = countMessages(reader);
  const killedAtMs = performance.now();
  const killed = cluster.kill(leader, 'SIGKILL');
  history.append({
    type: 'killed',
    node: leader,
    signal: 'SIGKILL',
    inFlight: 0,
    inFlightThere: 0,
  });
  const resumedAt = await resume(reader, others, cluster, killedAtMs);
  const connackMs = performance.now() - killedAtMs;
  const firstAtMs = await within(seen.first, `${id}: no queued message at ${resumedAt}`);
  const lastAtMs = await within(seen.nth(messages), `${id}: not all queued messages came`);
  await killed;
  await reader.disconnect('graceful');
  await cluster.start(leader);
  if (!(await cluster.whole(60_000))) {
    throw new Error(`not whole 60 s after the restart of ${leader}:\n${await cluster.describe()}`);
  }
  return {
    leader,
    resumedAt,
    connackMs,
    firstMessageMs: firstAtMs - killedAtMs,
    lastMessageMs: lastAtMs - killedAtMs,
  };
}

/** One attempt that has to succeed: the cluster is whole. */
async function connected(client: ChaosClient, endpoint: Endpoint): Promise<void> {
  if ((await client.connect(endpoint)) === undefined) {
    throw new Error(`${client.clientId} could not connect to ${endpoint.node}`);
  }
}

async function queueMessages(writer: ChaosClient, topic: string, messages: number): Promise<void> {
  const { promise: acknowledged, resolve } = Promise.withResolvers<void>();
  let acks = 0;
  writer.onAcked = () => {
    if (++acks === messages) resolve();
  };
  const numbers: Record<1 | 2, number> = { 1: 0, 2: 0 };
  for (let i = 0; i < messages; i++) {
    const qos = i % 2 === 0 ? 1 : 2;
    writer.publish({ publisher: writer.clientId, topic, qos, seq: numbers[qos]++ });
  }
  await within(acknowledged, `${writer.clientId}: not all messages were acknowledged`);
}

async function leaderOf(cluster: LocalCluster, clientId: string): Promise<string> {
  const route = `/api/v1/sessions/${encodeURIComponent(clientId)}/explain`;
  for (const name of cluster.names) {
    const answer = await cluster.get(name, route);
    const leader = (answer?.body as { leader?: unknown } | undefined)?.leader;
    if (typeof leader === 'string') return leader;
  }
  throw new Error(`no node knows who leads the session ${clientId}`);
}

/** Tries the nodes in turn until one resumes the session. */
async function resume(
  reader: ChaosClient,
  nodes: readonly string[],
  cluster: LocalCluster,
  sinceMs: number,
): Promise<string> {
  for (let attempt = 0; performance.now() - sinceMs < GIVE_UP_MS; attempt++) {
    const node = nodes[attempt % nodes.length] as string;
    if ((await reader.connect(cluster.endpoint(node))) !== undefined) return node;
    await pause(20);
  }
  throw new Error(`${reader.clientId} could not resume within ${GIVE_UP_MS} ms`);
}

function countMessages(reader: ChaosClient): {
  first: Promise<number>;
  nth: (n: number) => Promise<number>;
} {
  const times: number[] = [];
  const distinct = new Set<string>();
  const waiting = new Map<number, (atMs: number) => void>();
  reader.onMessage = ({ qos, seq }) => {
    const known = distinct.size;
    if (distinct.add(`${qos}#${seq}`).size === known) return;
    times.push(performance.now());
    waiting.get(times.length)?.(times.at(-1) as number);
  };
  const nth = (n: number): Promise<number> => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const atMs = times[n - 1];
    if (atMs === undefined) waiting.set(n, resolve);
    else resolve(atMs);
    return promise;
  };
  return { first: nth(1), nth };
}

async function within<T>(wanted: Promise<T>, otherwise: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(otherwise)), GIVE_UP_MS);
  try {
    return await Promise.race([wanted, promise]);
  } finally {
    clearTimeout(timer);
  }
}

interface Arguments {
  readonly runs: number;
  readonly nodes: number;
  readonly messages: number;
  readonly seed: string;
  readonly json: string | undefined;
  readonly keep: boolean;
}

function readArguments(): Arguments | undefined {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '50' },
      nodes: { type: 'string', default: '3' },
      messages: { type: 'string', default: '100' },
      seed: { type: 'string', default: Math.random().toString(36).slice(2, 8) },
      json: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    runs: integer('runs', values.runs, 1, 10_000),
    nodes: integer('nodes', values.nodes, 3, 9),
    messages: integer('messages', values.messages, 2, 100_000),
    seed: values.seed,
    json: values.json,
    keep: values.keep,
  };
}

async function main(args: Arguments): Promise<void> {
  const { runs, nodes, messages, seed, keep } = args;
  console.log(`seed ${seed}: ${runs} runs, ${nodes} nodes`);
  const cluster = await LocalCluster.create({ nodes, keep });
  const stop = (): void => void cluster.stop().then(() => process.exit(130));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const report = await measureFailover({
      cluster,
      runs,
      messages,
      seed,
      onRun: (run, r) =>
        console.log(
          `run ${run}/${runs}: killed ${r.leader}; at ${r.resumedAt} CONNACK after ` +
            `${Math.round(r.connackMs)} ms, first message ${Math.round(r.firstMessageMs)} ms, ` +
            `last ${Math.round(r.lastMessageMs)} ms`,
        ),
    });
    const times = report.runs.map(({ firstMessageMs }) => firstMessageMs);
    console.log('\nSIGKILL of the leader to the first queued message at another node:');
    console.log(histogram(times).join('\n'));
    console.log(`ms: ${JSON.stringify(report.firstMessageMs)}`);
    console.log(`CONNACK, ms: ${JSON.stringify(report.connackMs)}`);
    console.log(`violations: ${JSON.stringify(report.verdict.counts)}`);
    console.log(report.verdict.ok ? 'PASSED' : 'FAILED');
    if (args.json) writeJson(args.json, { ...circumstances(), args, report });
    process.exitCode = report.verdict.ok ? 0 : 1;
  } finally {
    await cluster.stop();
  }
}

if (import.meta.main) await runProgram(USAGE, readArguments, main);
