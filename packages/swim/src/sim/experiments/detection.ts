import { type CrashResult, runCrashes } from './crash.ts';
import {
  quantile,
  type Report,
  rounded,
  type Scenario,
  type ScenarioOptions,
  seconds,
  TraceHash,
} from './report.ts';
import { memberlist, oursAtEqualSettings, oursAtOneSecond, type Variant } from './variant.ts';

/** How soon is a crash known, to the first and to all, at memberlist's pace? */
export const detection: Scenario = {
  name: 'detection',
  summary: 'one of 128 crashes: time to the first and to all, beside memberlist',
  run(options: ScenarioOptions): Report {
    const size = options.nodes ?? 128;
    const repeats = options.repeats ?? (options.full ? 1_000 : 100);
    const variants = [
      memberlist(size, { name: 'memberlist, α = 5', alpha: 5 }),
      memberlist(size, { name: 'memberlist, LAN (α = 4)' }),
      oursAtOneSecond(),
      oursAtEqualSettings(),
    ];
    const losses = options.full ? [0, 0.01, 0.05] : [0, 0.05];
    const hash = new TraceHash();
    const rows: (number | string)[][] = [];
    const summaries = new Map<string, Summary>();
    let done = 0;
    for (const dropRate of losses) {
      for (const variant of variants) {
        const summary = measure(variant, { ...options, size, repeats, dropRate }, hash, () => {
          done++;
          options.progress(done, losses.length * variants.length * repeats, variant.name);
        });
        summaries.set(`${variant.name} ${dropRate}`, summary);
        rows.push([variant.name, `${dropRate * 100} %`, ...cells(summary)]);
      }
    }
    const bars = losses.flatMap((dropRate) => {
      const [base, , ours] = variants.map(({ name }) => summaries.get(`${name} ${dropRate}`));
      if (base === undefined || ours === undefined) return [];
      const lower = 1 - ours.full[0] / base.full[0];
      const lowerFirst = 1 - ours.first[0] / base.first[0];
      const at = `at ${dropRate * 100} % loss`;
      return [
        bar(`first detection at least 30 % sooner than α = 5, median, ${at}`, lowerFirst, 0.3),
        bar(`known to all at least 30 % sooner than α = 5, median, ${at}`, lower, 0.3),
        {
          what: `no more datagrams than α = 5, ${at}`,
          value: `${ours.sent} : ${base.sent}`,
          ok: ours.sent <= base.sent,
        },
        {
          what: `no more false positives than α = 5, ${at}`,
          value: `${ours.falsePositives} : ${base.falsePositives}`,
          ok: ours.falsePositives <= base.falsePositives,
        },
      ];
    });
    return {
      scenario: 'detection',
      seed: options.seed,
      settings: { nodes: size, repeats, periodMs: 1_000 },
      tables: [{ title: `A crash in a cluster of ${size}, seconds`, columns: COLUMNS, rows }],
      bars,
      charts: [
        {
          name: 'detection',
          title: `A crash in a cluster of ${size} is known to all, no loss`,
          x: { title: 'share of crashes, %' },
          y: { title: 'seconds' },
          lines: variants.map(({ name }) => ({
            name,
            points: [5, 10, 25, 50, 75, 90, 95, 99, 100].map((share) => {
              const times = summaries.get(`${name} 0`)?.fullMs ?? [];
              return [share, seconds(quantile(times, share / 100))] as const;
            }),
          })),
        },
      ],
      traceHash: hash.text,
    };
  },
};

interface Summary {
  readonly first: readonly [number, number, number];
  readonly full: readonly [number, number, number];
  readonly fullMs: readonly number[];
  readonly sent: number;
  readonly falsePositives: number;
}

function measure(
  variant: Variant,
  options: { size: number; repeats: number; dropRate: number; seed: string },
  hash: TraceHash,
  onRun: () => void,
): Summary {
  const results: CrashResult[] = [];
  for (let run = 0; run < options.repeats; run++) {
    // The same window for all, so that datagrams compare.
    const result = runCrashes({
      variant,
      size: options.size,
      seed: `${options.seed} ${options.dropRate} ${run}`,
      dropRate: options.dropRate,
      crashes: 1,
      spacingMs: WINDOW_MS,
      limitMs: WINDOW_MS,
    });
    results.push(result);
    hash.add(result.traceHash);
    onRun();
  }
  const crashes = results.flatMap((result) => result.crashes);
  const firstMs = crashes.map((crash) => crash.firstMs);
  const fullMs = crashes.map((crash) => crash.fullMs);
  const three = (times: readonly number[]): [number, number, number] => [
    seconds(quantile(times, 0.5)),
    seconds(quantile(times, 0.99)),
    seconds(quantile(times, 0.999)),
  ];
  const sent = results.reduce((sum, result) => sum + result.sentPerSecond, 0) / results.length;
  return {
    first: three(firstMs),
    full: three(fullMs),
    fullMs,
    sent: rounded(sent, 2),
    falsePositives: results.reduce((sum, result) => sum + result.falsePositives, 0),
  };
}

function cells({ first, full, sent, falsePositives }: Summary): number[] {
  return [...first, ...full, sent, falsePositives];
}

function bar(what: string, value: number, least: number) {
  return { what, value: `${rounded(value * 100, 1)} %`, ok: value >= least };
}

const WINDOW_MS = 30_000;
const COLUMNS = [
  'variant',
  'loss',
  'first p50',
  'p99',
  'p99.9',
  'all p50',
  'p99',
  'p99.9',
  'sent/s',
  'false positives',
];
