import assert from 'node:assert/strict';
import { Line, Work } from './work.ts';

/** Work whose turns are run by hand. */
function turns(): { work: Work; turn: () => boolean } {
  let asked = false;
  const work = new Work(() => {
    asked = true;
  });
  const turn = () => {
    const due = asked;
    asked = false;
    if (due) work.run();
    return due;
  };
  return { work, turn };
}

/** A task of so many slices that notes when it runs. */
function slices(name: string, n: number, log: string[]): (units: number) => boolean {
  let left = n;
  return (units) => {
    assert.ok(units > 0);
    log.push(name);
    return --left === 0;
  };
}

describe('a line', () => {
  it('does small tasks together and long ones alone, in order, as far as the turn goes', () => {
    const { work, turn } = turns();
    const line = new Line(work);
    const log: string[] = [];
    for (let i = 0; i < 200; i++) line.add(slices(`s${i}`, 1, log), 50);
    assert.equal(log.length, 0);
    turn();
    assert.ok(log.length >= 20 && log.length <= 60, `${log.length}`);
    line.add(slices('long', 30, log));
    while (work.waiting > 0) assert.ok(turn());
    const small = Array.from({ length: 200 }, (_, i) => `s${i}`);
    assert.deepEqual(log, [...small, ...Array.from({ length: 30 }, () => 'long')]);
  });

  it('stops where a task has used up the turn', () => {
    const { work, turn } = turns();
    const line = new Line(work);
    const log: string[] = [];
    for (const name of ['a', 'b', 'c'])
      line.add(() => {
        log.push(name);
        work.spend(5000);
        assert.equal(work.exhausted, true);
        return true;
      }, 1);
    for (const seen of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
      assert.ok(turn());
      assert.deepEqual(log, seen);
    }
    turn();
    assert.equal(work.exhausted, false);
  });
});

describe('work', () => {
  it('does a short task at once', () => {
    const { work } = turns();
    const log: string[] = [];
    work.start(slices('a', 1, log));
    assert.deepEqual([log, work.waiting], [['a'], 0]);
  });

  it('parts long tasks over turns, and tasks take turns', () => {
    const { work, turn } = turns();
    const log: string[] = [];
    work.start(slices('a', 100, log));
    work.start(slices('b', 3, log));
    let ran = 0;
    let most = 0;
    for (let before = log.length; work.waiting > 0; before = log.length) {
      assert.ok(turn(), 'the next turn is asked for while something waits');
      ran++;
      most = Math.max(most, log.length - before);
    }
    assert.equal(log.length, 103);
    assert.ok(ran >= 10 && most <= 10, `${ran} turns, ${most} slices in one`);
    assert.ok(log.lastIndexOf('b') < 10);
    assert.equal(turn(), false);
  });

  it('does short tasks of one turn up to a bound, and the rest in the next ones', () => {
    const { work, turn } = turns();
    const log: string[] = [];
    for (let i = 0; i < 1000; i++) work.start(slices('a', 1, log));
    assert.ok(log.length >= 50 && log.length <= 100, `${log.length}`);
    while (work.waiting > 0) assert.ok(turn());
    assert.equal(log.length, 1000);
  });

  it('puts off what is to wait for the next turn', () => {
    const { work, turn } = turns();
    const log: string[] = [];
    work.next(() => {
      log.push('first');
      work.next(slices('second', 1, log));
      return true;
    });
    assert.deepEqual(log, []);
    turn();
    assert.deepEqual(log, ['first']);
    turn();
    assert.deepEqual([log, work.waiting], [['first', 'second'], 0]);
  });
});
