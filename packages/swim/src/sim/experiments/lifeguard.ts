import type { Anomaly, AnomalyOptions, AnomalyResult, Blocks } from './anomaly.ts';
import { runCrashes } from './crash.ts';
import { runPool } from './pool.ts';
import {
  type Bar,
  type Chart,
  quantile,
  type Report,
  rounded,
  type Scenario,
  type ScenarioOptions,
  seconds,
  type Table,
  TraceHash,
} from './report.ts';
import { ALL_PARTS, memberlist, NO_PARTS, oursAtOneSecond, type Variant } from './variant.ts';

/**
 * Lifeguard's interval experiment: false positives while some members block and run.
 *
 * @see Dadgar, Phillips, Currey: Lifeguard (2017), §V
 */
export const lifeguard: Scenario = {
  name: 'lifeguard',
  summary: 'members block and run, again and again: false positives of SWIM, Lifeguard and ours',
  async run(options: ScenarioOptions): Promise<Report> {
    const size = options.nodes ?? 128;
    const repeats = options.repeats ?? (options.full ? 3 : 1);
    const shapes = grid(options.full, size);
    const columns = columnsOf(size);
    const runs = columns.flatMap((column) =>
      shapes.flatMap((shape) => runsOf(column, shape, repeats, size, options.seed)),
    );
    // The dearest come first, or one thread would work alone in the end.
    const tasks = [...runs].sort((left, right) => costOf(right) - costOf(left));
    const results = await runPool<AnomalyOptions, AnomalyResult>(
      new URL('./anomaly-worker.ts', import.meta.url),
      tasks,
      (done, { variant, anomaly: { concurrent, blocks } }) =>
        options.progress(done, tasks.length, `${concurrent} block ${blocks}, ${variant.name}`),
    );
    const sums = new Map(columns.map(({ key }) => [key, newSum()]));
    const hash = new TraceHash();
    tasks.forEach((task, at) => {
      const result = results[at] as AnomalyResult;
      hash.add(result.traceHash);
      add(sums.get(keyOf(task.variant, task.anomaly.blocks)) as Sum, task, result);
    });
    const crashes = new Map<string, number>();
    for (const { variant } of columns) {
      if (crashes.has(variant.name)) continue;
      crashes.set(variant.name, firstDetection(variant, size, options, hash));
    }
    const rowsOf = ({ rows }: Model): Row[] =>
      rows.map(({ name, key }) => {
        const variant = (columns.find((column) => column.key === key) as Column).variant;
        const crashMs = crashes.get(variant.name) as number;
        return { name, sum: sums.get(key) as Sum, crashMs };
      });
    const [swimMs, oursMs] = ['SWIM', 'ours'].map((name) => crashes.get(name) as number);
    return {
      scenario: 'lifeguard',
      seed: options.seed,
      settings: { nodes: size, cells: shapes.length, repeats, minutes: 2, alpha: 5, beta: 6, k: 3 },
      tables: MODELS.map((model) => tableOf(model, rowsOf(model))),
      bars: [
        ...MODELS.flatMap((model) => barsOf(model, rowsOf(model))),
        {
          what: 'first detection of a crash not later than with SWIM, median, s',
          value: `${seconds(oursMs as number)} : ${seconds(swimMs as number)}`,
          ok: (oursMs as number) <= (swimMs as number),
        },
      ],
      charts: MODELS.map((model) => chartOf(model, rowsOf(model))),
      traceHash: hash.text,
    };
  },
};

/** A variant under one kind of block: what is run. */
interface Column {
  readonly key: string;
  readonly variant: Variant;
  readonly blocks: Blocks;
}

/** One table: which columns are compared. The first row is the base. */
interface Model {
  readonly name: string;
  readonly title: string;
  readonly rows: readonly { readonly name: string; readonly key: string }[];
}

interface Row {
  readonly name: string;
  readonly sum: Sum;
  readonly crashMs: number;
}

type Shape = Omit<Anomaly, 'blocks'>;

function keyOf({ name }: Variant, blocks: Blocks): string {
  return `${name} ${blocks}`;
}

function runsOf(
  { variant, blocks }: Column,
  shape: Shape,
  repeats: number,
  size: number,
  seed: string,
): AnomalyOptions[] {
  const { concurrent, durationMs, intervalMs } = shape;
  return Array.from({ length: repeats }, (_, run) => ({
    variant,
    size,
    seed: `${seed} ${concurrent} ${durationMs} ${intervalMs} ${run}`,
    anomaly: { ...shape, blocks },
  }));
}

/** Many that block, and often, make for many messages. */
function costOf({ anomaly }: AnomalyOptions): number {
  return anomaly.concurrent / Math.sqrt(anomaly.durationMs + anomaly.intervalMs);
}

interface Sum {
  all: number;
  healthy: number;
  sent: number;
  bytes: number;
  /** False positives by members that blocked at the same time. */
  readonly byConcurrency: Map<number, number>;
}

function newSum(): Sum {
  return { all: 0, healthy: 0, sent: 0, bytes: 0, byConcurrency: new Map() };
}

function add(sum: Sum, task: AnomalyOptions, result: AnomalyResult): void {
  sum.all += result.falsePositives;
  sum.healthy += result.falsePositivesAtHealthy;
  sum.sent += result.sent;
  sum.bytes += result.bytes;
  const { concurrent } = task.anomaly;
  const before = sum.byConcurrency.get(concurrent) ?? 0;
  sum.byConcurrency.set(concurrent, before + result.falsePositives);
}

