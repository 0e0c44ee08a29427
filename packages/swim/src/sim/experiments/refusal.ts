import { Fleet } from './fleet.ts';
import {
  type Bar,
  quantile,
  type Report,
  rounded,
  type Scenario,
  type ScenarioOptions,
  TraceHash,
} from './report.ts';
import { oursByDefault } from './variant.ts';

const REPEATS = 200;
const LIMIT_MS = 10_000;
const SETTLE_MS = 3_000;
const QUIET_MS = 20_000;
/** A connection that is reset tells its peer of the end of a process. */
const RESET_MS = 1;
/** The process that is killed, or harmed. */
const VICTIM = 1;
const KILL_COLUMNS = [
  'members',
  'hint',
  ...['first owner', 'all owners', 'faulty to all'].flatMap((what) =>
    ['p50', 'p99'].map((share) => `${what}, ${share}`),
  ),
];

/** When owners of survivors hear of one killed process, in milliseconds from its end. */
interface Heard {
  readonly firstMs: number;
  readonly allMs: number;
  readonly faultyMs: number;
}

/** How soon owners hear that a process was refused, and that nothing else is taken for that. */
export const refusal: Scenario = {
  name: 'refusal',
  summary: 'a process is killed: its host refuses, owners hear so; pauses and restarts beside it',
  run(options): Report {
    const sizes = options.nodes === undefined ? [3, 5, 7] : [options.nodes];
    const repeats = options.repeats ?? REPEATS;
    const runs = new Runs(options, repeats, sizes.length * repeats * 4);
    const rows: (number | string)[][] = [];
    const harmless: (number | string)[][] = [];
    const bars: Bar[] = [];
    for (const size of sizes) {
      for (const hinted of [false, true]) {
        const heard = runs.of(size, hinted ? 'killed, peers reset' : 'killed', (fleet) =>
          kill(fleet, hinted),
        );
        const spread = (key: keyof Heard): number[] => {
          const times = heard.map((each) => each[key]);
          return [0.5, 0.99].map((share) => rounded(quantile(times, share), 1));
        };
        const [allMs, how] = [spread('allMs'), hinted ? 'reset, probeNow' : 'none'];
        rows.push([size, how, ...spread('firstMs'), ...allMs, ...spread('faultyMs')]);
        if (!hinted) continue;
        const value = allMs[1] as number;
        const what = `all owners hear in 100 ms after a hint, p99, ${size} members`;
        bars.push({ what, value, ok: value <= 100 });
      }
      for (const what of ['paused', 'restarted'] as const) {
        const seen = runs.of(size, what, (fleet) => harm(fleet, what));
        const faulty = sum(seen.map((each) => each.faulty));
        const refusals = sum(seen.map((each) => each.refusals));
        harmless.push([size, what, repeats, refusals, faulty]);
        bars.push(none(`member faulty, ${what}, ${size} members`, faulty));
        if (what === 'paused') bars.push(none(`refusal, paused, ${size} members`, refusals));
      }
    }
    return {
      scenario: 'refusal',
      seed: options.seed,
      settings: { repeats },
      tables: [
        { title: 'A process is killed, ms', columns: KILL_COLUMNS, rows },
        {
          title: 'A process pauses for 0.5 to 5 s, or is back on its port after 10 to 500 ms',
          columns: ['members', 'what', 'runs', 'refusals told', 'called faulty'],
          rows: harmless,
        },
      ],
      bars,
      charts: [],
      traceHash: runs.traceHash,
    };
  },
};

/** Repeats of one experiment, each with a cluster of its own. */
class Runs {
  readonly #options: ScenarioOptions;
  readonly #repeats: number;
  readonly #total: number;
  readonly #hash = new TraceHash();
  #done = 0;

  constructor(options: ScenarioOptions, repeats: number, total: number) {
    this.#options = options;
    this.#repeats = repeats;
    this.#total = total;
  }

  get traceHash(): string {
    return this.#hash.text;
  }

  of<T>(size: number, what: string, act: (fleet: Fleet) => T): T[] {
    const { config, switches } = oursByDefault();
    return Array.from({ length: this.#repeats }, (_, run) => {
      const seed = `${this.#options.seed} ${what} ${size} ${run}`;
      const fleet = new Fleet({ size, seed, config, switches });
      fleet.run(SETTLE_MS + fleet.prng.next() * 1_000);
      const outcome = act(fleet);
      this.#hash.add(fleet.traceHash);
      this.#done++;
      this.#options.progress(this.#done, this.#total, `${what} of one of ${size}`);
      return outcome;
    });
  }
}

function none(what: string, value: number): Bar {
  return { what: `no ${what}`, value, ok: value === 0 };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function kill(fleet: Fleet, hinted: boolean): Heard {
  const startMs = fleet.nowMs;
  const heard = new Map<number, number>();
  const faulty = new Map<number, number>();
  fleet.onRefused = (observer, member) => {
    if (member === VICTIM && !heard.has(observer)) heard.set(observer, fleet.nowMs - startMs);
  };
  fleet.onState = (observer, member, state, nowMs) => {
    if (member === VICTIM && state === 'faulty') faulty.set(observer, nowMs - startMs);
  };
  fleet.crash(VICTIM);
  const survivors = fleet.running();
  if (hinted) hint(fleet, survivors);
  fleet.until(LIMIT_MS, () => survivors.every((each) => heard.has(each) && faulty.has(each)));
  const last = (times: ReadonlyMap<number, number>): number =>
    Math.max(...survivors.map((each) => times.get(each) ?? LIMIT_MS));
  return { firstMs: Math.min(...heard.values()), allMs: last(heard), faultyMs: last(faulty) };
}

/** Peers of the process notice at once, whether it ended or only its connections did. */
function hint(fleet: Fleet, peers: readonly number[]): void {
  fleet.scheduler.after(RESET_MS, () => {
    for (const peer of peers) fleet.agent(peer).probeNow(`m${VICTIM}`);
  });
}

/** Harm that is no death, with the hints of a death. */
function harm(fleet: Fleet, what: 'paused' | 'restarted'): { refusals: number; faulty: number } {
  let refusals = 0;
  let faulty = 0;
  fleet.onRefused = () => refusals++;
  fleet.onState = (_observer, _member, state) => {
    if (state === 'faulty') faulty++;
  };
  const peers = fleet.running().filter((each) => each !== VICTIM);
  hint(fleet, peers);
  if (what === 'paused') {
    const agent = fleet.agent(VICTIM);
    agent.pause();
    fleet.run(500 + fleet.prng.next() * 4_500);
    agent.resume();
  } else {
    fleet.crash(VICTIM);
    fleet.run(10 + fleet.prng.next() * 490);
    fleet.start(VICTIM);
  }
  fleet.run(QUIET_MS);
  return { refusals, faulty };
}
