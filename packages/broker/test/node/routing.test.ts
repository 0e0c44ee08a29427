import assert from 'node:assert/strict';
import type { NodeCore } from '../../src/node/node.ts';
import { TestNodes } from './nodes.ts';

const SHARD = 3;

/** A view of the shard under a leader that is elsewhere, with routes that are not known here. */
function viewOfAnother(core: NodeCore) {
  const { number, ...rest } = core.views.get(SHARD)!;
  const later = { counter: number.counter + 9, leader: 'n9#store-n9', bootEpoch: 1 };
  return { ...rest, number: later, routeVersion: 'of n9' };
}

describe('routing', () => {
  it('stops where a shard that was led here may have a leader that is not known here', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    assert.equal(core.routable, true);
    core.shards.onDeposed(SHARD);
    nodes.advance(1000);
    assert.equal(core.routable, false);
    core.shards.onEstablished(SHARD, false);
    nodes.advance(100);
    assert.equal(core.routable, true);
  });

  it('takes the word of a leader alone for what its shard wants', () => {
    const nodes = new TestNodes();
    nodes.add('n1');
    const core = nodes.add('n2');
    const before = core.views.get(SHARD)!;
    core.announcing.onViews(core.peers.get('n1')!, [viewOfAnother(core)]);
    nodes.advance(1000);
    assert.equal(core.routable, true);
    assert.deepEqual(core.views.get(SHARD)!.number, before.number);
  });

  it('hears of no leader from a node that led before it', () => {
    const nodes = new TestNodes();
    const first = nodes.add('n1');
    const other = nodes.add('n2');
    assert.equal(first.views.leader(SHARD), 'n1');
    // It stands for a view that is higher still, and serves until that is decided.
    first.views.update(viewOfAnother(first));
    const heard: number[] = [];
    const { onViews } = other.announcing;
    other.announcing.onViews = (peer, views) => {
      for (const { shard } of views) heard.push(shard);
      onViews.call(other.announcing, peer, views);
    };
    nodes.cut('n1', 'n2');
    nodes.link('n1', 'n2');
    assert.ok(heard.includes(SHARD + 1) && !heard.includes(SHARD), `${heard}`);
  });
});
