/**
 * Ours beside hashicorp/memberlist, in real processes: 30 members each, at the defaults of both and at
 * equal settings.
 *
 *   npm run bench:beside -- --members 30 --lossy-s 60 --json beside.json
 *
 * Of each: what a member costs at rest, how soon all know of one that is killed, the longest pause that
 * nobody calls a death, and the false deaths beside a member that loses 80 % of its datagrams. memberlist is
 * that of Debian (golang-github-hashicorp-memberlist-dev, golang-go); without it only ours is measured.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { distribution } from '../chaos/figures.ts';
import { formatTable } from '../table.ts';
import { type Program, RealCluster } from './real-cluster.ts';

const PAUSES_MS = [500, 1_000, 2_000, 3_000, 5_000, 7_000, 10_000];
const IDLE_MS = 10_000;
const KILLS = 5;
const LOSES = 0.8;
const KNOWN_MS_MAX = 60_000;
/** Both at equal settings: memberlist's multipliers at our period. */
const EQUAL = { periodMs: 250, timeoutMs: 100, mult: 4, maxMult: 6 };

const USAGE = `npm run bench:beside -- [options]
  --members N     of each cluster, at least 16     (30)
  --lossy-s N     seconds beside the lossy member  (60)
  --json FILE     writes the report
  --help          this`;

interface Result {
  readonly program: string;
  readonly killedMs: readonly number[];
  readonly toleratedMs: number;
  readonly falseDeaths: number;
  readonly datagrams: number;
  readonly bytes: number;
  readonly cpuMs: number;
  readonly rssMiB: number;
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function measure(program: Program, members: number, lossyS: number): Promise<Result> {
  const cluster = new RealCluster(program);
  try {
    await cluster.form(members);
    say(`${program.name}: formed; idle for ${IDLE_MS / 1000} s`);
    await delay(3_000);
    const idle = await cluster.idle(IDLE_MS);
    const names = cluster.names;
    const killedMs: number[] = [];
    for (const name of names.slice(1, 1 + KILLS))
      killedMs.push(await cluster.kill(name, KNOWN_MS_MAX));
    say(`${program.name}: killed, known to all after ${killedMs.map(Math.round).join(', ')} ms`);
    const paused = names.slice(1 + KILLS, 1 + KILLS + PAUSES_MS.length);
    const deaths = await Promise.all(
      paused.map(async (name, n) => await cluster.pause(name, PAUSES_MS[n] as number)),
    );
    // The longest of those up to which nobody erred.
    const wrong = deaths.findIndex((count) => count > 0);
    const toleratedMs = PAUSES_MS[(wrong < 0 ? PAUSES_MS.length : wrong) - 1] ?? 0;
    await cluster.whole(KNOWN_MS_MAX);
    say(`${program.name}: paused; faulty to ${deaths.join(', ')}`);
    const lossy = names.at(-1) as string;
    const sinceMs = cluster.nowMs();
    cluster.lose(lossy, LOSES);
    await delay(lossyS * 1_000);
    const falseDeaths = cluster.deaths(sinceMs, [lossy]);
    return { program: program.name, killedMs, toleratedMs, falseDeaths, ...idle };
  } finally {
    cluster.stop();
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** @returns the program, or why there is none */
function buildMemberlist(): string | Error {
  const target = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'beside-')), 'member');
  const source = fileURLToPath(new URL('./memberlist/member.go', import.meta.url));
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPATH: '/usr/share/gocode',
    GOCACHE: path.join(path.dirname(target), 'cache'),
  };
  try {
    execFileSync('go', ['build', '-o', target, source], { env, stdio: 'pipe' });
    return target;
  } catch (error) {
    return error as Error;
  }
}

function programs(): Program[] {
  const member = fileURLToPath(new URL('./member.ts', import.meta.url));
  const ours = (name: string, config: object): Program => ({
    name,
    command: [process.execPath, '--conditions=shoal-source', member],
    task: { config },
  });
  const equal = {
    protocolPeriodMs: EQUAL.periodMs,
    probeTimeoutMs: EQUAL.timeoutMs,
    suspicionMult: EQUAL.mult,
    suspicionMaxMult: EQUAL.maxMult,
    suspicionConfirmations: EQUAL.mult - 2,
    silenceMs: 0,
    gossipIntervalMs: 200,
  };
  const all = [ours('ours, default', {}), ours('ours, equal settings', equal)];
  const built = buildMemberlist();
  if (built instanceof Error) {
    say(`memberlist is left out, it cannot be built: ${built.message.split('\n')[0]}`);
    return all;
  }
  const command = [built];
  const { periodMs, timeoutMs, mult: suspicionMult } = EQUAL;
  all.splice(1, 0, { name: 'memberlist, LAN', command, task: {} });
  all.push({
    name: 'memberlist, equal settings',
    command,
    task: { periodMs, timeoutMs, suspicionMult },
  });
  return all;
}

const COLUMNS = [
  'program',
  'killed, known to all: p50, s',
  'max',
  'pause tolerated, s',
  'healthy called dead beside a lossy one',
  'datagrams/s',
  'bytes/s',
  'CPU ms/s',
  'MiB',
];

function row(each: Result): (string | number)[] {
  const killed = distribution(each.killedMs);
  const s = (ms = Number.NaN): number => Number((ms / 1_000).toFixed(2));
  return [
    each.program,
    s(killed?.p50),
    s(killed?.max),
    s(each.toleratedMs),
    each.falseDeaths,
    Number(each.datagrams.toFixed(1)),
    Number(each.bytes.toFixed(0)),
    Number(each.cpuMs.toFixed(1)),
    Number(each.rssMiB.toFixed(0)),
  ];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      members: { type: 'string', default: '30' },
      'lossy-s': { type: 'string', default: '60' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const [members, lossyS] = [Number(values.members), Number(values['lossy-s'])];
  if (!(members >= 16 && members <= 500 && lossyS >= 1)) throw new RangeError(USAGE);
  const results: Result[] = [];
  for (const program of programs()) results.push(await measure(program, members, lossyS));
  const rows = results.map(row);
  console.log(formatTable([COLUMNS, ...rows.map((cells) => cells.map(String))], 1));
  if (values.json === undefined) return;
  const machine = { cpu: os.cpus()[0]?.model, cores: os.cpus().length, node: process.version };
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const command = `npm run bench:beside -- --members ${members} --lossy-s ${lossyS}`;
  const title = `${members} real processes of each, on loopback`;
  const tables = [{ title, columns: COLUMNS, rows }];
  const at = new Date().toISOString();
  const report = { at, commit, command, machine, equal: EQUAL, tables, results };
  fs.writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
