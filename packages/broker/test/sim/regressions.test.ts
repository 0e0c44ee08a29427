import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokerCore } from '../../src/sim/broker-core.ts';
import { drawOptions } from '../../src/sim/options.ts';
import { runSimulation } from '../../src/sim/simulation.ts';
import { SPLIT_SHAPES } from '../../src/sim/split.ts';

const lines = readFileSync(join(import.meta.dirname, 'regressions.txt'), 'utf8').split('\n');

describe('simulator: the broker itself', function () {
  this.timeout(60_000);

  it('replays a seed bit for bit', () => {
    const run = () => runSimulation({ options: drawOptions(11), factory: brokerCore });
    const first = run();
    const again = run();
    assert.equal(again.traceHash, first.traceHash);
    assert.equal(again.events, first.events);
  });

  it('does all its work without faults', () => {
    const options = drawOptions(3, { faults: [], nodes: 3, replicas: 3, chaosMs: 3000 });
    const result = runSimulation({ options, factory: brokerCore });
    assert.deepEqual(result.violations, []);
    assert.ok(result.acknowledged > 0 && result.deliveries > 0);
  });

  for (const line of lines) {
    const [run = '', ...why] = line.split('#');
    const [, seed, shape] = /^(\d+)(?: --split ([a-z-]+))?\s*$/.exec(run) ?? [];
    if (seed === undefined) continue;
    it(`seed ${run.trim()}: ${why.join('#').trim()}`, () => {
      const split = SPLIT_SHAPES.find((known) => known === shape);
      const options = drawOptions(Number(seed), { split });
      assert.deepEqual(runSimulation({ options, factory: brokerCore }).violations, []);
    });
  }
});
