import assert from 'node:assert/strict';
import { type DelayRecord, EventLoopWatch, lagOf } from './metrics-event-loop.ts';

const MS = 1e6;

describe('lag of the event loop', () => {
  it('is 0 while nothing has been recorded, and no number that is none', () => {
    const nothing: DelayRecord = {
      count: 0,
      min: 2 ** 63,
      max: 0,
      mean: Number.NaN,
      stddev: Number.NaN,
      percentile: () => 511,
    };
    const { now, ...others } = lagOf(nothing, 0.001);
    assert.equal(now, 0.001);
    for (const value of Object.values(others)) assert.equal(value, 0);
  });

  it('is what comes on top of the time between two looks', () => {
    const record: DelayRecord = {
      count: 3,
      min: 99 * MS,
      max: 350 * MS,
      mean: 150 * MS,
      stddev: 50 * MS,
      percentile: (p) => (p === 50 ? 120 * MS : 350 * MS),
    };
    const lag = lagOf(record, 0, 100);
    assert.equal(lag.min, 0);
    assert.ok(Math.abs(lag.max - 0.25) < 1e-9);
    assert.ok(Math.abs(lag.mean - 0.05) < 1e-9);
    assert.ok(Math.abs(lag.p50 - 0.02) < 1e-9);
    assert.equal(lag.stddev, 0.05);
  });

  it('is finite from the first time on', async () => {
    const watch = new EventLoopWatch();
    for (const lag of [await watch.take(), await watch.take()])
      for (const value of Object.values(lag)) assert.ok(value >= 0 && value < 3600, `${value}`);
  });
});
