import { runCrashes } from './crash.ts';
import { Fleet } from './fleet.ts';
import {
  quantile,
  type Report,
  rounded,
  type Scenario,
  type ScenarioOptions,
  seconds,
  TraceHash,
} from './report.ts';
import { oursByDefault, type Variant } from './variant.ts';

/** The default preset: how soon it knows of a crash, and whether it ever errs. */
export const preset: Scenario = {
  name: 'preset',
  summary: 'the default preset at 3 to 32 nodes: a crash known to all, and an hour of 5 % loss',
  run(options: ScenarioOptions): Report {
    const variant = oursByDefault();
    const sizes = options.nodes === undefined ? [3, 8, 16, 32] : [options.nodes];
    const repeats = options.repeats ?? (options.full ? 1_000 : 200);
    const quietMs = options.full || options.repeats === undefined ? HOUR_MS : HOUR_MS / 60;
    const hash = new TraceHash();
    const rows: (number | string)[][] = [];
    const bars: { what: string; value: number; ok: boolean }[] = [];
    const steps = sizes.length * 2 * repeats + sizes.length;
    let done = 0;
    for (const size of sizes) {
      for (const dropRate of [0, 0.05]) {
        const times: number[] = [];
        let falsePositives = 0;
        for (let run = 0; run < repeats; run++) {
          const seed = `${options.seed} ${size} ${dropRate} ${run}`;
          const spacing = { crashes: 1, spacingMs: 3_000, limitMs: 10_000 };
          const result = runCrashes({ variant, size, seed, dropRate, ...spacing });
          times.push(...result.crashes.map(({ fullMs }) => fullMs));
          falsePositives += result.falsePositives;
          hash.add(result.traceHash);
          done++;
          options.progress(done, steps, `crash of one of ${size}`);
        }
        const p99 = seconds(quantile(times, 0.99));
        const shares = [0.5, 0.9, 0.99, 1].map((share) => seconds(quantile(times, share)));
        rows.push([size, `${dropRate * 100} %`, ...shares, falsePositives]);
        const at = `${size} members, ${dropRate * 100} % loss`;
        bars.push({
          what: `known to all in less than 2.5 s, p99, ${at}`,
          value: p99,
          ok: p99 < 2.5,
        });
        const p50 = seconds(quantile(times, 0.5));
        bars.push({ what: `in 1.5 s at most, p50, ${at}`, value: p50, ok: p50 <= 1.5 });
      }
    }
    const hours = sizes.map((size) => {
      const hour = quiet(variant, size, `${options.seed} quiet`, quietMs);
      hash.add(hour.traceHash);
      done++;
      options.progress(done, steps, `an hour of ${size}`);
      const what = `no false positive in ${quietMs / 60_000} min of 5 % loss, ${size} members`;
      bars.push({ what, value: hour.falsePositives, ok: hour.falsePositives === 0 });
      return [size, hour.suspicions, hour.falsePositives, hour.sentPerSecond, hour.bytesPerSecond];
    });
    return {
      scenario: 'preset',
      seed: options.seed,
      settings: { repeats, ...pick(variant) },
      tables: [
        {
          title: 'A crash is known to all, seconds',
          columns: ['members', 'loss', 'p50', 'p90', 'p99', 'max', 'false positives'],
          rows,
        },
        {
          title: `${quietMs / 60_000} minutes of 5 % loss, no crash`,
          columns: ['members', 'suspected', 'false positives', 'sent/s', 'bytes/s'],
          rows: hours,
        },
      ],
      bars,
      charts: [],
      traceHash: hash.text,
    };
  },
};

/** Loss for a while, and nothing else. */
function quiet(variant: Variant, size: number, seed: string, durationMs: number) {
  const { config, switches } = variant;
  const fleet = new Fleet({ size, seed, config, switches, faults: { dropRate: 0.05 } });
  let falsePositives = 0;
  let suspicions = 0;
  fleet.onState = (_observer, _member, state) => {
    if (state === 'faulty') falsePositives++;
    if (state === 'suspect') suspicions++;
  };
  fleet.run(durationMs);
  const { sent, bytes } = fleet.network.counters;
  const perSecond = (total: number) => rounded(total / size / (durationMs / 1000), 1);
  return {
    falsePositives,
    suspicions,
    sentPerSecond: perSecond(sent),
    bytesPerSecond: perSecond(bytes),
    traceHash: fleet.traceHash,
  };
}

function pick({ config }: Variant): Record<string, number> {
  const { protocolPeriodMs, probeTimeoutMs, suspicionMult, suspicionMaxMult } = config;
  const { suspicionConfirmations, gossipIntervalMs, silenceMs } = config;
  return {
    protocolPeriodMs,
    probeTimeoutMs,
    suspicionMult,
    suspicionMaxMult,
    suspicionConfirmations,
    silenceMs,
    gossipIntervalMs,
  };
}

const HOUR_MS = 3_600_000;
