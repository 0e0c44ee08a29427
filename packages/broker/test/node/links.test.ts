import assert from 'node:assert/strict';
import { Writer } from '../../src/bytes.ts';
import { Lane } from '../../src/node/link/lanes.ts';
import { TestNodes } from './nodes.ts';

describe('links', () => {
  for (const hlc of [Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5, 2 ** 60]) {
    it(`do not follow a clock of ${hlc}, which no later one could pass`, () => {
      const nodes = new TestNodes();
      const core = nodes.add('n1');
      nodes.add('n2');
      const before = core.clock.next();
      const frame = new Writer();
      frame.u8(Lane.Bulk);
      frame.f64(hlc);
      core.links.onFrame('n2', frame.take());
      assert.match(nodes.errors.join(), /frame refused .*clock/);
      assert.ok(core.clock.next() > before);
      assert.ok(Number.isSafeInteger(core.clock.next()));
    });
  }
});
