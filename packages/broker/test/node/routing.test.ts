import assert from 'node:assert/strict';
import type { NodeCore } from '../../src/node/node.ts';
import { nameOf } from '../../src/shard/view.ts';
import { type Settings, TestNodes } from './nodes.ts';

const SHARD = 3;

/** A view of the shard under a leader that is elsewhere, with routes that are not known here. */
function viewOfAnother(core: NodeCore) {
  const { number, ...rest } = core.views.get(SHARD)!;
  const later = { counter: number.counter + 9, leader: 'n9#store-n9', bootEpoch: 1 };
  return { ...rest, number: later, routeVersion: 'of n9' };
}

function three(settings: Settings = { replicas: 3 }) {
  const nodes = new TestNodes();
  const [n1, n2] = ['n1', 'n2', 'n3'].map((name) => nodes.add(name, settings)) as [
    NodeCore,
    NodeCore,
  ];
  nodes.advance(10_000);
  return { nodes, n1, n2 };
}

/** Of three nodes n3 has no link, though membership reaches it. */
function isolate(nodes: TestNodes): void {
  nodes.cut('n1', 'n3');
  nodes.cut('n2', 'n3');
}

describe('routing', () => {
  it('goes on while leaders are elected, and while membership finds out who is gone', () => {
    const { nodes, n1 } = three();
    nodes.kill('n3');
    const elections = nodes.elections;
    let held = 0;
    nodes.onAdvance = () => {
      if (!n1.routable) held++;
    };
    nodes.advance(1800);
    nodes.membersAre({ n3: 'suspect' });
    nodes.advance(3000);
    assert.equal(held, 0);
    assert.ok(nodes.elections > elections);
  });

  it('stops without the grant of a member that others reach', () => {
    const { nodes, n1 } = three();
    isolate(nodes);
    nodes.advance(1800);
    assert.equal(n1.routable, true);
    nodes.advance(400);
    assert.equal(n1.routable, false);
    for (const name of ['n1', 'n2']) nodes.link(name, 'n3');
    nodes.advance(200);
    assert.equal(n1.routable, true);
  });

  it('waits for the next leaders where a node is gone that had gone on without this one, not for ever', () => {
    const { nodes, n1 } = three({ replicas: 1 });
    isolate(nodes);
    nodes.advance(2200);
    nodes.kill('n3');
    nodes.membersAre({ n3: 'suspect' });
    nodes.advance(2500);
    assert.equal(n1.routable, false);
    nodes.advance(1000);
    assert.equal(n1.routable, true);
    assert.ok([...n1.views].some(({ number }) => nameOf(number.leader) === 'n3'));
  });

  it('asks nothing of a member that is new and was never linked', () => {
    const { nodes, n1 } = three();
    nodes.add('n4');
    nodes.advance(60);
    assert.equal(n1.routable, true);
  });

  it('goes on when a shard that was led here has no leader', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    core.shards.onDeposed(SHARD);
    nodes.advance(1000);
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

describe('a SUBACK', () => {
  it('of a node that woke up waits for all that may have gone on without it', () => {
    const { nodes, n1 } = three();
    const before = nodes.elections;
    nodes.hang('n1');
    nodes.advance(1000);
    nodes.membersAre({ n1: 'suspect' });
    nodes.advance(3000);
    assert.ok(nodes.elections > before);
    nodes.cut('n1', 'n2');
    nodes.cut('n2', 'n3');
    nodes.wake('n1');
    nodes.membersAre({});
    nodes.advance(40);
    let done = false;
    n1.grants.barrier(nodes.nowMs, () => {
      done = true;
    });
    nodes.advance(1000);
    assert.equal(done, false);
    nodes.link('n1', 'n2');
    nodes.advance(3500);
    assert.equal(done, true);
  });
});
