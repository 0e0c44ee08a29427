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

  it('is told in seconds', () => {
    const record: DelayRecord = {
      count: 3,
      min: 0,
      max: 250 * MS,
      mean: 50 * MS,
      stddev: 50 * MS,
      percentile: (p) => (p === 50 ? 20 * MS : 250 * MS),
    };
    const lag = lagOf(record, 0);
    assert.deepEqual([lag.min, lag.max, lag.mean, lag.p50, lag.p99], [0, 0.25, 0.05, 0.02, 0.25]);
    assert.equal(lag.stddev, 0.05);
  });

  it('is that of the ticks since it was last asked for', async () => {
    const watch = new EventLoopWatch();
    for (const lateMs of [0, 0.5, 300]) watch.record(lateMs);
    const { max, min } = await watch.take();
    // Three digits are kept.
    assert.ok(Math.abs(max - 0.3) < 0.001, `${max}`);
    assert.ok(min < 0.000_001, `${min}`);
    assert.equal((await watch.take()).max, 0);
  });

  it('is finite from the first time on', async () => {
    const watch = new EventLoopWatch();
    for (const lag of [await watch.take(), await watch.take()])
      for (const value of Object.values(lag)) assert.ok(value >= 0 && value < 3600, `${value}`);
  });
});
