import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Tally } from './tally.ts';

function tallyOf(...sequences: number[]): Tally {
  const tally = new Tally();
  for (const sequence of sequences) tally.receive(sequence);
  return tally;
}

describe('demo tally', () => {
  it('finds nothing wrong with messages in order', () => {
    const tally = tallyOf(0, 1, 2, 3);
    assert.equal(tally.distinct, 4);
    assert.equal(tally.duplicates, 0);
    assert.equal(tally.outOfOrder, 0);
    assert.equal(tally.missingOf(4), 0);
  });

  it('finds a lost message', () => {
    assert.equal(tallyOf(0, 2).missingOf(3), 1);
    assert.equal(tallyOf(0, 1).missingOf(3), 1);
  });

  it('finds a message that came twice, without calling it out of order', () => {
    const tally = tallyOf(0, 1, 2, 1, 1, 3);
    assert.equal(tally.duplicates, 2);
    assert.equal(tally.distinct, 4);
    assert.equal(tally.outOfOrder, 0);
  });

  it('finds a first delivery that came late [MQTT-4.6.0]', () => {
    const tally = tallyOf(0, 2, 1, 3);
    assert.equal(tally.outOfOrder, 1);
    assert.equal(tally.missingOf(4), 0);
  });

  it('refuses numbers that no publisher sends', () => {
    for (const sequence of [-1, 1.5, Number.NaN, 1_000_000]) {
      assert.throws(() => tallyOf(sequence), RangeError);
    }
  });

  it('agrees with sets and sorting, for any deliveries', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3_000 })), (sequences) => {
        const tally = tallyOf(...sequences);
        const distinct = new Set(sequences);
        assert.equal(tally.distinct, distinct.size);
        assert.equal(tally.duplicates, sequences.length - distinct.size);
        assert.equal(
          tally.missingOf(100),
          [...Array(100).keys()].filter((n) => !distinct.has(n)).length,
        );
        const firsts = [...distinct];
        const late = firsts.filter((n, i) => firsts.slice(0, i).some((before) => before > n));
        assert.equal(tally.outOfOrder, late.length);
      }),
      { numRuns: 50 },
    );
  });
});
