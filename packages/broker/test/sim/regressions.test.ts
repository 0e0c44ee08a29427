import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokerCore } from '../../src/sim/broker-core.ts';
import { drawOptions } from '../../src/sim/options.ts';
import { runSimulation } from '../../src/sim/simulation.ts';

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
    const [seed = '', ...why] = line.split('#');
    if (!/^\d+\s*$/.test(seed)) continue;
    it(`seed ${seed.trim()}: ${why.join('#').trim()}`, () => {
      const options = drawOptions(Number(seed));
      assert.deepEqual(runSimulation({ options, factory: brokerCore }).violations, []);
    });
  }
});
