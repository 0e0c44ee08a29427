/**
 * Members in processes of their own, beside what the simulator says of the same run.
 *
 *   npm run bench:membership -- --agents 50 --kills 5 --json membership.json
 *
 * Some are sent SIGKILL at once, then some are stopped for 0.1 to 30 s; in between, what a member
 * costs while nothing happens. Everything stays on loopback.
 *
 * Exit code 0 if no living member was called faulty, 1 if one was, 2 for wrong usage.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SWIM_PRESETS, type SwimPreset } from '@shoal/swim';
import { distribution } from '../chaos/figures.ts';
import { circumstances, integer, runProgram, writeJson } from '../program.ts';
import { formatTable } from '../table.ts';
import type { IdleCost } from './member-processes.ts';
import type { Figures } from './observations.ts';
import { type Plan, predict, roles, SETTLE_MS } from './prediction.ts';
import { ProcessCluster } from './processes.ts';

const PAUSES_MS = [100, 1_000, 5_000, 15_000, 30_000];
const PREDICTIONS = 20;
const IDLE_MS = 20_000;
/** Members that are not killed: one for each pause, and two to watch. */
const OTHERS = PAUSES_MS.length + 2;
/** Processes that a machine carries. */
const AGENTS_MAX = 500;
const PRESETS = Object.keys(SWIM_PRESETS);

const USAGE = `npm run bench:membership -- [options]
  --agents N      members, a process each, at least ${OTHERS} more than are killed (50)
  --kills N       members that are sent SIGKILL at once                  (5)
  --preset NAME   ${PRESETS.join(' | ')}                       (lan)
  --json FILE     writes the report
  --help          this

Exit code: 0 no living member was called faulty, 1 one was, 2 wrong usage.`;

async function measure(plan: Plan): Promise<{ figures: Figures; idle: IdleCost }> {
  const cluster = new ProcessCluster();
  const stop = (): void => {
    cluster.stop();
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const { killed, paused, survivors } = roles(plan);
  const { observations } = cluster;
  try {
    await cluster.form(plan.agents, plan.preset, (n) => progress(`started ${n} of ${plan.agents}`));
    progress(`all ${plan.agents} see each other; idle for ${IDLE_MS / 1000} s`);
    const idle = await cluster.idleCost(IDLE_MS);
    const killMs = performance.timeOrigin + performance.now();
    for (const name of killed) cluster.signal(name, 'SIGKILL');
    await cluster.until('known to all', SETTLE_MS, () =>
      observations.allSee('faulty', [...survivors, ...paused.map(({ name }) => name)], killed),
    );
    progress(`${killed.length} killed, known to all; ${paused.length} are paused`);
    const pauseMs = performance.timeOrigin + performance.now();
    await Promise.all(
      paused.map(async ({ name, durationMs }) => {
        cluster.signal(name, 'SIGSTOP');
        await delay(durationMs);
        cluster.signal(name, 'SIGCONT');
      }),
    );
    progress('all run again');
    await cluster.until('whole again', SETTLE_MS, () =>
      observations.allSee('alive', cluster.names),
    );
    return { figures: observations.figures({ killed, killMs, paused, pauseMs }, survivors), idle };
  } finally {
    cluster.stop();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

const ms = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : `${Math.round(value)}`;

function range(values: readonly (number | null)[]): string {
  const known = distribution(values.filter((value) => value !== null));
  return known === null ? '–' : `${ms(known.min)} / ${ms(known.p50)} / ${ms(known.max)}`;
}

function report(real: Figures, predicted: readonly Figures[]): string {
  const kills = predicted.flatMap((each) => each.kills);
  const rows = [
    ['', 'real, ms: min / median / max', `simulated, ${predicted.length} seeds`],
    [
      'killed: first detection',
      range(real.kills.map((k) => k.firstMs)),
      range(kills.map((k) => k.firstMs)),
    ],
    [
      'killed: known to all',
      range(real.kills.map((k) => k.allMs)),
      range(kills.map((k) => k.allMs)),
    ],
    ...real.pauses.map((pause, n) => {
      const others = predicted.map((each) => each.pauses[n]?.faultyBy ?? 0);
      const backs = predicted.map((each) => each.pauses[n]?.backMs ?? 0);
      const share = `faulty to some in ${others.filter((by) => by > 0).length} of ${others.length}`;
      return [
        `paused ${pause.durationMs / 1000} s`,
        `suspected by ${pause.suspectedBy}, faulty to ${pause.faultyBy}, back after ${ms(pause.backMs)}`,
        `${share}, back after ${range(backs)}`,
      ];
    }),
    [
      'left alone, called faulty',
      String(real.falsePositives),
      String(predicted.reduce((sum, each) => sum + each.falsePositives, 0)),
    ],
  ];
  return formatTable(rows, 3);
}

interface Arguments {
  readonly plan: Plan;
  readonly json: string | undefined;
}

function readArguments(): Arguments | undefined {
  const { values } = parseArgs({
    options: {
      agents: { type: 'string', default: '50' },
      kills: { type: 'string', default: '5' },
      preset: { type: 'string', default: 'lan' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  if (!Object.hasOwn(SWIM_PRESETS, values.preset)) {
    throw new RangeError(`--preset: '${values.preset}' is none of ${PRESETS.join(', ')}`);
  }
  const kills = integer('kills', values.kills, 1, AGENTS_MAX - OTHERS);
  const agents = integer('agents', values.agents, kills + OTHERS, AGENTS_MAX);
  const preset = values.preset as SwimPreset;
  return { plan: { agents, kills, pausesMs: PAUSES_MS, preset }, json: values.json };
}

async function main({ plan, json: file }: Arguments): Promise<void> {
  const predicted = Array.from({ length: PREDICTIONS }, (_, seed) => predict(plan, seed));
  const { figures, idle } = await measure(plan);
  console.log(report(figures, predicted));
  console.log(
    `\nidle, per member and second: ${idle.cpuMs.toFixed(2)} ms CPU, ` +
      `${idle.packetsOut.toFixed(2)} datagrams and ${Math.round(idle.bytesOut)} bytes sent`,
  );
  if (file !== undefined) {
    writeJson(file, { ...circumstances(), args: plan, figures, predicted, idle });
  }
  process.exitCode = figures.falsePositives === 0 ? 0 : 1;
}

await runProgram(USAGE, readArguments, main);
