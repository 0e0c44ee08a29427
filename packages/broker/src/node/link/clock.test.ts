import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HybridClock } from './clock.ts';

/** Steps in a millisecond. */
const STEPS = 2048;
const WALL_MS = 1_700_000_000_000;

class Source {
  now = 1000;
  wall = WALL_MS;

  nowMs(): number {
    return this.now;
  }

  wallMs(): number {
    return this.wall;
  }
}

describe('hybrid clock', () => {
  it('starts at the wall', () => {
    const source = new Source();
    assert.equal(new HybridClock(source).next(), WALL_MS * STEPS);
  });

  it('goes on as far ahead of the wall as it was before a restart', () => {
    const source = new Source();
    const clock = new HybridClock(source);
    assert.equal(clock.aheadMs, 0);
    source.wall -= 5000;
    source.now += 10;
    const last = clock.next();
    assert.equal(clock.aheadMs, 5010);
    assert.ok(new HybridClock(source, clock.aheadMs).next() >= last);
    source.wall += 90_000;
    assert.equal(clock.aheadMs, 0);
  });

  it('rises with every stamp, also within one moment', () => {
    const clock = new HybridClock(new Source());
    const first = clock.next();
    assert.equal(clock.next(), first + 1);
    assert.equal(clock.next(), first + 2);
  });

  it('follows the monotonic clock, and no longer the wall', () => {
    const source = new Source();
    const clock = new HybridClock(source);
    source.wall += 3_600_000;
    source.now += 5;
    assert.equal(clock.next(), (WALL_MS + 5) * STEPS);
    source.wall -= 7_200_000;
    source.now += 5;
    assert.equal(clock.next(), (WALL_MS + 10) * STEPS);
  });

  it('goes on from the fastest node heard, at the pace of its own monotonic clock', () => {
    const source = new Source();
    const clock = new HybridClock(source);
    const ahead = (WALL_MS + 60_000) * STEPS;
    clock.observe(ahead);
    assert.equal(clock.next(), ahead + 1);
    source.now += 10;
    assert.equal(clock.next(), ahead + 10 * STEPS);
  });

  it('is not held back by a slower node', () => {
    const source = new Source();
    const clock = new HybridClock(source);
    source.now += 10;
    const before = clock.next();
    clock.observe((WALL_MS - 60_000) * STEPS);
    assert.equal(clock.next(), before + 1);
    source.now += 10;
    assert.equal(clock.next(), (WALL_MS + 20) * STEPS);
  });

  it('brings clocks that hear each other together, whatever their walls say', () => {
    const source = new Source();
    const fast = new HybridClock({ nowMs: () => source.now, wallMs: () => WALL_MS + 90_000 });
    const slow = new HybridClock(source);
    slow.observe(fast.next());
    source.now += 1000;
    assert.equal(Math.abs(slow.next() - fast.next()) <= 1, true);
  });

  it('never goes back, and is after all that it heard', () => {
    const event = fc.oneof(
      fc.record({ elapsedMs: fc.double({ min: 0, max: 1000, noNaN: true }) }),
      fc.record({ wallStepMs: fc.integer({ min: -1_000_000, max: 1_000_000 }) }),
      fc.record({ heardAheadMs: fc.integer({ min: -100_000, max: 100_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 50 }), (events) => {
        const source = new Source();
        const clock = new HybridClock(source);
        let last = clock.next();
        for (const e of events) {
          if ('elapsedMs' in e) source.now += e.elapsedMs;
          else if ('wallStepMs' in e) source.wall += e.wallStepMs;
          else {
            const heard = last + e.heardAheadMs * STEPS;
            clock.observe(heard);
            last = Math.max(last, heard);
          }
          const stamp = clock.next();
          assert.ok(stamp > last, `${stamp} after ${last}`);
          last = stamp;
        }
      }),
    );
  });

  it('tells the age of a stamp by the fastest node heard', () => {
    const source = new Source();
    const clock = new HybridClock(source);
    const stamp = clock.next();
    source.now += 700;
    assert.equal(clock.ageMs(stamp), 700);
    clock.observe(stamp + 1000 * STEPS);
    assert.equal(clock.ageMs(stamp), 1000);
    assert.equal(clock.ageMs(stamp + 1001 * STEPS), -1);
  });
});
