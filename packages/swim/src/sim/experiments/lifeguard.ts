import { type Anomaly, type AnomalyResult, runAnomaly } from './anomaly.ts';
import { runCrashes } from './crash.ts';
import {
  quantile,
  type Report,
  rounded,
  type Scenario,
  type ScenarioOptions,
  seconds,
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
  run(options: ScenarioOptions): Report {
    const size = options.nodes ?? 128;
    const repeats = options.repeats ?? (options.full ? 3 : 1);
    const variants = columns(size);
    const cells = grid(options.full, size);
    const hash = new TraceHash();
    const sums = variants.map(() => ({ all: 0, healthy: 0, sent: 0, bytes: 0 }));
    const byConcurrency = new Map<string, number>();
    let done = 0;
    for (const anomaly of cells) {
      for (let run = 0; run < repeats; run += 1) {
        const { concurrent, durationMs, intervalMs } = anomaly;
        const seed = `${options.seed} ${concurrent} ${durationMs} ${intervalMs} ${run}`;
        variants.forEach((variant, column) => {
          const result = runAnomaly({ variant, size, seed, anomaly });
          hash.add(result.traceHash);
          add(sums[column] as Sum, result);
          const key = `${variant.name} ${concurrent}`;
          byConcurrency.set(key, (byConcurrency.get(key) ?? 0) + result.falsePositives);
          done += 1;
          const total = cells.length * repeats * variants.length;
          options.progress(done, total, `${concurrent} of ${size} block, ${variant.name}`);
        });
      }
    }
    const crashes = variants.map((variant) => firstDetection(variant, size, options, hash));
    const base = sums[0] as Sum;
    const rows = variants.map(({ name }, column) => {
      const sum = sums[column] as Sum;
      const detection = crashes[column] as readonly number[];
      return [
        name,
        sum.all,
        percent(sum.all, base.all),
        sum.healthy,
        percent(sum.healthy, base.healthy),
        percent(sum.sent, base.sent),
        percent(sum.bytes, base.bytes),
        seconds(quantile(detection, 0.5)),
        PAPER[column] ?? '–',
      ];
    });
    const ours = sums[variants.length - 1] as Sum;
    const [swimS, oursS] = [crashes[0], crashes.at(-1)].map((times) => quantile(times ?? [], 0.5));
    return {
      scenario: 'lifeguard',
      seed: options.seed,
      settings: { nodes: size, cells: cells.length, repeats, minutes: 2, alpha: 5, beta: 6, k: 3 },
      tables: [{ title: 'False positives, sums over all cells', columns: COLUMNS, rows }],
      bars: [
        bar('false positives of ours, % of SWIM', ours.all, base.all, 1),
        bar('of those at healthy members, % of SWIM', ours.healthy, base.healthy, 0.5),
        bar('datagrams of ours, % of SWIM', ours.sent, base.sent, 111),
        {
          what: 'first detection of a crash not later than with SWIM, median, s',
          value: `${seconds(oursS as number)} : ${seconds(swimS as number)}`,
          ok: (oursS as number) <= (swimS as number),
        },
      ],
      charts: [
        {
          name: 'lifeguard',
          title: `False positives by members that block, of ${size}`,
          x: { title: 'members that block at the same time' },
          y: { title: 'false positives + 1', logarithmic: true },
          lines: variants.map(({ name }) => ({
            name,
            points: [...new Set(cells.map(({ concurrent }) => concurrent))].map(
              (concurrent) =>
                [concurrent, (byConcurrency.get(`${name} ${concurrent}`) ?? 0) + 1] as const,
            ),
          })),
        },
      ],
      traceHash: hash.text,
    };
  },
};

interface Sum {
  all: number;
  healthy: number;
  sent: number;
  bytes: number;
}

function add(sum: Sum, result: AnomalyResult): void {
  sum.all += result.falsePositives;
  sum.healthy += result.falsePositivesAtHealthy;
  sum.sent += result.sent;
  sum.bytes += result.bytes;
}

/** SWIM, each part of Lifeguard alone, all, all with stall awareness, and ours. */
function columns(size: number): Variant[] {
  const column = (name: string, parts: typeof ALL_PARTS): Variant =>
    memberlist(size, { name, alpha: 5, parts, nacksInTime: true });
  const whole = column('Lifeguard', ALL_PARTS);
  return [
    column('SWIM', NO_PARTS),
    column('LHA-Probe', { ...NO_PARTS, probe: true }),
    column('LHA-Suspicion', { ...NO_PARTS, suspicion: true }),
    column('buddy system', { ...NO_PARTS, buddy: true }),
    whole,
    {
      ...whole,
      name: 'Lifeguard, stall awareness',
      switches: { ...whole.switches, stallAwareness: true },
    },
    oursAtOneSecond(),
  ];
}

/** What the paper says of each, relative to SWIM: all, and at healthy members. */
const PAPER = ['100 / 100', '67.7 / 32.9', '3.00 / 6.7', '94.1 / 44.6', '1.53 / 1.89'];

/** The paper's grid, or a part of it in which most false positives lie. */
function grid(full: boolean, size: number): Anomaly[] {
  const concurrencies = full ? [1, 2, 4, 8, 12, 16, 20, 24, 28, 32] : [4, 16, 32];
  const durations = full ? [128, 512, 2_048, 8_192, 16_384, 32_768] : [2_048, 16_384];
  const intervals = full ? [1, 4, 16, 64, 256, 1_024, 4_096, 16_384] : [1, 4, 64, 1_024];
  return concurrencies
    .filter((concurrent) => concurrent < size)
    .flatMap((concurrent) =>
      durations.flatMap((durationMs) =>
        intervals.map((intervalMs) => ({ concurrent, durationMs, intervalMs })),
      ),
    );
}

function firstDetection(
  variant: Variant,
  size: number,
  options: ScenarioOptions,
  hash: TraceHash,
): number[] {
  const times: number[] = [];
  for (let run = 0; run < CRASHES; run += 1) {
    const seed = `${options.seed} crash ${run}`;
    const time = { crashes: 1, spacingMs: 5_000, limitMs: 90_000 };
    const result = runCrashes({ variant, size, seed, dropRate: 0, ...time });
    hash.add(result.traceHash);
    times.push(...result.crashes.map(({ firstMs }) => firstMs));
  }
  return times;
}

function percent(value: number, base: number): number {
  return base === 0 ? 0 : rounded((value / base) * 100, 2);
}

function bar(what: string, value: number, base: number, most: number) {
  return {
    what: `${what}, at most ${most}`,
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
