import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ReplayWindow, WINDOW_MESSAGES } from './replay-window.ts';

describe('ReplayWindow', () => {
  const take = (window: ReplayWindow, counter: number): boolean => {
    const fresh = window.isFresh(counter);
    if (fresh) window.record(counter);
    return fresh;
  };

  it('takes each counter once, in any order within the window', () => {
    const window = new ReplayWindow();
    for (const counter of [1, 3, 2, 0, 1_000]) assert.equal(take(window, counter), true);
    for (const counter of [1, 3, 2, 0, 1_000]) assert.equal(take(window, counter), false);
  });

  it('refuses what is older than the window, and forgets what a jump passed', () => {
    const window = new ReplayWindow();
    take(window, 5);
    take(window, 5 + WINDOW_MESSAGES);
    assert.equal(window.isFresh(5), false);
    assert.equal(window.isFresh(6), true);
    take(window, 2 ** 47);
    assert.equal(window.isFresh(5 + WINDOW_MESSAGES), false);
    assert.equal(window.isFresh(2 ** 47 - WINDOW_MESSAGES), false);
    assert.equal(window.isFresh(2 ** 47 - WINDOW_MESSAGES + 1), true);
  });

  it('agrees with a set of all counters ever seen', () => {
    const counters = fc.array(fc.integer({ min: 0, max: 4_000 }), { maxLength: 300 });
    fc.assert(
      fc.property(counters, (sent) => {
        const window = new ReplayWindow();
        const seen = new Set<number>();
        let newest = -1;
        for (const counter of sent) {
          const expected = !seen.has(counter) && counter > newest - WINDOW_MESSAGES;
          assert.equal(take(window, counter), expected);
          if (!expected) continue;
          seen.add(counter);
          newest = Math.max(newest, counter);
        }
      }),
    );
  });
});
