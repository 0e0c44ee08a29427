import assert from 'node:assert/strict';
import fc from 'fast-check';
import { comparePrecedence } from '../../src/core/member-list.ts';
import type { MemberState, Update } from '../../src/core/message.ts';
import { about, CoreBench } from '../../src/sim/core-bench.ts';

const NAMES = ['a', 'b', 'c', 'd'];

/** What is said of one life and incarnation of a member goes with one address and one metadata. */
const update = fc
  .record({
    name: fc.constantFrom(...NAMES, 'me'),
    bootEpoch: fc.integer({ min: 1, max: 3 }),
    incarnation: fc.oneof(
      fc.integer({ min: 0, max: 3 }),
      fc.constantFrom(0xffff_fffe, 0xffff_ffff),
    ),
    state: fc.constantFrom<MemberState>('alive', 'suspect', 'faulty', 'left'),
    accuser: fc.constantFrom('', ...NAMES),
  })
  .map(({ name, bootEpoch, incarnation, state, accuser }) =>
    about(name, {
      bootEpoch,
      incarnation,
      state,
      accuser: state === 'suspect' || state === 'left' ? accuser : '',
      address: `${name}${bootEpoch}:1`,
      meta: Uint8Array.of(bootEpoch, incarnation & 0xff),
    }),
  );

/** The same updates in another order, some of them several times, in messages of any length. */
const shuffled = (updates: readonly Update[]): fc.Arbitrary<readonly Update[][]> =>
  fc
    .tuple(
      fc.shuffledSubarray([...updates], { minLength: updates.length }),
      fc.array(fc.constantFrom(...updates), { maxLength: 10 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 30 }),
    )
    .map(([once, again, lengths]) => {
      const all = [...once, ...again];
      const messages: Update[][] = [];
      for (let at = 0, n = 0; at < all.length; n++) {
        const length = lengths[n % lengths.length] as number;
        messages.push(all.slice(at, at + length));
        at += length;
      }
      return messages;
    });

/** What stands of each member in the end: no member refutes, so a suspect becomes faulty. */
function expected(updates: readonly Update[]): string[] {
  const highest = new Map<string, Update>();
  for (const each of updates) {
    const known = highest.get(each.name);
    if (known === undefined || comparePrecedence(each, known) > 0) highest.set(each.name, each);
  }
  return [...highest.values()].filter(({ name }) => name !== 'me').map(lineOf);
}

function lineOf(member: Pick<Update, 'name' | 'bootEpoch' | 'incarnation' | 'state' | 'address'>) {
  const { name, bootEpoch, incarnation, state, address } = member;
  return `${name} ${bootEpoch}/${incarnation} ${state === 'suspect' ? 'faulty' : state} ${address}`;
}

/** A member that hears these messages, and time to think; lives that should be alive answer it. */
function tableAfter(
  messages: readonly (readonly Update[])[],
  alive: ReadonlySet<string>,
): string[] {
  const bench = CoreBench.started({ forgetAfterMs: 86_400_000 });
  for (const updates of messages) {
    bench.hear('stranger', { type: 'gossip' }, updates);
    bench.run(1);
  }
  for (let round = 0; round < 400; round++) {
    for (const message of bench.sent(undefined, 'ping')) {
      const { body } = message;
      if (body.type !== 'ping' || !alive.has(`${body.target} ${body.targetBootEpoch}`)) continue;
      const { seq, target, digest, targetBootEpoch: bootEpoch } = body;
      bench.hear(target, { type: 'ack', seq, target, digest }, [], { bootEpoch });
    }
    bench.forget();
    bench.run(50);
  }
  assert.equal(bench.swim.member('me')?.state, 'alive');
  return bench.swim
    .members()
    .filter(({ name }) => name !== 'me')
    .map(lineOf);
}

describe('precedence of statements', () => {
  it('is a total order: of any two that differ one is newer, and newer than newer is newer', () => {
    fc.assert(
      fc.property(update, update, update, (x, y, z) => {
        const same =
          x.bootEpoch === y.bootEpoch && x.incarnation === y.incarnation && x.state === y.state;
        assert.equal(comparePrecedence(x, y) === 0, same);
        assert.equal(Math.sign(comparePrecedence(x, y)) + Math.sign(comparePrecedence(y, x)), 0);
        if (comparePrecedence(x, y) <= 0 && comparePrecedence(y, z) <= 0) {
          assert.ok(comparePrecedence(x, z) <= 0);
        }
      }),
    );
  });
});

describe('convergence of membership', function () {
  this.timeout(120_000);

  it('any order, duplication and grouping of any updates ends in one table: the newest of each', () => {
    const runs = fc
      .array(update, { minLength: 1, maxLength: 14 })
      .chain((updates) => fc.tuple(fc.constant(updates), shuffled(updates), shuffled(updates)));
    fc.assert(
      fc.property(runs, ([updates, one, other]) => {
        const lines = expected(updates).sort();
        const alive = new Set(
          lines.flatMap((line) => /^(\w+ \d+)\/.* alive /.exec(line)?.[1] ?? []),
        );
        assert.deepEqual(tableAfter(one, alive), lines);
        assert.deepEqual(tableAfter(other, alive), lines);
      }),
      { numRuns: 150 },
    );
  });
});
