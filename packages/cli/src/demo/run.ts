/** Plays the demo once, and cleans up in any case. */
import { constants } from 'node:os';
import { DemoCluster } from './cluster.ts';
import { farewell } from './farewell.ts';
import { duration, Reporter } from './reporter.ts';
import { Story } from './story.ts';
import type { Summary } from './summary.ts';

export interface DemoOptions {
  readonly once: boolean;
  /** Of each QoS, 10 to 100,000. */
  readonly messages: number;
  readonly json: boolean;
  readonly keepData: boolean;
}

/** Signals this close together are one wish to end. */
const SAME_CTRL_C_MS = 500;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** @returns exit code: 0 all held, 1 not, 128 + signal if it was interrupted before the end */
export async function runDemo(options: DemoOptions): Promise<number> {
  const startMs = performance.now();
  const reporter = new Reporter(options.json ? process.stderr : process.stdout);
  const cluster = new DemoCluster({ keepData: options.keepData });
  const killNodes = () => cluster.kill();
  process.once('exit', killNodes);
  const interrupted = awaitSignal();
  let code: number;
  try {
    const story = play(cluster, reporter, options, startMs);
    story.catch(() => undefined); // an interrupt may have won already
    const first = await Promise.race([story, interrupted.signal]);
    if (typeof first === 'string') {
      code = 128 + constants.signals[first];
    } else {
      code = first.ok ? 0 : 1;
      if (first.ok && !options.once) await stayUp(cluster, reporter, interrupted.signal);
    }
  } catch (error) {
    reporter.check(false, (error as Error).message);
    code = 1;
  }
  reporter.wipe();
  if (options.keepData) reporter.say(`\nData and logs are kept in ${cluster.folder}`);
  await cluster.stop();
  interrupted.stop();
  process.removeListener('exit', killNodes);
  return code;
}

async function play(
  cluster: DemoCluster,
  reporter: Reporter,
  options: DemoOptions,
  startMs: number,
): Promise<Summary> {
  reporter.title('Shoal: a persistent MQTT session survives the kill of the node that leads it');
  const summary = await new Story(cluster, reporter, options.messages).play();
  const failed = summary.checks.filter((check) => !check.ok).length;
  const checked = `${summary.checks.length - failed} of ${summary.checks.length} checks held`;
  reporter.say('');
  reporter.check(summary.ok, `${checked}, in ${duration(performance.now() - startMs)}`);
  if (!summary.ok && !options.keepData) {
    reporter.say('The nodes’ logs are removed with their data; --keep-data keeps both.');
  }
  if (options.json) process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
  return summary;
}

async function stayUp(
  cluster: DemoCluster,
  reporter: Reporter,
  signal: Promise<NodeJS.Signals>,
): Promise<void> {
  const nodes = cluster.nodes.map(({ name, pid, settings }) => ({
    name,
    pid,
    mqtt: settings.mqtt,
    admin: settings.admin,
  }));
  reporter.say(`\n${farewell(nodes, cluster.folder)}`);
  await signal;
  reporter.say('\nStopping the nodes and removing their data.');
}

/** The first signal resolves; a later one ends the process at once (the guard cleans up). */
function awaitSignal(): { readonly signal: Promise<NodeJS.Signals>; stop(): void } {
  let firstMs: number | null = null;
  const { promise: signal, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const onSignal = (name: NodeJS.Signals) => {
    const nowMs = performance.now();
    firstMs ??= nowMs;
    // Under `npm start` one Ctrl-C arrives twice: from the terminal, and passed on by npm.
    if (nowMs - firstMs > SAME_CTRL_C_MS) process.exit(128 + constants.signals[name]);
    resolve(name);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal,
    stop: () => {
      for (const name of SIGNALS) process.removeListener(name, onSignal);
    },
  };
}
