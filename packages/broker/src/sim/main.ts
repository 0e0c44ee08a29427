/**
 * `npm run sim`: whole clusters in virtual time, one per seed.
 *
 * Prints what a run did and its trace hash (a seed replays bit for bit); exits 1 with the failing
 * seeds and why. With many seeds the work is spread over threads.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { BEHAVIOURS } from './behaviours.ts';
import { brokerCore } from './broker-core.ts';
import { Coverage } from './coverage.ts';
import { FAULTS } from './faults.ts';
import { drawOptions, type SimOverrides } from './options.ts';
import { runSimulation, type SimResult } from './simulation.ts';
import { SPLIT_SHAPES } from './split.ts';

const HELP = `npm run sim -- [options]
  --seed S        seed, or the first of many; default: drawn from the clock
  --seeds N       how many seeds, from S upwards; default 1
  --within S      begins no further seed after so many seconds; default: runs all
  --nodes N       nodes, 1 to 9; default: drawn from the seed
  --shards N      shards; default: drawn
  --replicas N    copies; default: drawn
  --durability D  disk or memory; default: drawn
  --chaos MS      virtual time in which faults strike; default: drawn
  --fault NAME    exactly these faults (may be repeated; 'none' for none); default: drawn
  --behaviour NAME  exactly these behaviours of clients (may be repeated; 'none' for none)
  --split SHAPE   how the cluster is cut after the faults, or 'none'; default: drawn
  --transcript    print what happened, readably
  --coverage      print faults × phases even for one seed
  --threads N     worker threads; default: one per core
  --keep-going    run all seeds even after failures`;

/** Failures printed in full. */
const FAILURES_SHOWN_MAX = 20;
/** Lines of transcript printed with `--transcript`. */
const PROGRESS_EVERY_MS = 10_000;

interface Job {
  readonly overrides: SimOverrides;
  readonly transcript: boolean;
}

interface Settings extends Job {
  readonly seed: number;
  readonly seeds: number;
  readonly threads: number;
  /** When no further seed is begun, on the clock of `performance`. */
  readonly untilMs: number;
  readonly coverage: boolean;
  readonly keepGoing: boolean;
}

function runSeed(seed: number, job: Job): SimResult {
  return runSimulation({
    options: drawOptions(seed, job.overrides),
    factory: brokerCore,
    transcript: job.transcript,
  });
}

