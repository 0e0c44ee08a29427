import assert from 'node:assert/strict';
import { Backend } from '../../src/edge/admin/backend.ts';
import type { NodeCore } from '../../src/node/node.ts';
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

  it('stays, and names the shards that wait and the dead, no node that answers', () => {
    const { nodes, cores } = setUp();
    nodes.kill('n4');
    nodes.kill('n5');
    nodes.membersAre({ n4: 'faulty', n5: 'faulty' });
    nodes.advance(8000);
    for (const core of cores.slice(0, 3)) {
      const backend = backendOf(core);
      const { ready, reasons } = backend.readiness();
      assert.equal(ready, true);
      const message = reasons.find(({ reason }) => reason === 'shards-wait')?.message ?? '';
      assert.match(
        message,
        /of \d+ shards wait for a leader; of their voters n4 .*n5 .*do not answer/,
      );
      assert.doesNotMatch(message, /n[123]\b/);
      backend.close();
    }
  });

  it('ends where a node has no link that membership finds alive, and says which', () => {
    const { nodes, cores } = setUp();
    const [n1] = cores as [NodeCore];
    for (const name of ['n1', 'n2', 'n3', 'n5']) nodes.cut(name, 'n4');
    nodes.advance(8000);
    const backend = backendOf(n1);
    const { ready, reasons } = backend.readiness();
    assert.equal(ready, false);
    const message = reasons.find(({ reason }) => reason === 'publishes-wait')?.message ?? '';
    assert.match(message, /waited for \d+ s: no word from n4 \(alive\), which other members reach/);
    backend.close();
  });

  it('ends where no shard has a leader any more, and says whose voters lack', () => {
    const nodes = new TestNodes();
    const [n1] = ['n1', 'n2', 'n3'].map((name) => nodes.add(name, { replicas: 3 }));
    nodes.advance(10_000);
    nodes.kill('n2');
    nodes.kill('n3');
    nodes.membersAre({ n2: 'faulty', n3: 'faulty' });
    nodes.advance(3000);
    const backend = backendOf(n1!);
    assert.equal(backend.readiness().ready, true, 'it may be an election yet');
    nodes.advance(5000);
    const { ready, reasons } = backend.readiness();
    assert.equal(ready, false);
    const { message = '' } = reasons.find(({ reason }) => reason === 'shards-wait') ?? {};
    assert.match(message, /of (\d+) of \1 shards wait for a leader; .*n2 .*n3 .*do not answer/);
    backend.close();
  });
});
