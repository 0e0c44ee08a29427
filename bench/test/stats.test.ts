import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Latencies, median, slope, spread } from '../src/stats.ts';

describe('latencies', () => {
  it('reports percentiles of small values exactly', () => {
    const histogram = new Latencies();
    for (let us = 1; us <= 50; us++) histogram.record(us);
    assert.equal(histogram.percentileUs(50), 25);
    assert.equal(histogram.percentileUs(99), 50);
    assert.equal(histogram.percentileUs(100), 50);
    assert.equal(histogram.total, 50);
  });

  it('has no percentile before the first value and after a reset', () => {
    const histogram = new Latencies();
    assert.equal(histogram.percentileUs(50), null);
    histogram.record(7);
    histogram.reset();
    assert.equal(histogram.percentileUs(50), null);
    assert.equal(histogram.maxUs, 0);
  });

  it('stays within 0.1 % of the sorted list, for any durations', () => {
    const durations = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(durations, fc.integer({ min: 1, max: 100 }), (values, percent) => {
        const histogram = new Latencies();
        for (const value of values) histogram.record(value);
        const sorted = [...values].sort((a, b) => a - b);
        const rank = Math.max(1, Math.round((percent / 100) * sorted.length));
        const exact = sorted[rank - 1] as number;
        const reported = histogram.percentileUs(percent) as number;
        assert.ok(Math.abs(reported - exact) <= Math.max(1, exact * 0.001), `${reported} ${exact}`);
      }),
    );
  });

  it('counts what is out of range at the ends', () => {
    const histogram = new Latencies();
    histogram.record(-3);
    assert.equal(histogram.percentileUs(100), 1);
    histogram.record(1e15);
    assert.ok(histogram.maxUs > 1e11);
    assert.ok((histogram.percentileUs(100) as number) > 1e11);
  });
});

describe('median and spread', () => {
  it('takes the middle, or the mean of the middle two', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(median([]), null);
  });

  it('gives the range as a share of the median', () => {
    assert.equal(spread([9, 10, 11]), 0.2);
    assert.equal(spread([]), null);
    assert.equal(spread([0, 0]), null);
  });
});

describe('slope', () => {
  it('of two points is the quotient of differences', () => {
    const points = [
      { x: 5_000, y: 60e6 },
      { x: 15_000, y: 90e6 },
    ];
    assert.equal(slope(points), 3_000);
  });

  it('recovers the factor of any straight line', () => {
    const line = fc.tuple(
      fc.integer({ min: -1000, max: 1000 }),
      fc.integer({ min: -1e6, max: 1e6 }),
    );
    fc.assert(
      fc.property(line, ([factor, base]) => {
        const points = [1, 2, 5, 9].map((x) => ({ x, y: factor * x + base }));
        assert.ok(Math.abs((slope(points) as number) - factor) < 1e-6);
      }),
    );
  });

  it('does not exist without two different x', () => {
    assert.equal(slope([]), null);
    assert.equal(slope([{ x: 1, y: 1 }]), null);
    assert.equal(
      slope([
        { x: 1, y: 1 },
        { x: 1, y: 2 },
      ]),
      null,
    );
  });
});