function tableOf({ title }: Model, rows: readonly Row[]): Table {
  const base = (rows[0] as Row).sum;
  return {
    title: `False positives: ${title}`,
    columns: COLUMNS,
    rows: rows.map(({ name, sum, crashMs }) => [
      name,
      sum.all,
      percent(sum.all, base.all),
      sum.healthy,
      percent(sum.healthy, base.healthy),
      percent(sum.sent, base.sent),
      percent(sum.bytes, base.bytes),
      seconds(crashMs),
      PAPER[name] ?? '–',
    ]),
  };
}

function barsOf(model: Model, rows: readonly Row[]): Bar[] {
  const base = (rows[0] as Row).sum;
  return rows
    .filter(({ name }) => name === OURS || name === AWARE)
    .flatMap(({ name, sum }) => [
      bar(`${model.name}, ${name}: false positives`, sum.all, base.all, 1),
      bar(`${model.name}, ${name}: of those at healthy members`, sum.healthy, base.healthy, 0.5),
      ...(name === OURS
        ? [bar(`${model.name}, ${name}: datagrams`, sum.sent, base.sent, 111)]
        : []),
    ]);
}

function chartOf(model: Model, rows: readonly Row[]): Chart {
  return {
    name: `lifeguard-${model.name}`,
    title: `False positives: ${model.title}`,
    x: { title: 'members that block at the same time' },
    y: { title: 'false positives + 1', logarithmic: true },
    lines: rows.map(({ name, sum }) => ({
      name,
      points: [...sum.byConcurrency]
        .sort(([left], [right]) => left - right)
        .map(([concurrent, count]) => [concurrent, count + 1] as const),
    })),
  };
}

/** SWIM, each part of Lifeguard alone, all, all with stall awareness, and ours. */
function columnsOf(size: number): Column[] {
  const variant = (name: string, parts: typeof ALL_PARTS): Variant =>
    memberlist(size, { name, alpha: 5, parts });
  const swim = variant('SWIM', NO_PARTS);
  const whole = variant('Lifeguard', ALL_PARTS);
  const aware = {
    ...whole,
    name: AWARE,
    switches: { ...whole.switches, stallAwareness: true },
  };
  const parts = [
    variant('LHA-Probe', { ...NO_PARTS, probe: true }),
    variant('LHA-Suspicion', { ...NO_PARTS, suspicion: true }),
    variant('buddy system', { ...NO_PARTS, buddy: true }),
  ];
  const all = [swim, whole, aware, oursAtOneSecond()];
  const column = (blocks: Blocks) => (each: Variant) => ({
    key: keyOf(each, blocks),
    variant: each,
    blocks,
  });
  return [...all, ...parts].map(column('messages')).concat(all.map(column('process')));
}

const OURS = 'ours';
const AWARE = 'Lifeguard, stall awareness';

const MODELS: readonly Model[] = [
  {
    name: 'messages',
    title: 'sends and receives block, as in the paper',
    rows: [
      ...['SWIM', 'LHA-Probe', 'LHA-Suspicion', 'buddy system', 'Lifeguard', AWARE].map((name) => ({
        name,
        key: `${name} messages`,
      })),
      // One thread: a send that blocks holds up every timer.
      { name: OURS, key: `${OURS} process` },
      { name: 'ours, if its timers ran on', key: `${OURS} messages` },
    ],
  },
  {
    name: 'process',
    title: 'the process gets no CPU',
    rows: ['SWIM', 'Lifeguard', AWARE, OURS].map((name) => ({ name, key: `${name} process` })),
  },
];

/** What the paper says of each, relative to SWIM: all, and at healthy members. */
const PAPER: Readonly<Record<string, string>> = {
  SWIM: '100 / 100',
  'LHA-Probe': '67.7 / 32.9',
  'LHA-Suspicion': '3.00 / 6.7',
  'buddy system': '94.1 / 44.6',
  Lifeguard: '1.53 / 1.89',
};

/** The paper's ranges from end to end, or the part of them in which most false positives lie. */
function grid(full: boolean, size: number): Shape[] {
  const concurrencies = full ? [1, 8, 16, 32] : [4, 32];
  const durations = full ? [128, 2_048, 8_192, 32_768] : [2_048, 16_384];
  const intervals = full ? [1, 64, 1_024, 16_384] : [1, 64, 1_024];
  return concurrencies
    .filter((concurrent) => concurrent < size)
    .flatMap((concurrent) =>
      durations.flatMap((durationMs) =>
        intervals.map((intervalMs) => ({ concurrent, durationMs, intervalMs })),
      ),
    );
}

/** Median over some crashes in a quiet cluster. */
function firstDetection(
  variant: Variant,
  size: number,
  options: ScenarioOptions,
  hash: TraceHash,
): number {
  const times: number[] = [];
  for (let run = 0; run < CRASHES; run++) {
    const seed = `${options.seed} crash ${run}`;
    const time = { crashes: 1, spacingMs: 5_000, limitMs: 90_000 };
    const result = runCrashes({ variant, size, seed, dropRate: 0, ...time });
    hash.add(result.traceHash);
    times.push(...result.crashes.map(({ firstMs }) => firstMs));
  }
  return quantile(times, 0.5);
}

function percent(value: number, base: number): number {
  return base === 0 ? 0 : rounded((value / base) * 100, 2);
}

function bar(what: string, value: number, base: number, most: number): Bar {
  return {
    what: `${what}, % of SWIM, at most ${most}`,
    value: percent(value, base),
    ok: value * 100 <= most * base,
  };
}

const CRASHES = 15;
const COLUMNS = [
  'variant',
  'FP',
  '% of SWIM',
  'FP at healthy',
  '% of SWIM',
  'datagrams, %',
  'bytes, %',
  'crash, first, s',
  'paper: FP / FP at healthy, %',
];
