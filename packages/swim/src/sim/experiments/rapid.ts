import { addressOf, Fleet } from './fleet.ts';
import { Presence } from './presence.ts';
import {
  type Chart,
  type Point,
  type Report,
  rounded,
  type Scenario,
  type ScenarioOptions,
  seconds,
  TraceHash,
} from './report.ts';
import { memberlist, oursAtOneSecond, type Variant } from './variant.ts';

/**
 * Rapid's failures: several crash; some hear nothing now and then; some lose most of what they send.
 *
 * @see Suresh et al.: Stable and Consistent Membership at Scale with Rapid (2018), §7
 */
export const rapid: Scenario = {
  name: 'rapid',
  summary:
    '10 crash; 1 % hear nothing 20 s on, 20 s off; 1 % lose 80 %: who is out, how many changes',
  run(options: ScenarioOptions): Report {
    const size = options.nodes ?? (options.full ? 1_000 : 200);
    const hash = new TraceHash();
    const runs: Run[] = [];
    const variants = [memberlist(size), oursAtOneSecond()];
    for (const failure of FAILURES) {
      for (const variant of variants) {
        const durationMs = options.full ? failure.fullMs : failure.durationMs;
        runs.push(run({ variant, size, failure, durationMs, seed: options.seed, hash }));
        options.progress(runs.length, FAILURES.length * variants.length, failure.name);
      }
    }
    return {
      scenario: 'rapid',
      seed: options.seed,
      settings: { nodes: size, periodMs: 1_000 },
      tables: [{ title: `Failures among ${size}`, columns: COLUMNS, rows: runs.map(rowOf) }],
      bars: runs
        .filter(({ variant }) => variant.name === 'ours')
        .map((each) => ({
          what: `${each.failure.name}: all healthy members end with exactly the failed ones out`,
          value: `${each.exact} of ${each.healthy}`,
          ok: each.exact === each.healthy,
        })),
      charts: FAILURES.map((failure) => chartOf(failure, runs)),
      traceHash: hash.text,
    };
  },
};

interface Failure {
  readonly name: string;
  readonly durationMs: number;
  readonly fullMs: number;
  /** How many of so many fail. */
  failed(size: number): number;
  /** Makes it so; called once a second. */
  inject(fleet: Fleet, failed: readonly number[], second: number): void;
}

const FAILURES: readonly Failure[] = [
  {
    name: '10 crash',
    durationMs: 60_000,
    fullMs: 60_000,
    failed: () => 10,
    inject: (fleet, failed, second) => {
      if (second === 0) for (const number of failed) fleet.crash(number);
    },
  },
  {
    name: '1 % hear nothing, 20 s on, 20 s off',
    durationMs: 300_000,
    fullMs: 300_000,
    failed: (size) => Math.ceil(size / 100),
    inject: (fleet, failed, second) => {
      if (second % 20 > 0) return;
      const into = second % 40 === 0 ? 1 : 0;
      for (const number of failed) fleet.network.lose(addressOf(number), { into });
    },
  },
  {
    name: '1 % lose 80 % of what they send and are sent',
    durationMs: 300_000,
    fullMs: 300_000,
    failed: (size) => Math.ceil(size / 100),
    inject: (fleet, failed, second) => {
      if (second > 0) return;
      for (const number of failed) fleet.network.lose(addressOf(number), { into: 0.8, outOf: 0.8 });
    },
  },
];

interface Run {
  readonly failure: Failure;
  readonly variant: Variant;
  readonly healthy: number;
  /** Healthy members that end with exactly the failed ones out. */
  readonly exact: number;
  /** When all of them had come to that for good; NaN if never. */
  readonly settledMs: number;
  /** Share of the time in which all of them saw exactly that. */
  readonly exactShare: number;
  /** Changes of the view per healthy member: the mean, and the most. */
  readonly changes: number;
  readonly changesMax: number;
  /** Healthy members out of the view of a healthy one, each event. */
  readonly falseRemovals: number;
  readonly sentPerSecond: number;
  /** Share of the failed that are out, mean over healthy members, by second. */
  readonly series: readonly Point[];
}

/**
 * The view of ours is that of the cut detector; memberlist's is who is not dead, and each change of
 * that is one of its view.
 */
