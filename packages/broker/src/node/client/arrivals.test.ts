import assert from 'node:assert/strict';
import { Arrivals } from './arrivals.ts';

const TICK_MS = 20;

/** Ticks come in time until a test stands still. */
function setUp() {
  const time = { nowMs: 1000, stamp: 0 };
  const arrivals = new Arrivals({
    next: () => (time.stamp = Math.max(time.stamp + 1, time.nowMs)),
  });
  const tick = (ms = TICK_MS) => {
    time.nowMs += ms;
    arrivals.tick(time.nowMs);
  };
  return { time, tick, stamp: () => arrivals.stamp(time.nowMs) };
}

describe('Arrivals', () => {
  it('stamps with the clock while ticks come in time', () => {
    const { time, tick, stamp } = setUp();
    assert.equal(stamp(), 1000);
    tick();
    time.nowMs += 250;
    assert.equal(stamp(), 1270);
    tick(0);
    assert.equal(stamp(), 1272);
  });

  it('stamps what is read after a standstill as before it, in order, whether a tick or a read comes first', () => {
    const { time, tick, stamp } = setUp();
    tick();
    time.nowMs += 2000;
    assert.deepEqual([stamp(), stamp()], [1021, 1022]);
    tick(0);
    assert.equal(stamp(), 1023);
    for (let i = 0; i < 4; i++) tick();
    assert.equal(stamp(), 1024);
    tick();
    assert.equal(stamp(), 3121);
  });

  it('does not fall ever further behind when the loop stands still again and again', () => {
    const { time, tick, stamp } = setUp();
    tick();
    for (let i = 0; i < 20; i++) tick(300);
    assert.ok(time.nowMs - stamp() <= 300);
  });
});
