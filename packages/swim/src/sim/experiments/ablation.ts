import { SWIM_SWITCHES, type SwimSwitches } from '../../core/switches.ts';
import { runAnomaly } from './anomaly.ts';
import { runCrashes } from './crash.ts';
import { addressOf, Fleet } from './fleet.ts';
import { Presence } from './presence.ts';
import {
  quantile,
  type Report,
  rounded,
  type Scenario,
  type ScenarioOptions,
  seconds,
  TraceHash,
} from './report.ts';
import { oursAtOneSecond, oursByDefault, type Variant } from './variant.ts';

/** What each switch buys, and at what price: ours with one of them off, as memberlist has it. */
export const ablation: Scenario = {
  name: 'ablation',
  summary: 'ours by default with one switch off at a time: what it buys, at what price',
  run(options: ScenarioOptions): Report {
    const size = options.nodes ?? 30;
    const repeats = options.repeats ?? 40;
    const hash = new TraceHash();
    const cases: [string, Partial<SwimSwitches>][] = [
      ['all on', {}],
      ...OFF.map((name): [string, Partial<SwimSwitches>] => [`${name} off`, { [name]: false }]),
      ['suspicionMembersMin 10', { suspicionMembersMin: 10 }],
      ['gossipToDeadMs 30,000', { gossipToDeadMs: 30_000 }],
    ];
    const rows = cases.map(([name, off], at) => {
      const switches = { ...SWIM_SWITCHES, ...off };
      const cells = measure(
        { ...oursByDefault(), switches },
        switches,
        size,
        repeats,
        options,
        hash,
      );
      options.progress(at + 1, cases.length, name);
      return [name, ...cells];
    });
    return {
      scenario: 'ablation',
      seed: options.seed,
      settings: { nodes: size, repeats },
      tables: [{ title: `${size} members, one switch off at a time`, columns: COLUMNS, rows }],
      bars: [],
      charts: [],
      traceHash: hash.text,
    };
  },
};

const OFF = [
  'believesRefusals',
  'ownVerdicts',
  'stallAwareness',
  'buddySystem',
  'asksOnceMore',
  'verifiesSuspicions',
  'comparesDigests',
  'probesLost',
  'tellsOldNewsLess',
] as const satisfies readonly (keyof SwimSwitches)[];

const COLUMNS = [
  'variant',
  'killed, 5 % loss: p50',
  'p99',
  'cut off: p50',
  'healthy called dead beside a lossy one',
  'the lossy one called dead',
  'datagrams/s beside it',
  'silenceMs 0: healthy',
  'silenceMs 0: the lossy one',
  'the same among 5',
  'of members that block',
  'split heals',
  '600 start, period 1 s',
  'kB each',
];

function measure(
  variant: Variant,
  switches: SwimSwitches,
  size: number,
  repeats: number,
  { seed }: ScenarioOptions,
  hash: TraceHash,
): (number | string)[] {
  const killed: number[] = [];
  const cut: number[] = [];
  for (let run = 0; run < repeats; run++) {
    const spacing = { crashes: 1, spacingMs: 3_000, limitMs: 20_000 };
    const at = { variant, size, seed: `${seed} kill ${run}`, dropRate: 0.05, ...spacing };
    const result = runCrashes(at);
    hash.add(result.traceHash);
    killed.push(...result.crashes.map(({ fullMs }) => fullMs));
    if (run % 4 === 0) cut.push(cutOff(variant, size, `${seed} cut ${run}`, hash));
  }
  const lossy = besideLossy(variant, size, 1, `${seed} lossy`, hash);
  const hasty = { ...oursByDefault({ silenceMs: 0 }), switches };
  const lossyHasty = besideLossy(hasty, size, LOSSY_RUNS, `${seed} lossy`, hash);
  const lossySmall = besideLossy(hasty, 5, LOSSY_RUNS, `${seed} lossy`, hash);
  const blocks = { concurrent: 8, durationMs: 16_384, intervalMs: 1, blocks: 'process' } as const;
  // Suspicions of a second at most: in the default preset silence lasts longer than what is seen here.
  const short = { ...oursAtOneSecond(), switches };
  const anomaly = { variant: short, size: 40, seed: `${seed} block`, anomaly: blocks };
  const blocked = runAnomaly(anomaly);
  hash.add(blocked.traceHash);
  const healedMs = heal(variant, size, `${seed} split`, hash);
  const started = start(short, 600, `${seed} start`, hash);
  return [
    seconds(quantile(killed, 0.5)),
    seconds(quantile(killed, 0.99)),
    seconds(quantile(cut, 0.5)),
    lossy.healthy,
    lossy.itself,
    lossy.sentPerSecond,
    lossyHasty.healthy,
    lossyHasty.itself,
    lossySmall.itself,
    blocked.falsePositives,
    healedMs === undefined ? 'never' : seconds(healedMs),
    started.tookMs === undefined ? 'never' : seconds(started.tookMs),
    started.kB,
  ];
}

