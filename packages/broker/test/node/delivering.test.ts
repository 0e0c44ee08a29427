import assert from 'node:assert/strict';
import { shardOf } from '../../src/placement/hash.ts';
import { nameOf } from '../../src/shard/view.ts';
import { TestNodes } from './nodes.ts';

const SHARDS = 16;

describe('deliveries lost with a link', () => {
  it('come before what is queued later, for every session of the shard', () => {
    const nodes = new TestNodes();
    const settings = { replicas: 2 };
    const leader = nodes.add('n1', settings);
    const gateway = nodes.add('n2', settings);
    nodes.add('n3', settings);
    nodes.advance(3_000);
    // Sessions of one shard whose copies are on two nodes, connected at the third.
    const shard = Array.from({ length: SHARDS }, (_, n) => n).find((n) => {
      const view = leader.views.get(n);
      const copies = view?.active.map(nameOf);
      return view && nameOf(view.number.leader) === 'n1' && copies?.join() === 'n1,n3';
    });
    const all = Array.from({ length: 400 }, (_, n) => `client-${n}`);
    const ids = all.filter((id) => shardOf(id, SHARDS) === shard).slice(0, 3);
    assert.equal(ids.length, 3);
    const properties = { sessionExpiryInterval: 600 };
    const sockets = ids.map((clientId) => {
      const socket = nodes.connect(gateway, { clientId, clean: false, properties });
      nodes.advance(100);
      return socket.subscribe(['t/#'], 1);
    });
    const publisher = nodes.connect(leader, { clientId: 'publisher' });
    nodes.advance(500);
    for (const socket of sockets) socket.take();

    nodes.latencyMs = 60;
    publisher.publish('t/lost', { qos: 1, id: 1 });
    nodes.advance(140);
    // Committed, and under way to the gateway: that never comes.
    nodes.cut('n1', 'n2');
    nodes.advance(100);
    publisher.publish('t/later', { qos: 1, id: 2 });
    nodes.advance(140);
    publisher.publish('t/last', { qos: 1, id: 3 });
    nodes.advance(40);
    // One committed meanwhile, one logged only.
    for (const socket of sockets) assert.deepEqual(socket.take(), []);
    nodes.link('n1', 'n2');
    nodes.advance(3_000);
    for (const socket of sockets) {
      const topics = socket.take().flatMap((each) => (each.cmd === 'publish' ? [each.topic] : []));
      assert.deepEqual(topics, ['t/lost', 't/later', 't/last']);
    }
  });
});
