import { runCrashes } from './crash.ts';
import {
  quantile,
  type Report,
  type Scenario,
  type ScenarioOptions,
  seconds,
  TraceHash,
} from './report.ts';
import { memberlist, oursAtOneSecond, type Variant } from './variant.ts';

/** How detection grows with the cluster. */
export const growth: Scenario = {
  name: 'growth',
  summary: 'a crash in clusters of 100 to 10,000: how detection grows with the size',
  run(options: ScenarioOptions): Report {
    const sizes = SIZES.filter(
      (size) => size <= (options.nodes ?? (options.full ? 10_000 : 1_000)),
    );
    const hash = new TraceHash();
    const rows: (number | string)[][] = [];
    const medians = new Map<string, number>();
    let done = 0;
    for (const size of sizes) {
      for (const variant of [oursAtOneSecond(), memberlist(size)]) {
        const { firstMs, fullMs } = measure(variant, size, options, hash);
        medians.set(`${variant.name} ${size}`, seconds(quantile(fullMs, 0.5)));
        const times = [firstMs, fullMs].flatMap((all) => [quantile(all, 0.5), quantile(all, 0.9)]);
        rows.push([variant.name, size, firstMs.length, ...times.map(seconds)]);
        done++;
        options.progress(done, sizes.length * 2, `${size} members`);
      }
    }
    const [least, most] = [sizes[0] as number, sizes.at(-1) as number];
    const bound = Math.log10(most) / Math.log10(least);
    const ratio = (medians.get(`ours ${most}`) ?? 0) / (medians.get(`ours ${least}`) ?? 1);
    return {
      scenario: 'growth',
      seed: options.seed,
      settings: { sizes: sizes.join(' '), periodMs: 1_000 },
      tables: [{ title: 'A crash, seconds', columns: COLUMNS, rows }],
      bars: [
        {
          what: `growth from ${least} to ${most} members at most logarithmic (× ${bound.toFixed(2)})`,
          value: Number(ratio.toFixed(2)),
          ok: ratio <= bound,
        },
      ],
      charts: [
        {
          name: 'growth',
          title: 'A crash is known to all, median',
          x: { title: 'members', logarithmic: true },
          y: { title: 'seconds' },
          lines: ['ours', 'memberlist'].map((name) => ({
            name,
            points: sizes.flatMap((size) => {
              const median = medians.get(`${name} ${size}`);
              return median === undefined ? [] : [[size, median] as const];
            }),
          })),
        },
      ],
      traceHash: hash.text,
    };
  },
};

function measure(variant: Variant, size: number, options: ScenarioOptions, hash: TraceHash) {
  const most = options.repeats ?? (options.full ? 60 : 20);
  const wanted = size >= 3_000 ? Math.min(most, CRASHES_LARGE) : most;
  const perRun = Math.min(wanted, Math.max(1, Math.floor(size / 50)));
  const firstMs: number[] = [];
  const fullMs: number[] = [];
  for (let run = 0; run * perRun < wanted; run++) {
    const result = runCrashes({
      variant,
      size,
      seed: `${options.seed} ${size} ${run}`,
      dropRate: 0,
      crashes: perRun,
      spacingMs: 1_000,
      limitMs: 60_000,
    });
    hash.add(result.traceHash);
    firstMs.push(...result.crashes.map((crash) => crash.firstMs));
    fullMs.push(...result.crashes.map((crash) => crash.fullMs));
  }
  return { firstMs, fullMs };
}

/** Crashes in the largest clusters. */
const CRASHES_LARGE = 12;
const SIZES = [100, 300, 1_000, 3_000, 10_000];
const COLUMNS = ['variant', 'members', 'crashes', 'first p50', 'p90', 'all p50', 'p90'];
