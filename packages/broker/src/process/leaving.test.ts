import assert from 'node:assert/strict';
import { Leaving } from './leaving.ts';

/** Looks every 20 ms from `fromMs`; answers when it may go, or undefined. */
function goneAt(
  leaving: Leaving,
  fromMs: number,
  toMs: number,
  drained: (nowMs: number) => boolean,
): number | undefined {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 20)
    if (leaving.tick(nowMs, () => drained(nowMs))) return nowMs;
  return undefined;
}

describe('a node that leaves', () => {
  it('does not look before it is told to', () => {
    assert.equal(
      goneAt(new Leaving(), 0, 5000, () => assert.fail('looked')),
      undefined,
    );
  });

  it('goes after five looks in a row at which nothing needs it, and once', () => {
    const leaving = new Leaving();
    leaving.begin(0);
    assert.equal(leaving.underWay, true);
    assert.equal(
      goneAt(leaving, 0, 5000, () => true),
      1000,
    );
    assert.equal(leaving.underWay, false);
    assert.equal(
      goneAt(leaving, 1020, 5000, () => true),
      undefined,
    );
  });

  it('counts anew when a view takes it in once more', () => {
    const leaving = new Leaving();
    leaving.begin(0);
    assert.equal(
      goneAt(leaving, 0, 5000, (nowMs) => nowMs !== 800),
      1800,
    );
  });
});
