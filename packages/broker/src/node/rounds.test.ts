import assert from 'node:assert/strict';
import { Rounds } from './rounds.ts';

function hundred() {
  const copies = Array.from({ length: 100 }, (_, shard) => ({ shard, forming: false }));
  const rounds = new Rounds<(typeof copies)[number]>();
  let nowMs = 0;
  /** How often each copy was looked at in so many ticks of 20 ms. */
  const looks = (ticks: number) => {
    const counts = copies.map(() => 0);
    for (let i = 0; i < ticks; i++) {
      nowMs += 20;
      rounds.tick(copies, nowMs, ({ shard }) => counts[shard]!++);
      rounds.next();
    }
    return counts;
  };
  return { copies, rounds, looks, now: () => nowMs };
}

describe('rounds over copies', () => {
  it('look at each copy twice a second while nothing happens', () => {
    assert.deepEqual(new Set(hundred().looks(50)), new Set([2]));
  });

  it('look at all ten times a second for a while after something that concerns all', () => {
    const { rounds, looks, now } = hundred();
    rounds.stirAll(now() + 1001);
    assert.deepEqual(new Set(looks(50)), new Set([10]));
    assert.deepEqual(new Set(looks(50)), new Set([2]));
  });

  it('look at a busy copy ten times a second, at a forming one each time, and never twice in a tick', () => {
    const { copies, rounds, looks } = hundred();
    looks(1);
    rounds.stir(copies[3]!);
    rounds.stir(copies[4]!);
    copies[4]!.forming = true;
    const counts = looks(25);
    assert.deepEqual([counts[2], counts[3], counts[4]], [1, 5, 25]);
  });

  it('let a copy rest that has been silent for two seconds', () => {
    const { copies, rounds, looks } = hundred();
    rounds.stir(copies[3]!);
    looks(110);
    assert.equal(looks(50)[3], 2);
  });
});
