import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type SwimConfigInput, swimConfig } from '../config.ts';
import { CutDetector, type ViewChange } from './cut-detector.ts';
import type { MemberState, SwimMember } from './message.ts';

type Doubt = {
  accusers: Set<string>;
  settled: boolean;
  bounds: { confirmations: number };
  endMs: number;
};

/** A detector and the member list that it reads; hosts are the names' first letters. */
class Bench {
  readonly detector: CutDetector;
  readonly changes: ViewChange[] = [];
  /** Those of the time before it was looked at. */
  before: ViewChange[] = [];
  massBegan = 0;
  nowMs = 0;
  readonly #members = new Map<string, SwimMember>();
  readonly #doubts = new Map<string, Doubt>();

  constructor(config: SwimConfigInput = {}, byHost = false) {
    this.#members.set('me', member('me', 'alive'));
    const members = this.#members;
    const doubts = this.#doubts;
    const known = {
      self: member('me', 'alive'),
      get: (name: string) => members.get(name),
      all: () => members.values(),
      presentCount: () => [...members.values()].filter(({ state }) => isPresent(state)).length,
      suspicionOf: (name: string) =>
        doubts.get(name) as (Doubt & { bounds: { minMs: 0; maxMs: 0 } }) | undefined,
    };
    const hostOf = byHost ? ({ name }: { name: string }) => name.slice(0, 1) : undefined;
    this.detector = new CutDetector(known, swimConfig({ cutBatchMs: 0, ...config }), hostOf);
    this.decide();
  }

  /** Members come, and the changes so far are forgotten. */
  static of(names: string, config: SwimConfigInput = {}, byHost = false): Bench {
    const bench = new Bench(config, byHost);
    for (const name of names.split(' ')) bench.set(name, 'alive');
    bench.before = bench.changes.splice(0);
    return bench;
  }

  set(name: string, state: MemberState, incarnation?: number, bootEpoch = 1): void {
    const before = this.#members.get(name);
    const after = member(name, state, incarnation ?? before?.incarnation ?? 0, bootEpoch);
    this.#members.set(name, after);
    if (state !== 'suspect') this.#doubts.delete(name);
    this.detector.observe(before, after, this.nowMs);
    this.decide();
  }

  /** The member is suspect, accused by these. */
  suspect(name: string, accusers: string, settled = false): void {
    const confirmations = 3;
    const set = new Set(accusers.split(' '));
    this.#doubts.set(name, {
      accusers: set,
      settled,
      bounds: { confirmations },
      endMs: this.nowMs,
    });
    this.set(name, 'suspect');
  }

  refute(name: string): void {
    this.set(name, 'alive', (this.#members.get(name)?.incarnation ?? 0) + 1);
  }

  forget(name: string): void {
    const before = this.#members.get(name);
    this.#members.delete(name);
    this.detector.observe(before, undefined, this.nowMs);
    this.decide();
  }

  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    while (this.detector.dueMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.detector.dueMs);
      this.decide();
    }
    this.nowMs = endMs;
  }

  view(): string {
    return this.detector.view().names.join(' ');
  }

  present(): string {
    const present = [...this.#members.values()].filter(({ state }) => isPresent(state));
    return present
      .map(({ name }) => name)
      .sort()
      .join(' ');
  }

  decide(): void {
    const { change, massBegan } = this.detector.step(this.nowMs);
    if (massBegan) this.massBegan++;
    if (change !== undefined) this.changes.push(change);
  }
}

function isPresent(state: MemberState): boolean {
  return state === 'alive' || state === 'suspect';
}

function member(name: string, state: MemberState, incarnation = 0, bootEpoch = 1): SwimMember {
  const address = `${name}:1`;
  return { name, bootEpoch, incarnation, state, address, meta: new Uint8Array(), unwell: false };
}