function fleetOf({ config, switches }: Variant, size: number, seed: string): Fleet {
  return new Fleet({ size, seed, config, switches });
}

function cutOff(variant: Variant, size: number, seed: string, hash: TraceHash): number {
  const fleet = fleetOf(variant, size, seed);
  const known = new Set<number>();
  fleet.onState = (observer, member, state) => {
    if (member === 1 && observer !== 1 && state === 'faulty') known.add(observer);
  };
  fleet.run(1_000 + fleet.prng.next() * 1_000);
  fleet.network.isolate(addressOf(1));
  const tookMs = fleet.until(30_000, () => known.size === size - 1) ?? Number.POSITIVE_INFINITY;
  hash.add(fleet.traceHash);
  return tookMs;
}

/** One member loses 80 % of what it sends and is sent, for 150 s. */
function besideLossy(variant: Variant, size: number, count: number, seed: string, hash: TraceHash) {
  const runs = Array.from({ length: count }, (_, run) =>
    besideOneLossy(variant, size, `${seed} ${run}`, hash),
  );
  const sum = (of: (run: (typeof runs)[number]) => number): number =>
    runs.reduce((total, run) => total + of(run), 0);
  return {
    healthy: sum((run) => run.healthy),
    itself: sum((run) => run.itself),
    sentPerSecond: rounded(sum((run) => run.sentPerSecond) / count, 1),
  };
}

function besideOneLossy(variant: Variant, size: number, seed: string, hash: TraceHash) {
  const fleet = fleetOf(variant, size, seed);
  let healthy = 0;
  let itself = 0;
  fleet.onState = (observer, member, state) => {
    if (state !== 'faulty' || observer === 1) return;
    if (member === 1) itself++;
    else healthy++;
  };
  fleet.run(2_000);
  fleet.network.lose(addressOf(1), { into: 0.8, outOf: 0.8 });
  const before = fleet.network.counters.sent;
  fleet.run(LOSSY_MS);
  hash.add(fleet.traceHash);
  const sent = (fleet.network.counters.sent - before) / size / (LOSSY_MS / 1_000);
  return { healthy, itself, sentPerSecond: rounded(sent, 1) };
}

/** Time until the halves of a split are one again; undefined if they are not in five minutes. */
function heal(variant: Variant, size: number, seed: string, hash: TraceHash): number | undefined {
  const fleet = fleetOf(variant, size, seed);
  const presence = new Presence(size, true);
  fleet.onState = (observer, member, state) => presence.note(observer, member, state);
  fleet.run(2_000);
  const half = Array.from({ length: Math.floor(size / 2) }, (_, n) => n);
  fleet.network.split([half.map(addressOf)]);
  fleet.run(60_000);
  fleet.network.heal();
  const isWhole = (): boolean => fleet.running().every((each) => presence.count(each) === size);
  const tookMs = fleet.until(300_000, isWhole);
  hash.add(fleet.traceHash);
  return tookMs;
}

function start(variant: Variant, size: number, seed: string, hash: TraceHash) {
  const { config, switches } = variant;
  const fleet = new Fleet({ size, seed, config, switches, warm: false });
  const presence = new Presence(size, false);
  fleet.onState = (observer, member, state) => presence.note(observer, member, state);
  const order = fleet.prng.fork('order').shuffle(Array.from({ length: size }, (_, n) => n));
  for (const number of order) {
    fleet.start(number);
    fleet.run(1_000 / size);
  }
  const tookMs = fleet.until(60_000, () => order.every((n) => presence.count(n) === size), 50);
  hash.add(fleet.traceHash);
  const { bytes, streamBytes } = fleet.network.counters;
  return { tookMs, kB: rounded((bytes + streamBytes) / size / 1_000, 1) };
}

const LOSSY_MS = 150_000;
const LOSSY_RUNS = 4;
