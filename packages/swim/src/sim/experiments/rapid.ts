import { isPresent } from '../../core/member-list.ts';
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

/** The list, filtered by the cut detector: what placement goes by. */
const VIEW = 'ours, stable view';
const COLUMNS = [
  'failure',
  'whose',
  'exactly these out',
  'for good after, s',
  'of the time',
  'changes, mean',
  'most',
  'false removals',
  'sent/s',
];

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
        runs.push(...run({ variant, size, failure, durationMs, seed: options.seed, hash }));
        options.progress(FAILURES.indexOf(failure) + 1, FAILURES.length, failure.name);
      }
    }
    return {
      scenario: 'rapid',
      seed: options.seed,
      settings: { nodes: size, periodMs: 1_000 },
      tables: [{ title: `Failures among ${size}`, columns: COLUMNS, rows: runs.map(rowOf) }],
      bars: runs
        .filter(({ what }) => what === VIEW)
        .map((each) => ({
          what: `${each.failure.name}: all healthy members end with exactly the failed ones out of the view`,
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
  /** Who is asked, and of what: its list, or its stable view. */
  readonly what: string;
  readonly healthy: number;
  /** Healthy members that end with exactly the failed ones out. */
  readonly exact: number;
  /** When all of them had come to that for good; NaN if never. */
  readonly settledMs: number;
  /** Share of the time in which all of them saw exactly that. */
  readonly exactShare: number;
  /** Changes per healthy member: the mean, and the most. */
  readonly changes: number;
  readonly changesMax: number;
  /** Healthy members out in the eyes of a healthy one, each event. */
  readonly falseRemovals: number;
  readonly sentPerSecond: number;
  /** Share of the failed that are out, mean over healthy members, by second. */
  readonly series: readonly Point[];
}

/** Who is in, in the eyes of each: by the list of members, or by the stable view. */
class Watch {
  readonly what: string;
  falseRemovals = 0;
  readonly #size: number;
  readonly #failed: readonly number[];
  readonly #healthy: readonly number[];
  readonly #isFailed: ReadonlySet<number>;
  readonly #presence: Presence;
  readonly #changes: Int32Array;
  readonly #series: Point[] = [];
  #settledMs = Number.NaN;
  #exactSeconds = 0;

  constructor(what: string, everybody: readonly number[], failed: number) {
    this.what = what;
    this.#size = everybody.length;
    this.#failed = everybody.slice(0, failed);
    this.#healthy = everybody.slice(failed);
    this.#isFailed = new Set(this.#failed);
    this.#presence = new Presence(this.#size, true);
    this.#changes = new Int32Array(this.#size);
  }

  /** One change, whatever it adds and removes. */
  change(observer: number, added: readonly number[], removed: readonly number[]): void {
    const news = (member: number, present: boolean): boolean => {
      if (this.#presence.has(observer, member) === present) return false;
      this.#presence.set(observer, member, present);
      return true;
    };
    const came = added.filter((member) => news(member, true));
    const went = removed.filter((member) => news(member, false));
    if (came.length + went.length === 0) return;
    this.#changes[observer] = (this.#changes[observer] as number) + 1;
    if (this.#isFailed.has(observer)) return;
    this.falseRemovals += went.filter((member) => !this.#isFailed.has(member)).length;
  }

  endSecond(second: number): void {
    const failed = this.#failed;
    const healthy = this.#healthy;
    const presence = this.#presence;
    const out = failed.reduce(
      (sum, member) => sum + healthy.filter((observer) => !presence.has(observer, member)).length,
      0,
    );
    const share = rounded(out / failed.length / healthy.length, 3);
    if (second % 2 === 0) this.#series.push([second, share]);
    const isSettled = healthy.every((observer) => this.#isExact(observer));
    if (isSettled) this.#exactSeconds++;
    if (!isSettled) this.#settledMs = Number.NaN;
    else if (Number.isNaN(this.#settledMs)) this.#settledMs = (second + 1) * 1_000;
  }

  result(failure: Failure, durationMs: number, sentPerSecond: number): Run {
    const { what, falseRemovals } = this;
    const healthy = this.#healthy;
    const settledMs = this.#settledMs;
    const series = this.#series;
    const each = healthy.map((observer) => this.#changes[observer] as number);
    return {
      failure,
      what,
      healthy: healthy.length,
      exact: healthy.filter((observer) => this.#isExact(observer)).length,
      settledMs,
      exactShare: this.#exactSeconds / (durationMs / 1_000),
      changes: rounded(each.reduce((sum, changes) => sum + changes, 0) / healthy.length, 2),
      changesMax: Math.max(...each),
      falseRemovals,
      sentPerSecond,
      series,
    };
  }

  #isExact(observer: number): boolean {
    return (
      this.#presence.count(observer) === this.#size - this.#failed.length &&
      this.#failed.every((member) => !this.#presence.has(observer, member))
    );
  }
}

/** The lists of both are compared; ours has a stable view besides, which filters its list. */
function run(options: {
  variant: Variant;
  size: number;
  failure: Failure;
  durationMs: number;
  seed: string;
  hash: TraceHash;
}): Run[] {
  const { variant, size, failure, durationMs } = options;
  const { config, switches } = variant;
  const seed = `${options.seed} ${failure.name}`;
  const fleet = new Fleet({ size, seed, config, switches });
  const everybody = fleet.prng.fork('failed').shuffle(Array.from({ length: size }, (_, n) => n));
  const failed = everybody.slice(0, failure.failed(size));
  const list = new Watch(`${variant.name}, list`, everybody, failed.length);
  const view = new Watch(VIEW, everybody, failed.length);
  fleet.onState = (observer, member, state) => {
    const isIn = isPresent({ state });
    list.change(observer, isIn ? [member] : [], isIn ? [] : [member]);
  };
  fleet.onView = (observer, added, removed) => view.change(observer, added, removed);
  const watches = variant.name === 'ours' ? [list, view] : [list];
  fleet.run(5_000);
  const sentBefore = fleet.network.counters.sent;
  for (let second = 0; second * 1_000 < durationMs; second++) {
    failure.inject(fleet, failed, second);
    fleet.run(1_000);
    for (const watch of watches) watch.endSecond(second);
  }
  options.hash.add(fleet.traceHash);
  const sent = (fleet.network.counters.sent - sentBefore) / size / (durationMs / 1_000);
  return watches.map((watch) => watch.result(failure, durationMs, rounded(sent, 2)));
}

function rowOf(each: Run): (number | string)[] {
  return [
    each.failure.name,
    each.what,
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
    y: { title: 'share of the failed that are out' },
    lines: runs
      .filter((each) => each.failure === failure)
      .map(({ what, series }) => ({ name: what, points: series })),
  };
}
