/**
 * What do a million retained messages cost a cluster, and how do bystanders fare while they are read?
 *
 *   npm run bench:retained -- --topics 1000000 --nodes 3 --json retained.json
 */
import { parseArgs } from 'node:util';
import { circumstances, integer, runProgram, writeJson } from '../program.ts';
import { type RetainedFigures, runRetained, type StepFigures } from './run.ts';
import { PAYLOAD_BYTES, TOPIC_BYTES } from './topics.ts';

const USAGE = `npm run bench:retained -- [options]
  --nodes N       nodes, 1 to 9                                          (3)
  --topics N      retained messages, 1,000 to 5,000,000                  (1000000)
  --start-arg X   a further flag of shoal start; may be repeated
  --json FILE     writes the report
  --keep          leave data and logs behind
  --help          this

Exit code: 0 everything arrived and no PINGRESP took longer than 100 ms, 1 not so, 2 wrong usage.`;

/** Longest wait for PINGRESP that passes. */
const PING_MS_MAX = 100;
const SETTLE_MAX_MS = 60_000;
const READY_MAX_MS = 600_000;
const STEP_MAX_MS = 1_800_000;
const MEBIBYTE = 1024 * 1024;

interface Arguments {
  readonly nodes: number;
  readonly topics: number;
  readonly startArgs: readonly string[];
  readonly json: string | undefined;
  readonly keep: boolean;
}

function readArguments(): Arguments | undefined {
  const { values } = parseArgs({
    options: {
      nodes: { type: 'string', default: '3' },
      topics: { type: 'string', default: '1000000' },
      'start-arg': { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    nodes: integer('nodes', values.nodes, 1, 9),
    topics: integer('topics', values.topics, 1000, 5_000_000),
    startArgs: values['start-arg'],
    json: values.json,
    keep: values.keep,
  };
}

const whole = (n: number) => Math.round(n).toLocaleString('en-US');

function rowOf(f: StepFigures): string[] {
  const rate = f.messages > 0 ? whole(f.messages / f.seconds) : '–';
  const pinged = f.pings > 0;
  return [
    f.step,
    f.seconds.toFixed(1),
    whole(f.messages),
    rate,
    whole(f.loopPauseMs),
    whole(f.loopPauseCpuMs),
    pinged ? whole(f.pingP99Ms) : '–',
    pinged ? whole(f.pingLongestMs) : '–',
  ];
}

function tablesOf({ nodes, topics }: Arguments, figures: RetainedFigures) {
  const { steps, empty, full, restarted } = figures;
  const count = `${whole(topics)} retained topics of ${TOPIC_BYTES} bytes with ${PAYLOAD_BYTES} bytes`;
  const where = nodes === 1 ? 'one node' : `${nodes} nodes on one machine`;
  const mean = (list: readonly number[]) => list.reduce((sum, n) => sum + n, 0) / list.length;
  const row = (what: string, of: 'memory' | 'disk') => {
    const before = mean(empty[of]);
    const each = (bytes: number) => whole((bytes - before) / topics);
    const cells = [before, mean(full[of]), mean(restarted[of])];
    const sizes = cells.map((bytes) => whole(bytes / MEBIBYTE));
    return [what, ...sizes, each(mean(full[of])), each(mean(restarted[of]))];
  };
  return [
    {
      title: `${count}, ${where}, each node with a bystander that sends PINGREQ every 20 ms`,
      columns: [
        'step',
        'seconds',
        'messages',
        'a second',
        'longest loop pause, ms',
        'longest by CPU, ms',
        'PINGRESP p99, ms',
        'longest, ms',
      ],
      rows: steps.map(rowOf),
    },
    {
      title: `Mean of ${where}, ${count}`,
      columns: [
        'of a node',
        'empty, MiB',
        'full, MiB',
        'restarted, MiB',
        'bytes a topic, full',
        'restarted',
      ],
      rows: [row('private memory', 'memory'), row('disk', 'disk')],
    },
  ];
}

async function main(args: Arguments): Promise<void> {
  const { nodes, topics, startArgs, keep, json } = args;
  console.log(`${whole(topics)} topics, ${nodes} node(s)`);
  const figures = await runRetained({
    nodes,
    topics,
    startArgs,
    keep,
    settleMaxMs: SETTLE_MAX_MS,
    readyMaxMs: READY_MAX_MS,
    stepMaxMs: STEP_MAX_MS,
    onStep: (f) => {
      const [step, seconds, messages, rate, pause, cpu, p99, longest] = rowOf(f);
      console.log(
        `${step}: ${seconds} s, ${messages} messages (${rate}/s, ${f.repeated} again), ` +
          `loop pause ${pause} ms (CPU ${cpu} ms), ping p99 ${p99} ms, longest ${longest} ms`,
      );
    },
  });
  const tables = tablesOf(args, figures);
  for (const { columns, rows } of tables)
    console.table(rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]]))));
  const extra = startArgs.map((arg) => ` --start-arg=${arg}`).join('');
  const command = `npm run bench:retained -- --nodes ${nodes} --topics ${topics}${extra}`;
  if (json) writeJson(json, { ...circumstances(), command, tables, figures });
  const slow = figures.steps.filter((f) => f.pingLongestMs > PING_MS_MAX);
  for (const { step, pingLongestMs } of slow)
    console.log(`${step}: PINGRESP after ${whole(pingLongestMs)} ms, above ${PING_MS_MAX}`);
  process.exitCode = slow.length === 0 ? 0 : 1;
}

await runProgram(USAGE, readArguments, main);
