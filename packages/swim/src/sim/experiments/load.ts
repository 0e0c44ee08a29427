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
import { oursByDefault } from './variant.ts';

/** What membership costs when nothing happens, and whether joiners are held under loss. */
export const load: Scenario = {
  name: 'load',
  summary: 'datagrams per member and period at 10 to 10,000 members; 17 join at 10 % loss',
  run(options: ScenarioOptions): Report {
    const sizes = SIZES.filter(
      (size) => size <= (options.nodes ?? (options.full ? 10_000 : 1_000)),
    );
    const hash = new TraceHash();
    const rows = sizes.map((size, at) => {
      const row = quiet(size, `${options.seed} ${size}`, hash);
      options.progress(at + 1, sizes.length + 1, `${size} members`);
      return row;
    });
    const holdMs = options.full ? 3_600_000 : 300_000;
    const joined = join17(`${options.seed} join`, holdMs, hash);
    return {
      scenario: 'load',
      seed: options.seed,
      settings: { sizes: sizes.join(' '), periods: PERIODS, joiners: JOINERS, joinLoss: '10 %' },
      tables: [
        {
          title: 'Nothing happens: per member and protocol period',
          columns: ['members', 'sent', 'received', 'bytes sent', 'streams in 1,000 periods'],
          rows,
        },
        {
          title: `${JOINERS} join at 10 % loss`,
          columns: ['all know all after, s', 'held for, s', 'fewest known since', 'called faulty'],
          rows: [[seconds(joined.tookMs), holdMs / 1000, joined.fewest, joined.falsePositives]],
        },
      ],
      bars: [
        ...rows.map(([size, sent, received]) => ({
          what: `about 2.0 sent and received per period, ${size} members`,
          value: `${sent} : ${received}`,
          ok: Math.abs((sent as number) - 2) <= 0.1 && Math.abs((received as number) - 2) <= 0.1,
        })),
        {
          what: `${JOINERS} are reached and held at 10 % loss`,
          value: joined.fewest,
          ok: joined.fewest === JOINERS,
        },
      ],
      charts: [
        {
          name: 'load',
          title: 'Datagrams sent per member and protocol period',
          x: { title: 'members', logarithmic: true },
          y: { title: 'datagrams' },
          lines: [
            { name: 'ours', points: rows.map(([size, sent]) => [size as number, sent as number]) },
          ],
        },
      ],
      traceHash: hash.text,
    };
  },
};

function quiet(size: number, seed: string, hash: TraceHash): number[] {
  const { config, switches } = oursByDefault();
  const fleet = new Fleet({ size, seed, config, switches });
  fleet.run(config.protocolPeriodMs * 4);
  const before = { ...fleet.network.counters };
  fleet.run(config.protocolPeriodMs * PERIODS);
  const after = fleet.network.counters;
  hash.add(fleet.traceHash);
  const per = (total: number): number => rounded(total / size / PERIODS, 2);
  return [
    size,
    per(after.sent - before.sent),
    per(after.delivered - before.delivered),
    per(after.bytes - before.bytes),
    per((after.streams - before.streams) * 1_000),
  ];
}

function join17(seed: string, holdMs: number, hash: TraceHash) {
  const { config, switches } = oursByDefault();
  const faults = { dropRate: 0.1 };
  const fleet = new Fleet({ size: JOINERS, seed, config, switches, faults, warm: false });
  const presence = new Presence(JOINERS, false);
  let falsePositives = 0;
  fleet.onState = (observer, member, state) => {
    presence.note(observer, member, state);
    if (state === 'faulty') falsePositives++;
  };
  const everybody = Array.from({ length: JOINERS }, (_, n) => n);
  for (const number of everybody) fleet.start(number);
  const fewestKnown = (): number => Math.min(...everybody.map((each) => presence.count(each)));
  const tookMs = fleet.until(60_000, () => fewestKnown() === JOINERS) ?? Number.NaN;
  let fewest = fewestKnown();
  const endMs = fleet.nowMs + holdMs;
  while (fleet.nowMs < endMs) {
    fleet.run(100);
    fewest = Math.min(fewest, fewestKnown());
  }
  hash.add(fleet.traceHash);
  return { tookMs, fewest, falsePositives };
}

const SIZES = [10, 100, 1_000, 10_000];
const PERIODS = 60;
const JOINERS = 17;