describe('CutDetector', () => {
  it('begins with the own member, which never leaves', () => {
    const bench = new Bench();
    assert.deepEqual(bench.changes, [{ number: 1, added: ['me'], removed: [] }]);
    bench.set('me', 'faulty');
    assert.equal(bench.view(), 'me');
  });

  it('lets members in and out at once, one by one', () => {
    const bench = Bench.of('a b c');
    assert.equal(bench.view(), 'a b c me');
    bench.set('b', 'left');
    bench.suspect('c', 'a');
    bench.set('c', 'faulty');
    assert.deepEqual(
      bench.changes.map(({ removed }) => removed.join()),
      ['b', 'c'],
    );
    bench.refute('c');
    assert.equal(bench.view(), 'a c me');
  });

  it('gathers what changes within the shortest time between two views', () => {
    const bench = Bench.of('a', { cutBatchMs: 100 });
    assert.equal(bench.view(), 'me');
    bench.set('b', 'alive');
    bench.set('c', 'alive');
    bench.set('c', 'left');
    assert.equal(bench.view(), 'me');
    bench.run(100);
    assert.deepEqual(bench.changes, [{ number: 2, added: ['a', 'b'], removed: [] }]);
    assert.equal(bench.view(), 'a b me');
  });

  it('holds a faulty member while another is between the watermarks (Rapid §4.2)', () => {
    const bench = Bench.of('a b c d e');
    bench.suspect('b', 'c d');
    bench.suspect('a', 'c d');
    bench.set('a', 'faulty');
    assert.equal(bench.view(), 'a b c d e me');
    bench.set('b', 'faulty');
    bench.run(2_000);
    assert.deepEqual(bench.changes, [{ number: 7, added: [], removed: ['a', 'b'] }]);
  });

  it('lets the faulty one go when the other has refuted, and keeps that', () => {
    const bench = Bench.of('a b c d e');
    bench.suspect('b', 'c d');
    bench.set('a', 'faulty');
    bench.refute('b');
    assert.equal(bench.view(), 'b c d e me');
  });

  it('does not hold for a suspect below the low watermark', () => {
    const bench = Bench.of('a b c d e');
    bench.suspect('b', 'c');
    bench.set('a', 'faulty');
    assert.equal(bench.view(), 'b c d e me');
  });

  it('counts no accuser that is suspect, dead or unknown', () => {
    const bench = Bench.of('a b c d e f g h');
    bench.set('d', 'left');
    bench.suspect('e', 'c');
    bench.suspect('b', 'c d e x');
    bench.set('a', 'faulty');
    assert.equal(bench.view(), 'b c e f g h me');
  });

  it('counts accusers by host', () => {
    const alone = Bench.of('a b c1 c2 d', {}, true);
    alone.suspect('b', 'c1 c2');
    alone.set('a', 'faulty');
    assert.equal(alone.view(), 'b c1 c2 d me');
    const several = Bench.of('a b c1 c2 d', {}, true);
    several.suspect('b', 'c1 d');
    several.set('a', 'faulty');
    assert.equal(several.view(), 'a b c1 c2 d me');
  });

  it('counts members where all share one host', () => {
    const bench = Bench.of('m1 m2 m3 m4 m5', {}, true);
    bench.suspect('m2', 'm3');
    bench.set('m1', 'faulty');
    assert.equal(bench.view(), 'm2 m3 m4 m5 me');
    bench.suspect('m2', 'm3 m4');
    bench.set('m5', 'faulty');
    assert.equal(bench.view(), 'm2 m3 m4 m5 me');
  });

  it('takes a verdict heard from another for every accuser', () => {
    const bench = Bench.of('a b c d e');
    bench.suspect('b', 'c', true);
    bench.set('a', 'faulty');
    assert.equal(bench.view(), 'a b c d e me');
  });

  it('holds no longer than its bound, whatever goes on', () => {
    const bench = Bench.of('a b c d e f');
    bench.suspect('d', 'c e');
    bench.set('a', 'faulty');
    bench.run(5_000);
    bench.set('b', 'faulty');
    bench.run(4_999);
    assert.equal(bench.changes.length, 0);
    bench.run(2);
    assert.deepEqual(bench.changes[0]?.removed, ['a', 'b']);
  });

  it('keeps a member that refutes while it is held', () => {
    const bench = Bench.of('a b c d e');
    bench.suspect('b', 'c d');
    bench.set('a', 'faulty');
    bench.refute('a');
    bench.refute('b');
    bench.run(60_000);
    assert.equal(bench.changes.length, 0);
    assert.equal(bench.view(), 'a b c d e me');
  });

  it('holds longer when most other hosts are suspect at once, and says so once', () => {
    const bench = Bench.of('a b c d e');
    for (const name of ['a', 'b', 'c']) bench.suspect(name, 'd');
    for (const name of ['a', 'b', 'c']) bench.set(name, 'faulty');
    bench.run(29_999);
    assert.equal(bench.changes.length, 0);
    bench.run(2);
    assert.deepEqual(
      bench.changes.map(({ removed }) => removed.join()),
      ['a,b,c'],
    );
    assert.equal(bench.massBegan, 1);
  });

  it('gives the rest time when some of most come back', () => {
    const bench = Bench.of('a b c d e');
    for (const name of ['a', 'b', 'c']) bench.suspect(name, 'd');
    for (const name of ['a', 'b', 'c']) bench.set(name, 'faulty');
    bench.run(15_000);
    bench.refute('a');
    bench.run(9_000);
    bench.refute('b');
    bench.refute('c');
    bench.run(60_000);
    assert.equal(bench.changes.length, 0);
  });

  it('counts hosts, not members, for what is most: a machine is one', () => {
    const bench = Bench.of('a1 a2 a3 a4 b c', {}, true);
    for (const name of ['a1', 'a2', 'a3', 'a4']) bench.suspect(name, 'b c');
    for (const name of ['a1', 'a2', 'a3', 'a4']) bench.set(name, 'faulty');
    bench.run(2_000);
    assert.equal(bench.massBegan, 0);
    assert.deepEqual(
      bench.changes.map(({ removed }) => removed.length),
      [4],
    );
  });

  it('the loss of the only other member is not the loss of most', () => {
    const bench = Bench.of('a');
    bench.suspect('a', 'me');
    bench.set('a', 'faulty');
    assert.equal(bench.view(), 'me');
  });

  it('keeps a member out that refutes verdicts again and again, longer each time', () => {
    const bench = Bench.of('a b c d');
    const flap = (): void => {
      bench.set('a', 'faulty');
      bench.run(1_000);
      bench.refute('a');
    };
    flap();
    assert.equal(bench.view(), 'a b c d me');
    flap();
    bench.run(59_999);
    assert.equal(bench.view(), 'b c d me');
    bench.run(2);
    assert.equal(bench.view(), 'a b c d me');
    flap();
    bench.run(119_000);
    assert.equal(bench.view(), 'b c d me');
    bench.run(1_001);
    assert.equal(bench.view(), 'a b c d me');
  });

  it('counts a refuted suspicion of the high watermark as half a verdict, a lower one as nothing', () => {
    const bench = Bench.of('a b c d e');
    for (let n = 0; n < 20; n++) {
      bench.suspect('a', 'b c');
      bench.refute('a');
    }
    assert.equal(bench.view(), 'a b c d e me');
    for (let n = 0; n < 4; n++) {
      assert.equal(bench.view(), 'a b c d e me');
      bench.suspect('a', 'b c d');
      bench.refute('a');
    }
    assert.equal(bench.view(), 'b c d e me');
  });

  it('forgets refutations after their window', () => {
    const bench = Bench.of('a b c d');
    for (let n = 0; n < 5; n++) {
      bench.set('a', 'faulty');
      bench.run(300_001);
      bench.refute('a');
      assert.equal(bench.view(), 'a b c d me');
    }
  });

  it('takes a rebirth for no refutation', () => {
    const bench = Bench.of('a b c d');
    for (let epoch = 2; epoch < 9; epoch++) {
      bench.set('a', 'faulty', 0, epoch - 1);
      bench.set('a', 'alive', 0, epoch);
      assert.equal(bench.view(), 'a b c d me');
    }
  });

  it('counts no refutation while most come back at once: it was this member that was away', () => {
    const bench = Bench.of('a b c d');
    for (let n = 0; n < 5; n++) {
      for (const name of ['a', 'b', 'c', 'd']) bench.suspect(name, 'me');
      for (const name of ['a', 'b', 'c', 'd']) bench.set(name, 'faulty');
      bench.run(5_000);
      for (const name of ['a', 'b', 'c', 'd']) bench.refute(name);
      bench.run(1_000);
    }
    assert.equal(bench.view(), 'a b c d me');
  });

  it('drops a member that is forgotten, held or not', () => {
    const bench = Bench.of('a b c d');
    bench.suspect('b', 'c d');
    bench.set('a', 'faulty');
    bench.forget('a');
    assert.equal(bench.view(), 'b c d me');
    assert.equal(bench.changes.length, 1);
  });

  it('comes to rest on those present, whatever happened, in bounded time', () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const act = fc.record({
      name: fc.constantFrom(...names),
      kind: fc.constantFrom('alive', 'suspect', 'faulty', 'left', 'refute', 'forget', 'reborn'),
      accusers: fc.subarray(names, { minLength: 1 }),
      waitMs: fc.constantFrom(0, 1, 500, 20_000),
    });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), fc.boolean(), (acts, byHost) => {
        const bench = Bench.of(names.join(' '), { cutBatchMs: 100 }, byHost);
        let epoch = 1;
        for (const { name, kind, accusers, waitMs } of acts) {
          if (kind === 'suspect') bench.suspect(name, accusers.join(' '));
          else if (kind === 'refute') bench.refute(name);
          else if (kind === 'forget') bench.forget(name);
          else if (kind === 'reborn') {
            epoch++;
            bench.set(name, 'alive', 0, epoch);
          } else bench.set(name, kind as MemberState);
          bench.run(waitMs);
        }
        for (const name of names) bench.refute(name);
        bench.run(8 * 3_600_000);
        assert.equal(bench.view(), bench.present());
        assert.equal(bench.detector.dueMs, Number.POSITIVE_INFINITY);
        const given = new Set<string>();
        for (const { added, removed } of [...bench.before, ...bench.changes]) {
          for (const name of added) assert.ok(!given.has(name) && given.add(name), name);
          for (const name of removed) assert.ok(given.delete(name), name);
        }
        assert.equal([...given].sort().join(' '), bench.view());
      }),
      { numRuns: 300 },
    );
  });
});
