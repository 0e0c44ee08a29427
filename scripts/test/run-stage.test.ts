import assert from 'node:assert/strict';
import { hands } from './run-stage.ts';

describe('the files of a stage', () => {
  const files = ['a', 'b', 'c', 'd', 'e'];

  it('are dealt in turns among its processes', () => {
    assert.deepEqual(hands({}, files), [files]);
    assert.deepEqual(hands({ processes: 2 }, files), [
      ['a', 'c', 'e'],
      ['b', 'd'],
    ]);
    assert.deepEqual(hands({ processes: 2 }, ['a']), [['a']]);
  });

  it('are run one by one where they take unequally long, the longest first', () => {
    const one = hands({ processes: 2, apart: { first: /[ce]/ } }, files);
    assert.deepEqual(one, [['c'], ['e'], ['a'], ['b'], ['d']]);
  });
});
