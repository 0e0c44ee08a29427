import { isPresent } from '../../core/member-list.ts';
import { addressOf, Fleet } from './fleet.ts';
import { Presence } from './presence.ts';
import { type Report, type Scenario, type ScenarioOptions, seconds, TraceHash } from './report.ts';
import { oursByDefault } from './variant.ts';

/** A split that lasts and heals; a full outage and a restart. */
export const split: Scenario = {
  name: 'split',
  summary: '100 are split in halves for an hour and heal; all stop and start again',
  run(options: ScenarioOptions): Report {
    const size = options.nodes ?? 100;
    const hash = new TraceHash();
    const splitMs = options.full ? 3_600_000 : 120_000;
    const halves = splitInHalves(size, options.seed, splitMs, hash);
    options.progress(1, 2, 'split');
    const outage = fullOutage(size, options.seed, hash);
    options.progress(2, 2, 'outage');
    return {
      scenario: 'split',
      seed: options.seed,
      settings: { nodes: size, splitMinutes: splitMs / 60_000, preset: 'lan' },
      tables: [
        {
          title: `${size} split 50 : 50, then healed`,
          columns: [
            'all call the other half faulty after, s',
            'one view after the healing, s',
            'view changes since, most',
            'faulty in the 10 min after',
          ],
          rows: [
            [
              seconds(halves.partedMs),
              seconds(halves.healedMs),
              halves.changesMax,
              halves.deathsAfter,
            ],
          ],
        },
        {
          title: `${size} members; some crash, some leave; all stop; the rest start again`,
          columns: ['gone', 'all know all after, s', 'gone ones seen again'],
          rows: [[outage.gone, seconds(outage.tookMs), outage.revived]],
        },
      ],
      bars: [
        {
          what: 'one view within 10 s of the healing, s',
          value: seconds(halves.healedMs),
          ok: halves.healedMs <= 10_000,
        },
        {
          what: 'no death in the 10 min after',
          value: halves.deathsAfter,
          ok: halves.deathsAfter === 0,
        },
        {
          what: 'nothing that was gone is seen again after a full outage',
          value: outage.revived,
          ok: outage.revived === 0 && outage.tookMs < 60_000,
        },
      ],
      charts: [],
      traceHash: hash.text,
    };
  },
};

function splitInHalves(size: number, seed: string, splitMs: number, hash: TraceHash) {
  const { config, switches } = oursByDefault();
  const fleet = new Fleet({ size, seed: `${seed} split`, config, switches });
  const presence = new Presence(size, true);
  const everybody = Array.from({ length: size }, (_, n) => n);
  const half = Math.floor(size / 2);
  const changes = new Int32Array(size);
  fleet.onState = (observer, member, state) => presence.note(observer, member, state);
  fleet.onView = (observer) => {
    changes[observer] = (changes[observer] as number) + 1;
  };
  fleet.run(5_000);
  fleet.network.split([everybody.slice(0, half).map(addressOf)]);
  const isParted = (): boolean =>
    everybody.every((each) => presence.count(each) === (each < half ? half : size - half));
  const partedMs = fleet.until(60_000, isParted) ?? Number.NaN;
  fleet.run(splitMs);
  changes.fill(0);
  fleet.network.heal();
  const isWhole = (): boolean => everybody.every((each) => presence.count(each) === size);
  const oneView = (): boolean =>
    isWhole() && everybody.every((each) => fleet.agent(each).view().names.length === size);
  const healedMs = fleet.until(300_000, oneView) ?? Number.POSITIVE_INFINITY;
  let deathsAfter = 0;
  fleet.onState = (_observer, _member, state) => {
    if (state === 'faulty') deathsAfter++;
  };
  fleet.run(600_000);
  hash.add(fleet.traceHash);
  return { partedMs, healedMs, deathsAfter, changesMax: Math.max(...changes) };
}

function fullOutage(size: number, seed: string, hash: TraceHash) {
  const { config, switches } = oursByDefault();
  const fleet = new Fleet({ size, seed: `${seed} outage`, config, switches, warm: false });
  const presence = new Presence(size, false);
  fleet.onState = (observer, member, state) => presence.note(observer, member, state);
  const everybody = Array.from({ length: size }, (_, n) => n);
  for (const number of everybody) fleet.start(number);
  const allKnow = (numbers: readonly number[]): boolean =>
    numbers.every((each) => presence.count(each) === numbers.length);
  fleet.until(60_000, () => allKnow(everybody), 100);
  const tenth = Math.floor(size / 10);
  // Never the first two: they are the seeds.
  const crashed = everybody.slice(size - tenth);
  const departed = everybody.slice(size - 2 * tenth, size - tenth);
  const rest = everybody.slice(0, size - 2 * tenth);
  for (const number of crashed) fleet.crash(number);
  for (const number of departed) fleet.agent(number).leave();
  fleet.run(2_000);
  for (const number of departed) fleet.crash(number);
  fleet.until(60_000, () => allKnow(rest), 100);
  for (const number of rest) fleet.crash(number);
  fleet.run(10_000);
  let revived = 0;
  const gone = new Set([...crashed, ...departed]);
  for (const number of rest) presence.reset(number);
  fleet.onState = (observer, member, state) => {
    presence.note(observer, member, state);
    if (gone.has(member) && isPresent({ state })) revived++;
  };
  const startMs = fleet.nowMs;
  const order = fleet.prng.fork('restart').shuffle([...rest]);
  for (const number of order) {
    fleet.start(number);
    fleet.run(3_000 / order.length);
  }
  fleet.until(60_000, () => allKnow(rest), 100);
  const tookMs = fleet.nowMs - startMs;
  fleet.run(60_000);
  hash.add(fleet.traceHash);
  return { gone: gone.size, tookMs, revived };
}
