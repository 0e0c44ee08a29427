/**
 * Ours beside hashicorp/memberlist, in real processes: 30 members each, at the defaults of both and at
 * equal settings.
 *
 *   npm run bench:beside -- --members 30 --lossy-s 150 --json beside.json
 *
 * Of each: what a member costs at rest, the longest pause that no member calls a death, the false deaths beside a
 * member that loses 80 % of its packets, and how soon all know of one that is killed, or whose cable is out.
 * Each member has a machine of its own, a network namespace, which needs root and nftables; without
 * that all are on loopback, datagrams alone get lost, and no cable is taken out. memberlist is that of
 * Debian (golang-github-hashicorp-memberlist-dev, golang-go); without it only ours is measured.
 *
 * Exit code 0 if ours by default keeps what it promises, 1 if not.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Machines } from '../../../packages/swim/test/integration/namespaces.ts';
import { circumstances, integer, runProgram, writeJson } from '../program.ts';
import { formatTable } from '../table.ts';
import { BARS_COLUMNS, bars, COLUMNS, type Result, row } from './beside-report.ts';
import { type Program, RealCluster } from './real-cluster.ts';

const PAUSES_MS = [500, 1_000, 2_000, 3_000, 5_000, 7_000, 10_000];
const IDLE_MS = 10_000;
const KILLS = 5;
const CUTS = 3;
const LOSES = 0.8;
const KNOWN_MS_MAX = 60_000;
/** Both at equal settings: memberlist's multipliers at our period. */
const EQUAL = { periodMs: 250, timeoutMs: 100, mult: 4, maxMult: 6 };

const USAGE = `npm run bench:beside -- [options]
  --members N     of each cluster, at least 18     (30)
  --lossy-s N     seconds beside the lossy member  (150)
  --only NAME     this program alone, such as 'ours, default'; the rest of FILE stays
  --json FILE     writes the report
  --help          this`;

async function measure(
  program: Program,
  members: number,
  lossyS: number,
  machines: Machines | undefined,
): Promise<Result> {
  const cluster = new RealCluster(program, machines);
  const tell = (text: string): void => say(`${program.name}: ${text}`);
  try {
    await cluster.form(members);
    tell(`formed; idle for ${IDLE_MS / 1000} s`);
    await delay(3_000);
    const idle = await cluster.idle(IDLE_MS);
    // The founder is left alone; no member is in two of these.
    const names = cluster.names.slice(1);
    const take = (count: number): string[] => names.splice(0, count);
    const deaths = await Promise.all(
      take(PAUSES_MS.length).map(async (name, n) => {
        const durationMs = PAUSES_MS[n] as number;
        return { durationMs, ...(await cluster.pause(name, durationMs)) };
      }),
    );
    // The longest of those up to which no member erred.
    const wrong = deaths.findIndex(({ faulty }) => faulty > 0);
    const toleratedMs = PAUSES_MS[(wrong < 0 ? PAUSES_MS.length : wrong) - 1] ?? 0;
    const said = deaths.map(({ durationMs, faulty }) => `${durationMs / 1_000} s: ${faulty}`);
    tell(`paused; faulty to, after ${said.join(', ')}`);
    await cluster.whole(KNOWN_MS_MAX);
    const lossy = take(1)[0] as string;
    const sinceMs = cluster.nowMs();
    cluster.lose(lossy, LOSES);
    await delay(lossyS * 1_000);
    const falseDeaths = cluster.deaths(sinceMs, [lossy]);
    cluster.lose(lossy, 0);
    tell(`beside a lossy one for ${lossyS} s; healthy ones called dead: ${falseDeaths}`);
    await cluster.whole(KNOWN_MS_MAX);
    const killedMs: number[] = [];
    for (const name of take(KILLS)) killedMs.push(await cluster.kill(name, KNOWN_MS_MAX));
    tell(`killed, known to all after ${killedMs.map(Math.round).join(', ')} ms`);
    const cutMs: number[] = [];
    for (const name of machines === undefined ? [] : take(CUTS)) {
      cutMs.push(await cluster.unplug(name, KNOWN_MS_MAX));
    }
    tell(`cut off, known to all after ${cutMs.map(Math.round).join(', ')} ms`);
    const load = os.loadavg()[0] ?? 0;
    const found = { killedMs, cutMs, deaths, toleratedMs, falseDeaths, ...idle, load };
    return { program: program.name, ...found };
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

interface Arguments {
  readonly members: number;
  readonly lossyS: number;
  readonly only: string | undefined;
  readonly json: string | undefined;
}

function readArguments(): Arguments | undefined {
  const { values } = parseArgs({
    options: {
      members: { type: 'string', default: '30' },
      'lossy-s': { type: 'string', default: '150' },
      only: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    members: integer('members', values.members, 18, 200),
    lossyS: integer('lossy-s', values['lossy-s'], 1),
    only: values.only,
    json: values.json,
  };
}

async function main({ members, lossyS, only, json }: Arguments): Promise<void> {
  const all = programs();
  const chosen = all.filter(({ name }) => only === undefined || name === only);
  if (chosen.length === 0)
    throw new RangeError(`--only: ${all.map(({ name }) => name).join(' | ')}`);
  const missing = Machines.missing() ?? Machines.noFilter();
  if (missing !== undefined) say(`all are on loopback and none is cut off: ${missing}`);
  const results: Result[] = [];
  for (const program of chosen) {
    const machines = missing === undefined ? new Machines(members) : undefined;
    try {
      results.push(await measure(program, members, lossyS, machines));
    } finally {
      machines?.remove();
    }
  }
  const kept = only === undefined || json === undefined ? [] : before(json);
  const found = all.flatMap(({ name }) => {
    const own = ({ program }: Result): boolean => program === name;
    return results.find(own) ?? kept.find(own) ?? [];
  });
  const rows = found.map(row);
  console.log(formatTable([COLUMNS, ...rows.map((cells) => cells.map(String))], 1));
  const met = bars(results.find(({ program }) => program === all[0]?.name));
  for (const [what, wanted, measured, ok] of met) say(`${ok}: ${what}, ${wanted}: ${measured}`);
  if (met.some((cells) => cells.at(-1) !== 'yes')) process.exitCode = 1;
  if (json === undefined) return;
  const command = `npm run bench:beside -- --members ${members} --lossy-s ${lossyS}`;
  const where = missing === undefined ? 'each on a machine of its own' : 'on loopback';
  const tables = [
    { title: `${members} real processes of each, ${where}`, columns: COLUMNS, rows },
    {
      title: `What ours by default promises, ${members} real processes`,
      columns: BARS_COLUMNS,
      rows: bars(found.find(({ program }) => program === all[0]?.name)),
    },
  ];
  writeJson(json, { ...circumstances(), command, equal: EQUAL, tables, results: found });
}

function before(file: string): readonly Result[] {
  if (!fs.existsSync(file)) return [];
  return (JSON.parse(fs.readFileSync(file, 'utf8')) as { results: Result[] }).results;
}

await runProgram(USAGE, readArguments, main);