function parse(): Settings | string {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      within: { type: 'string' },
      nodes: { type: 'string' },
      shards: { type: 'string' },
      replicas: { type: 'string' },
      chaos: { type: 'string' },
      durability: { type: 'string', multiple: true },
      split: { type: 'string' },
      fault: { type: 'string', multiple: true },
      behaviour: { type: 'string', multiple: true },
      transcript: { type: 'boolean' },
      coverage: { type: 'boolean' },
      threads: { type: 'string' },
      'keep-going': { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return HELP;
  const number = (name: string, text: string | undefined, lo: number, hi: number) => {
    if (text === undefined) return undefined;
    const n = Number(text);
    if (!Number.isInteger(n) || n < lo || n > hi)
      throw new RangeError(`--${name}: '${text}' is not ${lo}..${hi}`);
    return n;
  };
  const faults = named('fault', FAULTS, values.fault);
  const behaviours = named('behaviour', BEHAVIOURS, values.behaviour);
  const split = named(
    'split',
    SPLIT_SHAPES,
    values.split === undefined ? undefined : [values.split],
  );
  const within = number('within', values.within, 1, 1e6) ?? Number.POSITIVE_INFINITY;
  const seeds = number('seeds', values.seeds, 1, 10_000_000) ?? 1;
  return {
    seed: number('seed', values.seed, 0, 2 ** 48) ?? Date.now() % 1_000_000_000,
    seeds,
    untilMs: performance.now() + within * 1000,
    threads: Math.min(number('threads', values.threads, 1, 64) ?? availableParallelism(), seeds),
    transcript: values.transcript === true,
    coverage: values.coverage === true || seeds > 1,
    keepGoing: values['keep-going'] === true,
    overrides: {
      nodes: number('nodes', values.nodes, 1, 9),
      shards: number('shards', values.shards, 1, 1024),
      replicas: number('replicas', values.replicas, 1, 5),
      durability: named('durability', ['disk', 'memory'], values.durability)?.[0],
      chaosMs: number('chaos', values.chaos, 100, 600_000),
      faults,
      behaviours,
      split: split === undefined ? undefined : (split[0] ?? null),
    },
  };
}

/** The names given, 'none' apart, each of which must be known. */
function named<T extends string>(
  option: string,
  known: readonly T[],
  given: readonly string[] | undefined,
): T[] | undefined {
  return given
    ?.filter((name) => name !== 'none')
    .map((name) => {
      const found = known.find((other) => other === name);
      if (found === undefined) throw new RangeError(`--${option}: unknown name '${name}'`);
      return found;
    });
}

/** Sums over many runs. */
class Report {
  runs = 0;
  readonly failures: SimResult[] = [];
  readonly coverage = new Coverage();
  #virtualMs = 0;
  #faults = 0;
  #operations = 0;
  #acknowledged = 0;
  #deliveries = 0;

  add(result: SimResult): void {
    this.runs++;
    this.#virtualMs += result.virtualMs;
    this.#faults += result.faults;
    this.#operations += result.operations;
    this.#acknowledged += result.acknowledged;
    this.#deliveries += result.deliveries;
    this.coverage.add(result.coverage);
    if (result.violations.length > 0) this.failures.push(result);
  }

  line(): string {
    return (
      `${this.runs} seeds, ${(this.#virtualMs / 1000).toFixed(1)} virtual seconds, ` +
      `${this.#faults} faults, ${this.#operations} operations, ${this.#acknowledged} acknowledged, ` +
      `${this.#deliveries} delivered, ${this.failures.length} failed`
    );
  }
}

function describe(result: SimResult): string {
  const lines = [`seed ${result.seed} failed after ${result.virtualMs.toFixed(0)} virtual ms:`];
  for (const { invariant, text, atMs } of result.violations) {
    lines.push(`  invariant ${invariant}, at ${atMs.toFixed(1)} ms: ${text}`);
  }
  lines.push(`  replay: npm run sim -- --seed ${result.seed} --transcript`);
  return lines.join('\n');
}

function runHere(settings: Settings, report: Report): void {
  for (let i = 0; i < settings.seeds && performance.now() < settings.untilMs; i++) {
    const result = runSeed(settings.seed + i, settings);
    report.add(result);
    for (const line of result.transcript) console.log(line);
    if (settings.seeds === 1) {
      const o = drawOptions(settings.seed, settings.overrides);
      console.log(
        `seed ${result.seed}: ${o.nodes} nodes, ${o.shards} shards, ${o.replicas} copies, ` +
          `durability ${o.durability}, faults ${o.faults.join(' ') || 'none'}, ` +
          `behaviours ${o.workload.behaviours.join(' ') || 'none'}`,
      );
    }
    console.log(`seed ${result.seed} trace ${result.traceHash}, ${result.events} events`);
    if (result.violations.length > 0 && !settings.keepGoing) return;
  }
}

/** Hands seeds to threads as they become free. */
function runThreads(settings: Settings, report: Report): Promise<void> {
  return new Promise((resolve, reject) => {
    let next = 0;
    let running = settings.threads;
    let lastSaidMs = Date.now();
    const workers = Array.from({ length: settings.threads }, () => {
      const job: Job = { overrides: settings.overrides, transcript: settings.transcript };
      const worker = new Worker(new URL(import.meta.url), { workerData: job });
      const feed = () => {
        const failed = report.failures.length > 0 && !settings.keepGoing;
        const goesOn = !failed && performance.now() < settings.untilMs;
        if (next < settings.seeds && goesOn) worker.postMessage(settings.seed + next++);
        else {
          void worker.terminate();
          running--;
          if (running === 0) resolve();
        }
      };
      worker.on('message', (result: SimResult) => {
        report.add(result);
        if (result.violations.length > 0 && settings.keepGoing) console.error(describe(result));
        if (Date.now() - lastSaidMs > PROGRESS_EVERY_MS) {
          lastSaidMs = Date.now();
          console.error(report.line());
        }
        feed();
      });
      worker.on('error', reject);
      return feed;
    });
    for (const feed of workers) feed();
  });
}

async function main(): Promise<number> {
  let settings: Settings | string;
  try {
    settings = parse();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  }
  if (typeof settings === 'string') {
    console.log(settings);
    return 0;
  }
  const report = new Report();
  const startedMs = performance.now();
  if (settings.threads > 1) await runThreads(settings, report);
  else runHere(settings, report);
  const tookMs = performance.now() - startedMs;
  if (settings.coverage) {
    console.log(report.coverage.table());
    const struck = FAULTS.filter((_, i) => report.coverage.faults[i]! > 0);
    const missing = report.coverage.missing(struck);
    const total = struck.length * (report.coverage.hits.length / FAULTS.length);
    console.log(`fault × phase: ${total - missing.length} of ${total} hit`);
    if (missing.length > 0) console.log(`never met: ${missing.slice(0, 60).join(' ')}`);
  }
  for (const failure of report.failures.slice(0, FAILURES_SHOWN_MAX))
    console.log(describe(failure));
  if (report.failures.length > 0) {
    console.log(`failing seeds: ${report.failures.map((f) => f.seed).join(' ')}`);
  }
  console.log(
    `${report.line()}; first seed ${settings.seed}; ${(tookMs / 1000).toFixed(1)} s, ` +
      `${(tookMs / report.runs).toFixed(0)} ms a seed on ${settings.threads} threads`,
  );
  return report.failures.length > 0 ? 1 : 0;
}

if (isMainThread) process.exitCode = await main();
else {
  const job = workerData as Job;
  parentPort?.on('message', (seed: number) => parentPort?.postMessage(runSeed(seed, job)));
}