function run(options: {
  variant: Variant;
  size: number;
  failure: Failure;
  durationMs: number;
  seed: string;
  hash: TraceHash;
}): Run {
  const { variant, size, failure, durationMs } = options;
  const { config, switches } = variant;
  const seed = `${options.seed} ${failure.name}`;
  const fleet = new Fleet({ size, seed, config, switches });
  const everybody = fleet.prng.fork('failed').shuffle(Array.from({ length: size }, (_, n) => n));
  const failed = everybody.slice(0, failure.failed(size));
  const healthy = everybody.slice(failed.length);
  const isFailed = new Set(failed);
  const presence = new Presence(size, true);
  const changes = new Int32Array(size);
  let falseRemovals = 0;
  const change = (observer: number, member: number, present: boolean): void => {
    if (presence.has(observer, member) === present) return;
    presence.set(observer, member, present);
    if (!present && !isFailed.has(member) && !isFailed.has(observer)) falseRemovals += 1;
  };
  if (variant.name === 'ours') {
    fleet.onView = (observer, added, removed) => {
      changes[observer] = (changes[observer] as number) + 1;
      for (const member of added) change(observer, member, true);
      for (const member of removed) change(observer, member, false);
    };
  } else {
    fleet.onState = (observer, member, state) => {
      const present = state === 'alive' || state === 'suspect';
      if (presence.has(observer, member) === present) return;
      changes[observer] = (changes[observer] as number) + 1;
      change(observer, member, present);
    };
  }
  fleet.run(5_000);
  const sentBefore = fleet.network.counters.sent;
  const isExact = (observer: number): boolean =>
    presence.count(observer) === size - failed.length &&
    failed.every((member) => !presence.has(observer, member));
  const series: Point[] = [];
  let settledMs = Number.NaN;
  let exactSeconds = 0;
  for (let second = 0; second * 1_000 < durationMs; second += 1) {
    failure.inject(fleet, failed, second);
    fleet.run(1_000);
    const out = failed.reduce(
      (sum, member) => sum + healthy.filter((observer) => !presence.has(observer, member)).length,
      0,
    );
    if (second % 2 === 0) series.push([second, rounded(out / failed.length / healthy.length, 3)]);
    const isSettled = healthy.every(isExact);
    if (isSettled) exactSeconds += 1;
    if (!isSettled) settledMs = Number.NaN;
    else if (Number.isNaN(settledMs)) settledMs = (second + 1) * 1_000;
  }
  options.hash.add(fleet.traceHash);
  const perHealthy = healthy.map((observer) => changes[observer] as number);
  return {
    failure,
    variant,
    healthy: healthy.length,
    exact: healthy.filter(isExact).length,
    settledMs,
    exactShare: exactSeconds / (durationMs / 1_000),
    changes: rounded(perHealthy.reduce((sum, each) => sum + each, 0) / healthy.length, 2),
    changesMax: Math.max(...perHealthy),
    falseRemovals,
    sentPerSecond: rounded(
      (fleet.network.counters.sent - sentBefore) / size / (durationMs / 1000),
      2,
    ),
    series,
  };
}

function rowOf(each: Run): (number | string)[] {
  return [
    each.failure.name,
    each.variant.name,
    `${each.exact} of ${each.healthy}`,
    Number.isNaN(each.settledMs) ? 'never' : seconds(each.settledMs),
    `${Math.round(each.exactShare * 100)} %`,
    each.changes,
    each.changesMax,
    each.falseRemovals,
    each.sentPerSecond,
  ];
}

function chartOf(failure: Failure, runs: readonly Run[]): Chart {
  return {
    name: `rapid-${FAILURES.indexOf(failure) + 1}`,
    title: failure.name,
    x: { title: 'seconds' },
    y: { title: 'share of the failed that are out of the view' },
    lines: runs
      .filter((each) => each.failure === failure)
      .map(({ variant, series }) => ({ name: variant.name, points: series })),
  };
}

const COLUMNS = [
  'failure',
  'variant',
  'exactly these out',
  'for good after, s',
  'of the time',
  'view changes, mean',
  'most',
  'false removals',
  'sent/s',
];
