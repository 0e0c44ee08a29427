import assert from 'node:assert/strict';
import type { NodeCore } from '../../src/node/node.ts';
import { nameOf } from '../../src/shard/view.ts';
import { TestNodes } from './nodes.ts';

function three() {
  const nodes = new TestNodes();
  const cores = ['n1', 'n2', 'n3'].map((name) => nodes.add(name, { replicas: 3 }));
  nodes.advance(10_000);
  return { nodes, cores: cores as [NodeCore, NodeCore, NodeCore] };
}

/** The process of n3 is killed, and its host refuses connections. */
function killThird({ nodes, cores: [n1, n2] }: ReturnType<typeof three>): void {
  const epoch = n1.peers.get('n3')!.bootEpoch;
  nodes.kill('n3');
  for (const core of [n1, n2]) core.links.onNoListener('n3', epoch);
  nodes.settle();
}

const ledByThird = (core: NodeCore) =>
  [...core.views].filter(({ number }) => nameOf(number.leader) === 'n3').length;
const withThird = (core: NodeCore) =>
  [...core.views].filter(({ active }) => active.some((id) => nameOf(id) === 'n3')).length;

describe('a node whose host refuses connections', () => {
  it('is led by others, and left out of views, without waiting for silence', () => {
    const cluster = three();
    const { nodes, cores } = cluster;
    const [n1, n2] = cores;
    assert.ok(ledByThird(n1) > 0);
    killThird(cluster);
    nodes.advance(200);
    for (const core of [n1, n2]) assert.deepEqual([ledByThird(core), withThird(core)], [0, 0]);
  });

  it('holds up no publish for a live subscriber that it had', () => {
    const cluster = three();
    const { nodes, cores } = cluster;
    const subscriber = nodes.connect(cores[2], { clientId: 's' }).subscribe(['t']);
    const publisher = nodes.connect(cores[0], { clientId: 'p' });
    nodes.advance(200);
    assert.ok(subscriber.packets.some(({ cmd }) => cmd === 'suback'));
    publisher.take();
    killThird(cluster);
    publisher.publish('t', { qos: 1, id: 1 });
    nodes.advance(100);
    assert.ok(publisher.take().some(({ cmd }) => cmd === 'puback'));
  });

  it('counts again as soon as it has a link, and a word about an earlier process counts for nothing', () => {
    const { nodes, cores } = three();
    const [n1] = cores;
    const { bootEpoch } = n1.peers.get('n3')!;
    n1.links.onNoListener('n3', bootEpoch);
    assert.equal(n1.peers.get('n3')!.refused, false);
    nodes.cut('n1', 'n3');
    n1.links.onNoListener('n3', bootEpoch - 1);
    assert.equal(n1.peers.get('n3')!.refused, false);
    n1.links.onNoListener('n3', bootEpoch);
    assert.equal(n1.shards.heard(n1.peers.get('n3')!.id), false);
    nodes.link('n1', 'n3');
    assert.equal(n1.shards.heard(n1.peers.get('n3')!.id), true);
  });

  it('leaves no lease to a leader whose voters cannot reach it', () => {
    const { nodes, cores } = three();
    const [n1] = cores;
    assert.ok(n1.leases.ownUntil(nodes.nowMs) > nodes.nowMs);
    nodes.cut('n1', 'n2');
    nodes.cut('n1', 'n3');
    nodes.advance(20);
    assert.ok(n1.leases.ownUntil(nodes.nowMs) <= nodes.nowMs);
  });
});
