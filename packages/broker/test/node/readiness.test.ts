import assert from 'node:assert/strict';
import { Backend } from '../../src/edge/admin/backend.ts';
import { whyWaiting } from '../../src/edge/admin/backend-waiting.ts';
import type { NodeCore } from '../../src/node/node.ts';
import { nameOf } from '../../src/shard/view.ts';
import { TestNodes } from './nodes.ts';

function backendOf(core: NodeCore): Backend {
  const nothing = async () => {};
  const keyring = (): never => assert.fail('not asked for');
  const membership = {
    join: nothing,
    leave: () => {},
    forceLeave: async () => false,
    reportEnd: () => {},
    keyring,
  };
  return new Backend(core, { dataDir: '', ...membership });
}

describe('readiness with two of five nodes dead', () => {
  const setUp = () => {
    const nodes = new TestNodes();
    const cores = ['n1', 'n2', 'n3', 'n4', 'n5'].map((name) => nodes.add(name, { replicas: 3 }));
    nodes.advance(10_000);
    return { nodes, cores };
  };

  it('blames the dead, and no node that answers', () => {
    const { nodes, cores } = setUp();
    nodes.kill('n4');
    nodes.kill('n5');
    nodes.advance(8000);
    for (const core of cores.slice(0, 3)) {
      const backend = backendOf(core);
      const { reasons } = backend.readiness();
      const message = reasons.find(({ reason }) => reason === 'publishes-wait')?.message ?? '';
      assert.match(message, /waited for \d+ s: .*n[45]/);
      assert.doesNotMatch(message, /no word from[^,]* n[123]\b/);
      backend.close();
    }
  });

  it('says whose voters a living leader lacks', () => {
    const { nodes, cores } = setUp();
    const [n1, n2] = cores as [NodeCore, NodeCore];
    // Of the leaders, n2 alone: it answers, and grants nothing.
    const views = [...n1.views].filter(({ number }) => nameOf(number.leader) === 'n2');
    const voters = new Set(views.flatMap((view) => view.voters.map(nameOf)));
    assert.ok(voters.has('n4'));
    nodes.cut('n1', 'n4');
    nodes.advance(60);
    n1.peers.get('n2')!.leaseUntilMs = 0;
    n1.leases.ownUntilMs = Number.POSITIVE_INFINITY;
    n1.peers.get('n4')!.leaseUntilMs = Number.POSITIVE_INFINITY;
    assert.equal(
      whyWaiting(n1, nodes.nowMs),
      'shards led by n2 have no majority of their voters, because n4 (alive) does not answer',
    );
    assert.ok(n2.ready);
  });
});
