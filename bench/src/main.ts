/**
 * `npm run bench`: Shoal, mosquitto and aedes measured in one run, interleaved, broker on one core
 * and load on the other. See ../README.md for what the figures mean.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BrokerName, brokerVersion, startBroker, supports } from './brokers/broker.ts';
import type { LoadReport, LoadTask } from './load/result.ts';
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { interleave, type Step, taskOf, transportOf } from './plan.ts';
import { printProfiles } from './profile.ts';
import { idleRows, type StepResult, trafficRows } from './summary.ts';
import { failures, idleTable, trafficTable } from './table.ts';

const BROKER_CORE = 0;
const LOAD_CORE = 1;
/** Far beyond any step; ends a run whose broker neither answers nor fails. */
const STEP_TIMEOUT_MS = 300_000;

const here = dirname(fileURLToPath(import.meta.url));

async function main(): Promise<number> {
  let options: BenchOptions;
  try {
    options = parseOptions(process.argv.slice(2), Math.floor(Math.random() * 2 ** 32));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const installed = options.brokers.filter((name) => {
    const found = brokerVersion(name, options.before) !== null;
    if (!found) console.error(`${name} is not installed: left out`);
    return found;
  });
  const pin = options.pin && cpus().length > LOAD_CORE;
  if (options.pin && !pin) console.error('one core only: nothing is pinned, figures mean little');
  const { sizes, scenarios, seed } = options;
  const steps = interleave(sizes.rounds, scenarios, installed, seed).filter(
    ({ broker, scenario }) => supports(broker, transportOf(scenario)),
  );
  const results: StepResult[] = [];
  for (const [i, step] of steps.entries()) {
    const position = `[${i + 1}/${steps.length}]`;
    process.stderr.write(`${position} round ${step.round + 1} ${step.scenario} ${step.broker}\n`);
    results.push(await runStep(step, options, pin));
  }
  report(options, installed, results, pin);
  return results.some((r) => r.error !== undefined) ? 1 : 0;
}

/** One broker started afresh, one task run against it, the broker ended. Errors become results. */
async function runStep(step: Step, options: BenchOptions, pin: boolean): Promise<StepResult> {
  try {
    const transport = transportOf(step.scenario);
    const profileDir = options.profile ? join(here, '../results/profiles') : null;
    if (profileDir !== null) mkdirSync(profileDir, { recursive: true });
    const broker = await startBroker(
      step.broker,
      pin ? BROKER_CORE : null,
      options.before,
      profileDir,
      transport,
    );
    try {
      const { host, port, pid: brokerPid } = broker;
      const loaded = { host, port, transport, brokerPid };
      const task = taskOf(step.scenario, options.sizes, loaded, options.seed);
      const answer = await runLoad(task, pin ? LOAD_CORE : null);
      if (answer.type === 'failed') return { ...step, error: answer.message };
      if (answer.type === 'idle') return { ...step, idle: answer.steps };
      return { ...step, measurements: answer.measurements };
    } finally {
      await broker.stop();
      if (profileDir !== null) printProfiles(profileDir, step.broker, broker.pid);
    }
  } catch (error) {
    return { ...step, error: String(error) };
  }
}

/** However this process ends by itself, its child does not outlive it. */
function killAtExit(child: ChildProcess): () => void {
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  return () => process.removeListener('exit', kill);
}

async function runLoad(task: LoadTask, core: number | null): Promise<LoadReport> {
  const worker: ChildProcess =
    core === null
      ? fork(join(here, 'load-worker.ts'))
      : fork(join(here, 'load-worker.ts'), {
          execPath: 'taskset',
          execArgv: ['-c', String(core), process.execPath, ...process.execArgv, '--no-warnings'],
        });
  const forget = killAtExit(worker);
  const timer = setTimeout(() => worker.kill('SIGKILL'), STEP_TIMEOUT_MS);
  try {
    const answer = new Promise<LoadReport>((resolve) => {
      worker.once('message', (message) => resolve(message as LoadReport));
      worker.once('error', (error) => resolve({ type: 'failed', message: String(error) }));
      worker.once('exit', (code, signal) =>
        resolve({ type: 'failed', message: `load generator ended with ${code ?? signal}` }),
      );
    });
    worker.send(task);
    const report = await answer;
    if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
    return report;
  } finally {
    clearTimeout(timer);
    forget();
  }
}

function report(
  options: BenchOptions,
  brokers: readonly BrokerName[],
  results: readonly StepResult[],
  pinned: boolean,
): void {
  const traffic = trafficRows(results);
  const idle = idleRows(results);
  const commit = brokerVersion('shoal', null) ?? 'unknown';
  const date = new Date().toISOString();
  const about = {
    date,
    commit,
    node: process.version,
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryBytes: totalmem(),
      kernel: release(),
    },
    pinned,
    quick: options.quick,
    seed: options.seed,
    brokers: Object.fromEntries(brokers.map((name) => [name, brokerVersion(name, options.before)])),
    sizes: options.sizes,
  };
  const { cpu, cores } = about.machine;
  console.log(`\n${date.slice(0, 10)}  commit ${commit}  Node ${about.node}  ${cores} × ${cpu}`);
  console.log(`seed ${options.seed}  medians of ${options.sizes.rounds} round(s)\n`);
  if (traffic.length > 0) console.log(`${trafficTable(traffic)}\n`);
  if (idle.length > 0) console.log(`${idleTable(idle)}\n`);
  const failed = failures(results);
  if (failed !== '') console.log(`${failed}\n`);
  const file = options.output ?? join(here, '../results', `${date.slice(0, 10)}-${commit}.json`);
  if (file === '-') return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ ...about, traffic, idle, results }, null, 2)}\n`);
  console.log(`written to ${file}`);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(130)); // 'exit' listeners kill the children
}
process.exitCode = await main();
