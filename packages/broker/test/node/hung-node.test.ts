import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import { TestNodes, type TestSocket } from './nodes.ts';

/** Of three nodes, n2 is to hang: a subscriber without stored session is connected there. */
function setUp() {
  const nodes = new TestNodes();
  const n1 = nodes.add('n1', { replicas: 3 });
  const n2 = nodes.add('n2', { replicas: 3 });
  nodes.add('n3', { replicas: 3 });
  nodes.advance(3000);
  const publisher = nodes.connect(n1, { clientId: 'p' });
  const subscriber = nodes.connect(n2, { clientId: 's' }).subscribe(['g/x', 'w/+']);
  nodes.advance(100);
  publisher.take();
  subscriber.take();
  return { nodes, n1, n2, publisher, subscriber };
}

const acks = (socket: TestSocket) => socket.take().filter(({ cmd }) => cmd === 'puback').length;
const topics = (socket: TestSocket) =>
  socket
    .take()
    .filter((p): p is Packet & { cmd: 'publish' } => p.cmd === 'publish')
    .map(({ topic }) => topic);

describe('a node that hangs and keeps its connections', () => {
  it('is waited for 1.5 s, and then no longer', () => {
    const { nodes, publisher } = setUp();
    nodes.hang('n2');
    publisher.publish('g/x', { qos: 1, id: 1 });
    nodes.advance(1400);
    assert.equal(acks(publisher), 0);
    nodes.advance(300);
    assert.equal(acks(publisher), 1);
    publisher.publish('g/x', { qos: 1, id: 2 });
    assert.equal(acks(publisher), 1);
  });

  it('holds up no SUBSCRIBE once its grants have run out and nobody reaches it', () => {
    const { nodes, n1 } = setUp();
    nodes.hang('n2');
    nodes.advance(1000);
    nodes.membersAre({ n2: 'suspect' });
    nodes.advance(1500);
    const subscriber = nodes.connect(n1, { clientId: 'new' });
    nodes.advance(1000);
    subscriber.subscribe(['g/x']);
    nodes.advance(100);
    assert.ok(subscriber.packets.some(({ cmd }) => cmd === 'suback'));
  });

  it('holds up no publisher once membership calls it faulty, though its link is up', () => {
    const { nodes, publisher } = setUp();
    nodes.hang('n2');
    publisher.publish('g/x', { qos: 1, id: 1 });
    nodes.membersAre({ n2: 'faulty' });
    assert.equal(acks(publisher), 1);
    publisher.publish('w/1', { qos: 2, id: 2 });
    publisher.send({ cmd: 'pubrel', messageId: 2 });
    assert.ok(publisher.take().some(({ cmd }) => cmd === 'pubcomp'));
  });

  it('ends the connections that missed something when it comes back, and no others', () => {
    const { nodes, n2, publisher, subscriber } = setUp();
    const others = [
      nodes.connect(n2, { clientId: 'other topic' }).subscribe(['g/y']),
      nodes.connect(n2, { clientId: 'zero' }).subscribe(['g/x'], 0),
      nodes
        .connect(n2, { clientId: 'stored', properties: { sessionExpiryInterval: 600 } })
        .subscribe(['g/x']),
    ];
    nodes.advance(100);
    for (const socket of others) socket.take();
    nodes.hang('n2');
    publisher.publish('g/x', { qos: 1, id: 1 });
    nodes.advance(1700);
    publisher.publish('g/x', { qos: 1, id: 2 });
    nodes.wake('n2');
    assert.ok(subscriber.closed);
    assert.equal(
      subscriber.packets.find((p): p is Packet & { cmd: 'disconnect' } => p.cmd === 'disconnect')
        ?.reasonCode,
      0x89,
    );
    assert.deepEqual(
      others.map(({ closed }) => closed),
      [false, false, false],
    );
    const again = nodes.connect(n2, { clientId: 's' }).subscribe(['g/x']);
    nodes.advance(100);
    again.take();
    publisher.publish('g/x', { qos: 1, id: 3 });
    nodes.advance(100);
    assert.deepEqual(topics(again), ['g/x']);
    assert.equal(again.closed, false);
    assert.ok(acks(publisher) >= 1);
  });

  it('hears before any newer message of what was left out while it was told', () => {
    const { nodes, n2, publisher, subscriber } = setUp();
    const late = nodes.connect(n2, { clientId: 'late' }).subscribe(['late/x']);
    nodes.advance(100);
    nodes.hang('n2');
    publisher.publish('g/x', { qos: 1, id: 1 });
    nodes.advance(1700);
    // Left out after the node was told of the gap for the first time.
    publisher.publish('late/x', { qos: 1, id: 2 });
    nodes.latencyMs = 40;
    nodes.wake('n2');
    nodes.advance(20);
    publisher.publish('late/x', { qos: 1, id: 3 });
    late.take();
    nodes.advance(400);
    assert.ok(subscriber.closed);
    assert.ok(late.closed);
    assert.deepEqual(topics(late), []);
  });

  it('goes on as before when it was silent for less', () => {
    const { nodes, publisher, subscriber } = setUp();
    nodes.hang('n2');
    publisher.publish('g/x', { qos: 1, id: 1 });
    nodes.advance(1000);
    nodes.wake('n2');
    assert.deepEqual(topics(subscriber), ['g/x']);
    assert.equal(subscriber.closed, false);
    assert.equal(acks(publisher), 1);
  });

  it('is not accused by a node that hung itself', () => {
    const { nodes, publisher, subscriber } = setUp();
    nodes.latencyMs = 60;
    publisher.publish('g/x', { qos: 1, id: 1 });
    nodes.hang('n1');
    nodes.advance(1000);
    nodes.membersAre({ n1: 'suspect' });
    nodes.advance(4000);
    nodes.wake('n1');
    nodes.membersAre({});
    nodes.advance(100);
    assert.equal(subscriber.closed, false);
    assert.equal(acks(publisher), 1);
  });

  it('was cut off, and lets no node go on that missed something', () => {
    const { nodes, publisher, subscriber, n2 } = setUp();
    const idle = nodes.connect(n2, { clientId: 'i' }).subscribe(['idle']);
    nodes.advance(100);
    nodes.cut('n1', 'n2');
    nodes.cut('n3', 'n2');
    nodes.membersAre({ n2: 'faulty' });
    publisher.publish('g/x', { qos: 1, id: 1 });
    assert.equal(acks(publisher), 1);
    nodes.membersAre({});
    nodes.link('n1', 'n2');
    nodes.link('n3', 'n2');
    nodes.advance(100);
    assert.ok(subscriber.closed);
    // The other nodes had forgotten what is wanted there: it may have missed something, too.
    assert.ok(idle.closed);
  });
});
