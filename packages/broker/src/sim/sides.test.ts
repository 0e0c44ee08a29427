import assert from 'node:assert/strict';
import { Sides } from './sides.ts';

/** Three nodes; `cuts` are pairs that do not reach each other. */
function three() {
  const cuts = new Set<string>();
  const hung = new Set<string>();
  const sides = new Sides({
    names: () => ['a', 'b', 'c'],
    passes: (name) => !hung.has(name),
    severed: (x, y) => cuts.has(x + y) || cuts.has(y + x),
  });
  return { cuts, hung, sides };
}

describe('sides of a split', () => {
  it('are none where another node connects two that a cut is between', () => {
    const { cuts, sides } = three();
    cuts.add('ab');
    for (const ms of [0, 100, 200]) sides.look(ms);
    assert.equal(sides.exempt('a', 'b', 150, 150), false);
  });

  it('are two where all ways are cut, or lead through a node that hangs', () => {
    const { cuts, hung, sides } = three();
    cuts.add('ab');
    hung.add('c');
    for (const ms of [0, 100, 200]) sides.look(ms);
    assert.equal(sides.exempt('a', 'b', 150, 5000), false);
    assert.equal(sides.exempt('a', 'b', 150, 4200), true);
    assert.equal(sides.exempt('b', 'a', 4000, 4100), true);
    // A node that hangs is itself reached.
    assert.equal(sides.exempt('a', 'c', 150, 150), false);
  });

  it('exempt nothing that was acknowledged before', () => {
    const { cuts, sides } = three();
    sides.look(900);
    cuts.add('ab').add('ac');
    for (const ms of [1000, 1100, 1200]) sides.look(ms);
    assert.equal(sides.exempt('a', 'b', 999, 1100), false);
    assert.equal(sides.exempt('a', 'b', 1000, 1100), true);
    assert.equal(sides.exempt('b', 'c', 1000, 1100), false);
  });
});
