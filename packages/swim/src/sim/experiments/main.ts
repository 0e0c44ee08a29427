/**
 * `npm run sim:swim`: experiments on membership in virtual time.
 *
 * Prints tables and whether the bars are met, and writes JSON and pictures; exits 1 when a bar is
 * missed, 2 on wrong usage.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatReport, type Report, type Scenario } from './report.ts';
import { SCENARIOS } from './scenarios.ts';
import { chartSvg } from './svg.ts';

const HELP = `npm run sim:swim -- --scenario NAME [options]

Whole clusters in virtual time, drawn from one seed: the same seed gives the same trace hash.

  --scenario NAME   what to run; may be repeated; 'all' for all:
${SCENARIOS.map(({ name, summary }) => `      ${name.padEnd(12)} ${summary}`).join('\n')}
  --nodes N         members, 2 to 10,000; default: the scenario's own
  --seed X          any text; default 1
  --repeats N       runs per measured point; default: the scenario's own
  --full            the long version: more runs, sizes and loss rates
  --out DIR         where NAME.json and its pictures go; default bench/results/swim
  --json            print the JSON instead of tables
  --help            this

Network: one-way latency log-normal, median 0.5 ms, sigma 0.5; loss as the tables say. The baseline is
memberlist's algorithm with its LAN preset (docs/adr/0011-the-baseline-of-membership.md).
Exit code: 0 all bars met, 1 a bar missed, 2 wrong usage.`;

interface Settings {
  readonly scenarios: readonly Scenario[];
  readonly nodes: number | undefined;
  readonly repeats: number | undefined;
  readonly seed: string;
  readonly full: boolean;
  readonly out: string;
  readonly json: boolean;
}

function parse(): Settings | string {
  const { values } = parseArgs({
    options: {
      scenario: { type: 'string', multiple: true },
      nodes: { type: 'string' },
      seed: { type: 'string', default: '1' },
      repeats: { type: 'string' },
      full: { type: 'boolean', default: false },
      out: { type: 'string', default: 'bench/results/swim' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const names = values.scenario ?? [];
  if (values.help) return HELP;
  if (names.length === 0) throw new RangeError('--scenario is missing: name one, or all');
  const scenarios = SCENARIOS.filter(({ name }) => names.includes(name) || names.includes('all'));
  for (const name of names) {
    if (name === 'all' || SCENARIOS.some((scenario) => scenario.name === name)) continue;
    throw new RangeError(`unknown scenario '${name}'`);
  }
  return {
    scenarios,
    nodes: integer('nodes', values.nodes, 2, 10_000),
    repeats: integer('repeats', values.repeats, 1, 100_000),
    seed: values.seed,
    full: values.full,
    out: values.out,
    json: values.json,
  };
}

function integer(
  name: string,
  text: string | undefined,
  lo: number,
  hi: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < lo || value > hi) {
    throw new RangeError(`--${name}: '${text}' is not ${lo}..${hi}`);
  }
  return value;
}

/** Says on the error stream how far a scenario is, at most once in two seconds. */
function reporter(scenario: string): (done: number, total: number, what: string) => void {
  let lastMs = performance.now();
  return (done, total, what) => {
    const nowMs = performance.now();
    if (nowMs - lastMs < PROGRESS_INTERVAL_MS) return;
    lastMs = nowMs;
    process.stderr.write(`${scenario}: ${done} of ${total} (${what})\n`);
  };
}

/** With what makes it again: the commit, and the command. */
function write({ out, seed, nodes, repeats, full }: Settings, report: Report): void {
  mkdirSync(out, { recursive: true });
  const words = ['npm run sim:swim -- --scenario', report.scenario, '--seed', seed];
  if (nodes !== undefined) words.push('--nodes', String(nodes));
  if (repeats !== undefined) words.push('--repeats', String(repeats));
  if (full) words.push('--full');
  const made = { commit: commit(), command: words.join(' ') };
  const json = JSON.stringify({ ...made, ...report }, null, 2);
  writeFileSync(join(out, `${report.scenario}.json`), `${json}\n`);
  for (const chart of report.charts) writeFileSync(join(out, `${chart.name}.svg`), chartSvg(chart));
}

/** Of the sources; with a plus if they differ from it. */
function commit(): string {
  try {
    const run = (...args: string[]): string =>
      execFileSync('git', args, { encoding: 'utf8' }).trim();
    const dirty = run('status', '--porcelain', '--', 'packages/swim/src') === '' ? '' : '+';
    return `${run('rev-parse', '--short', 'HEAD')}${dirty}`;
  } catch {
    return 'unknown';
  }
}

async function main(settings: Settings): Promise<number> {
  let missed = 0;
  for (const scenario of settings.scenarios) {
    const startMs = performance.now();
    const report = await scenario.run({ ...settings, progress: reporter(scenario.name) });
    write(settings, report);
    const tookS = ((performance.now() - startMs) / 1000).toFixed(1);
    const shown = settings.json ? JSON.stringify(report) : `${formatReport(report)}\n${tookS} s\n`;
    console.log(shown);
    missed += report.bars.filter(({ ok }) => !ok).length;
  }
  return missed === 0 ? 0 : 1;
}

const PROGRESS_INTERVAL_MS = 2_000;

let settings: Settings | string;
try {
  settings = parse();
} catch (error) {
  console.error(`${(error as Error).message}\n\n${HELP}`);
  process.exit(2);
}
if (typeof settings === 'string') console.log(settings);
else process.exitCode = await main(settings);
