import assert from 'node:assert/strict';
import { Prng } from './prng.ts';
import { type Handle, Scheduler } from './scheduler.ts';

describe('Scheduler', () => {
  it('runs by time, and calls of one time in the order they were scheduled', () => {
    const scheduler = new Scheduler();
    const ran: string[] = [];
    scheduler.at(20, () => ran.push('c'));
    scheduler.at(10, () => {
      ran.push('a');
      scheduler.after(0, () => ran.push('a2'));
    });
    scheduler.at(10, () => ran.push('b'));
    scheduler.runUntil(10);
    assert.deepEqual(ran, ['a', 'b', 'a2']);
    assert.equal(scheduler.nowMs, 10);
    scheduler.runUntil(15);
    assert.equal(scheduler.nowMs, 15);
    assert.equal(scheduler.pending, 1);
    assert.equal(scheduler.step(), true);
    assert.equal(scheduler.nowMs, 20);
    assert.equal(scheduler.step(), false);
    assert.deepEqual(ran, ['a', 'b', 'a2', 'c']);
  });

  it('treats a past time as now', () => {
    const scheduler = new Scheduler(100);
    let at = -1;
    scheduler.at(5, () => {
      at = scheduler.nowMs;
    });
    scheduler.runUntil(100);
    assert.equal(at, 100);
  });

  it('equals a sorted list under random scheduling and cancelling', () => {
    const prng = new Prng('scheduler');
    const scheduler = new Scheduler();
    const handles: Handle[] = [];
    const ran: number[] = [];
    for (let n = 0; n < 3000; n++) {
      handles.push(scheduler.at(prng.int(0, 300), () => ran.push(n)));
    }
    const alive = handles.map((handle, n) => ({ handle, n })).filter(() => prng.chance(0.3));
    const keep = new Set(alive.map(({ n }) => n));
    handles.forEach((handle, n) => {
      if (!keep.has(n)) scheduler.cancel(handle);
    });
    assert.equal(scheduler.pending, alive.length);
    scheduler.runUntil(1000);
    const expected = alive
      .sort((x, y) => x.handle.timeMs - y.handle.timeMs || x.n - y.n)
      .map(({ n }) => n);
    assert.deepEqual(ran, expected);
    assert.equal(scheduler.pending, 0);
  });

  it('ignores cancelling what has run', () => {
    const scheduler = new Scheduler();
    const handle = scheduler.at(1, () => {});
    scheduler.at(2, () => {});
    scheduler.runUntil(1);
    scheduler.cancel(handle);
    assert.equal(scheduler.pending, 1);
  });
});

describe('Prng', () => {
  it('repeats a stream from its seed and differs between seeds', () => {
    const draw = (seed: number | string) => {
      const prng = new Prng(seed);
      return Array.from({ length: 8 }, () => prng.next());
    };
    assert.deepEqual(draw(7), draw(7));
    assert.notDeepEqual(draw(7), draw(8));
    assert.notDeepEqual(draw('a'), draw('b'));
  });

  it('forks by label alone, whatever was drawn before', () => {
    const parent = new Prng(1);
    const before = parent.fork('network').next();
    parent.next();
    assert.equal(parent.fork('network').next(), before);
    assert.notEqual(parent.fork('disk').next(), before);
  });

  it('spreads evenly', () => {
    const prng = new Prng(3);
    const buckets = new Array<number>(10).fill(0);
    for (let n = 0; n < 100_000; n++) {
      const bucket = prng.int(0, 9);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    for (const count of buckets) assert.ok(count > 9_500 && count < 10_500, `${buckets}`);
    let hits = 0;
    for (let n = 0; n < 100_000; n++) if (prng.chance(0.05)) hits++;
    assert.ok(hits > 4_600 && hits < 5_400, `${hits}`);
  });

  it('draws between two numbers, the lower one included', () => {
    const prng = new Prng(5);
    const drawn = Array.from({ length: 1_000 }, () => prng.between(-2, 3));
    assert.ok(drawn.every((value) => value >= -2 && value < 3));
    assert.ok(Math.min(...drawn) < -1.9 && Math.max(...drawn) > 2.9);
    assert.equal(new Prng(5).between(4, 4), 4);
  });

  it('shuffles without losing an element', () => {
    const arr = Array.from({ length: 50 }, (_, n) => n);
    const shuffled = new Prng(9).shuffle([...arr]);
    assert.notDeepEqual(shuffled, arr);
    assert.deepEqual(
      shuffled.sort((x, y) => x - y),
      arr,
    );
  });
});
