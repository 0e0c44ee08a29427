import assert from 'node:assert/strict';
import type { NodeCore } from '../../src/node/node.ts';
import { TestNodes } from './nodes.ts';

function four() {
  const nodes = new TestNodes();
  const cores = ['n1', 'n2', 'n3', 'n4'].map((name) => nodes.add(name, { replicas: 3 }));
  nodes.advance(10_000);
  return { nodes, cores: cores as [NodeCore, NodeCore, NodeCore, NodeCore] };
}

const up = (core: NodeCore, peer: string) => core.peers.get(peer)?.up === true;

describe('two members that only others reach', () => {
  it('have a link by way of one of them, and hold nothing up', () => {
    const { nodes, cores } = four();
    const [n1, n2] = cores;
    const before = nodes.elections;
    const subscriber = nodes.connect(n2, { clientId: 's' }).subscribe(['t']);
    const publisher = nodes.connect(n1, { clientId: 'p' });
    nodes.advance(200);
    let held = 0;
    nodes.onAdvance = () => {
      if (!n1.routable || !n2.routable) held++;
    };
    nodes.cut('n1', 'n2');
    nodes.advance(1500);
    assert.ok(up(n1, 'n2') && up(n2, 'n1'));
    publisher.take();
    publisher.publish('t', { qos: 1, id: 1 });
    const later = nodes.connect(n1, { clientId: 'l' });
    nodes.advance(100);
    later.subscribe(['u']);
    nodes.advance(100);
    assert.ok(publisher.take().some(({ cmd }) => cmd === 'puback'));
    assert.ok(subscriber.packets.some(({ cmd }) => cmd === 'publish'));
    assert.ok(later.packets.some(({ cmd }) => cmd === 'suback'));
    nodes.advance(10_000);
    assert.equal(held, 0);
    // Shards whose leader and copy were the two: once, until the link was there.
    assert.ok(nodes.elections - before <= 16, `${nodes.elections - before}`);
  });

  it('go back to a connection when there is one, and carry everything over', () => {
    const { nodes, cores } = four();
    const [n1, n2] = cores;
    const subscriber = nodes.connect(n2, { clientId: 's' }).subscribe(['t']);
    const publisher = nodes.connect(n1, { clientId: 'p' });
    nodes.cut('n1', 'n2');
    nodes.advance(2000);
    assert.equal(n1.links.relays.has('n2'), true);
    publisher.publish('t', { qos: 1, id: 1, payload: 'before' });
    nodes.link('n1', 'n2');
    publisher.publish('t', { qos: 1, id: 2, payload: 'after' });
    nodes.advance(500);
    assert.deepEqual([n1.links.relays.has('n2'), n2.links.relays.has('n1')], [false, false]);
    assert.ok(up(n1, 'n2') && up(n2, 'n1'));
    const got = subscriber.take().flatMap((p) => (p.cmd === 'publish' ? p.payload.toString() : []));
    assert.deepEqual(got, ['before', 'after']);
  });

  it('ask another node when the one between is gone', () => {
    const { nodes, cores } = four();
    const [n1, n2] = cores;
    nodes.cut('n1', 'n2');
    nodes.advance(1500);
    const via = ['n3', 'n4'].find((name) => {
      const before = n1.peers.get(name)!.up;
      return before;
    })!;
    nodes.kill(via);
    nodes.membersAre({ [via]: 'suspect' });
    nodes.advance(2000);
    assert.ok(up(n1, 'n2') && up(n2, 'n1'));
    const other = via === 'n3' ? 'n4' : 'n3';
    assert.ok(up(n1, other));
  });

  it('have one though membership suspects the other of them again and again', () => {
    const { nodes, cores } = four();
    const [n1, n2] = cores;
    nodes.cut('n1', 'n2');
    for (let i = 0; i < 10; i++) {
      nodes.membersAre({ n2: i % 2 === 0 ? 'suspect' : 'alive' });
      nodes.advance(150);
    }
    assert.ok(up(n1, 'n2') && up(n2, 'n1'));
  });

  it('have none where nobody reaches both', () => {
    const { nodes, cores } = four();
    const [n1, n2] = cores;
    for (const name of ['n1', 'n3', 'n4']) nodes.cut(name, 'n2');
    nodes.advance(5000);
    assert.ok(!up(n1, 'n2') && !up(n2, 'n1'));
  });

  it('keep the connection to a node that hung and has just woken', () => {
    const { nodes, cores } = four();
    const [n1, n2] = cores;
    const resets = n1.counters.linkResets + n2.counters.linkResets;
    nodes.hang('n2');
    nodes.advance(1000);
    nodes.membersAre({ n2: 'suspect' });
    nodes.advance(5000);
    // Membership hears of it before a frame of its link has been read.
    nodes.membersAre({ n2: 'alive' });
    nodes.advance(100);
    nodes.wake('n2');
    nodes.advance(1000);
    assert.equal(n1.counters.linkResets + n2.counters.linkResets, resets);
    assert.ok(n1.routable && n2.routable);
  });

  it('give up a connection by which nothing comes', () => {
    const { nodes, cores } = four();
    const [n1] = cores;
    const { linkResets } = n1.counters;
    nodes.mute('n2', 'n1');
    nodes.advance(7000);
    assert.ok(n1.counters.linkResets > linkResets);
    assert.ok(up(n1, 'n2'));
    assert.ok(n1.routable);
  });
});
