import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BytesError, Reader, Writer } from '../bytes.ts';
import {
  compareNumbers,
  copyId,
  isMajority,
  isQuorum,
  minCopies,
  NO_NUMBER,
  NO_VIEW,
  nameOf,
  readNumber,
  readView,
  sameNumber,
  type View,
  type ViewNumber,
  writeNumber,
  writeView,
} from './view.ts';

// Few values, so that numbers meet in one, two or all parts.
const number: fc.Arbitrary<ViewNumber> = fc.record({
  counter: fc.integer({ min: 0, max: 3 }),
  leader: fc.constantFrom('', 'a#1', 'b#1', 'b#2'),
  bootEpoch: fc.integer({ min: 0, max: 2 }),
});
const copies = fc.uniqueArray(fc.constantFrom<string[]>('a', 'b', 'c', 'd', 'e', 'f', 'g'));
const view: fc.Arbitrary<View> = fc.record({
  number,
  voters: copies,
  oldVoters: copies,
  active: copies,
  startIndex: fc.maxSafeNat(),
});

function of(counter: number, leader: string, bootEpoch: number): ViewNumber {
  return { counter, leader, bootEpoch };
}

describe('view numbers', () => {
  it('order by counter, then leader, then boot epoch', () => {
    const ascending = [
      NO_NUMBER,
      of(1, 'a#1', 9),
      of(1, 'b#1', 1),
      of(1, 'b#1', 2),
      of(1, 'b#2', 0),
      of(2, 'a#1', 0),
    ];
    ascending.forEach((a, i) => {
      ascending.forEach((b, j) => {
        assert.equal(Math.sign(compareNumbers(a, b)), Math.sign(i - j), `${i} and ${j}`);
      });
    });
  });

  it('are totally ordered, and equal only when the same', () => {
    fc.assert(
      fc.property(number, number, number, (a, b, c) => {
        const ab = compareNumbers(a, b);
        assert.equal(Math.sign(ab) + Math.sign(compareNumbers(b, a)), 0);
        assert.equal(ab === 0, sameNumber(a, { ...b }));
        if (ab <= 0 && compareNumbers(b, c) <= 0) assert.ok(compareNumbers(a, c) <= 0);
      }),
    );
  });

  it('round-trip', () => {
    fc.assert(
      fc.property(number, (n) => {
        const w = new Writer();
        writeNumber(w, n);
        // Records of fast-check have no prototype; a clone has the usual one.
        assert.deepEqual(readNumber(new Reader(w.take())), structuredClone(n));
      }),
    );
  });
});

describe('copies', () => {
  it('are named by node and store: a wiped folder is another copy of the same name', () => {
    assert.notEqual(copyId('a', '1'), copyId('a', '2'));
    assert.equal(nameOf(copyId('host#3/k', '1')), 'host#3/k');
  });
});

describe('quorums (Raft §6)', () => {
  const has = (ids: string) => (id: string) => ids.includes(id);

  it('need more than half: half of an even number is none', () => {
    for (const [voters, have, expected] of [
      ['a', 'a', true],
      ['a', '', false],
      ['ab', 'a', false],
      ['abc', 'ab', true],
      ['abc', 'c', false],
      ['abcd', 'ab', false],
      ['abcde', 'abd', true],
      ['', '', true],
    ] as const)
      assert.equal(isMajority([...voters], has(have)), expected, `${have} of ${voters}`);
  });

  it('need majorities of both sets while voters change, and only of the new one after', () => {
    const changing = { ...NO_VIEW, voters: ['a', 'b', 'c'], oldVoters: ['c', 'd', 'e'] };
    assert.equal(isQuorum(changing, has('ab')), false);
    assert.equal(isQuorum(changing, has('de')), false);
    assert.equal(isQuorum(changing, has('abd')), false);
    assert.equal(isQuorum(changing, has('acd')), true);
    assert.equal(isQuorum({ ...changing, oldVoters: [] }, has('ab')), true);
  });

  it('of one set of voters always share a voter', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1 }),
        copies,
        copies,
        copies,
        (voters, oldVoters, one, other) => {
          const v = { ...NO_VIEW, voters, oldVoters };
          const next = { ...NO_VIEW, voters };
          if (!isQuorum(v, (id) => one.includes(id))) return;
          if (!isQuorum(next, (id) => other.includes(id))) return;
          assert.ok(voters.some((id) => one.includes(id) && other.includes(id)));
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('minCopies', () => {
  it('is what the cluster says, and one while a single voter decides', () => {
    assert.equal(minCopies(1, 3), 1);
    assert.equal(minCopies(3, 1), 1);
    assert.equal(minCopies(3, 2), 2);
    assert.equal(minCopies(5, 4), 4);
  });
});

describe('view records', () => {
  it('round-trip', () => {
    fc.assert(
      fc.property(view, (v) => {
        const w = new Writer();
        writeView(w, v);
        const r = new Reader(w.take());
        assert.deepEqual(readView(r), structuredClone(v));
        assert.equal(r.done, true);
      }),
    );
  });

  it('of a newer format are refused by name, torn ones with BytesError', () => {
    const w = new Writer();
    writeView(w, { ...NO_VIEW, voters: ['a#1'] });
    const bytes = w.take();
    for (let end = 0; end < bytes.length; end++)
      assert.throws(() => readView(new Reader(bytes, 0, end)), BytesError);
    bytes[0] = 2;
    assert.throws(() => readView(new Reader(bytes)), /view record of format 2/);
  });
});
