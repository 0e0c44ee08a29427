import assert from 'node:assert/strict';
import { Random } from '../src/random.ts';

describe('Random', () => {
  const draw = (seed: string) => {
    const random = new Random(seed);
    return Array.from({ length: 5 }, () => random.next());
  };

  it('repeats with its seed and differs without', () => {
    assert.deepEqual(draw('42'), draw('42'));
    assert.notDeepEqual(draw('42'), draw('43'));
    assert.ok(draw('7').every((value) => value >= 0 && value < 1));
  });

  it('draws integers with both ends', () => {
    const random = new Random('7');
    const drawn = new Set(Array.from({ length: 200 }, () => random.int(1, 3)));
    assert.deepEqual([...drawn].sort(), [1, 2, 3]);
  });

  it('forks without disturbing what is drawn from it next', () => {
    const [one, other] = [new Random('7'), new Random('7')];
    const fork = one.fork('a');
    for (let i = 0; i < 10; i++) fork.next();
    other.fork('b');
    assert.equal(one.next(), other.next());
  });
});
