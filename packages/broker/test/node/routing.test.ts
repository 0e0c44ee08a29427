import assert from 'node:assert/strict';
import { TestNodes } from './nodes.ts';

describe('routing', () => {
  it('stops where a shard that was led here may have a leader that is not known here', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    assert.equal(core.routable, true);
    core.shards.onDeposed(3);
    nodes.advance(1000);
    assert.equal(core.routable, false);
    core.shards.onEstablished(3, false);
    nodes.advance(100);
    assert.equal(core.routable, true);
  });
});
