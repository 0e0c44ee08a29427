import assert from 'node:assert/strict';
import { shardOf } from '../../src/placement/hash.ts';
import { TestNodes } from './nodes.ts';

const SHARDS = 16;

describe('a new leader', () => {
  it('concerns the connections of its shard and looks at no other', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    const ids = Array.from({ length: 60 }, (_, i) => `client-${i}`);
    for (const clientId of ids) nodes.connect(core, { clientId });
    const gone = nodes.connect(core, { clientId: 'client-gone' });
    gone.send({ cmd: 'disconnect' });
    const looked: string[] = [];
    for (const c of core.clients.connections.values()) {
      const get = () => {
        looked.push(c.clientId);
        return true;
      };
      Object.defineProperty(c, 'isOpen', { get });
    }
    for (let shard = 0; shard < SHARDS; shard++) {
      looked.length = 0;
      core.clients.onLeader(shard);
      const expected = ids.filter((id) => shardOf(id, SHARDS) === shard);
      assert.deepEqual(looked.sort(), expected.sort());
    }
    looked.length = 0;
    core.clients.onLinkUp('n1');
    assert.equal(looked.length, ids.length);
    looked.length = 0;
    core.clients.onLinkUp('n2');
    assert.deepEqual(looked, []);
  });
});
