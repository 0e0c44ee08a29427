import { Fleet } from './fleet.ts';
import { Presence } from './presence.ts';
import {
  type Report,
  rounded,
  type Scenario,
  type ScenarioOptions,
  seconds,
  TraceHash,
} from './report.ts';
import { memberlist, oursAtOneSecond, type Variant } from './variant.ts';

/** Many start within a second and join through two seeds. */
export const bootstrap: Scenario = {
  name: 'bootstrap',
  summary: '2,000 start within a second and join through two seeds, beside memberlist',
  run(options: ScenarioOptions): Report {
    const size = options.nodes ?? (options.full ? 2_000 : 300);
    const hash = new TraceHash();
    const variants = [memberlist(size), oursAtOneSecond()];
    const results = variants.map((variant, at) => {
      const result = start(variant, size, options.seed, hash);
      options.progress(at + 1, variants.length, variant.name);
      return result;
    });
    const [base, ours] = results.map(({ tookMs }) => tookMs) as [number, number];
    return {
      scenario: 'bootstrap',
      seed: options.seed,
      settings: { nodes: size },
      tables: [
        {
          title: `${size} start within a second`,
          columns: [
            'variant',
            'all know all after, s',
            'changes of the list per member',
            'of the stable view',
            'called faulty',
            'datagrams per member',
            'kB per member, datagrams',
            'kB per member, streams',
          ],
          rows: results.map(({ row }) => row),
        },
      ],
      bars: [
        {
          what: 'all know all, not later than memberlist, s',
          value: `${seconds(ours)} : ${seconds(base)}`,
          ok: ours <= base,
        },
      ],
      charts: [],
      traceHash: hash.text,
    };
  },
};

function start(variant: Variant, size: number, seed: string, hash: TraceHash) {
  const { config, switches } = variant;
  const fleet = new Fleet({ size, seed, config, switches, warm: false });
  const presence = new Presence(size, false);
  let falsePositives = 0;
  let changes = 0;
  let viewChanges = 0;
  fleet.onState = (observer, member, state) => {
    const before = presence.count(observer);
    presence.note(observer, member, state);
    if (state === 'faulty') falsePositives++;
    if (presence.count(observer) !== before) changes++;
  };
  fleet.onView = () => {
    viewChanges++;
  };
  const order = fleet.prng.fork('order').shuffle(Array.from({ length: size }, (_, n) => n));
  for (const number of order) {
    fleet.start(number);
    fleet.run(1_000 / size);
  }
  const isWhole = (): boolean => order.every((each) => presence.count(each) === size);
  const waitedMs = fleet.until(LIMIT_MS, isWhole, 50) ?? LIMIT_MS;
  const tookMs = waitedMs + 1_000;
  hash.add(fleet.traceHash);
  const { sent, bytes, streamBytes } = fleet.network.counters;
  const per = (total: number): number => rounded(total / size, 1);
  const row = [
    variant.name,
    seconds(tookMs),
    per(changes),
    variant.name === 'ours' ? per(viewChanges) : '–',
    falsePositives,
    per(sent),
    per(bytes / 1_000),
    per(streamBytes / 1_000),
  ];
  return { tookMs, row };
}

const LIMIT_MS = 180_000;
