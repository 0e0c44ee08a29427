/** Messages that expire before they could be sent [MQTT-3.3.2-5]. */
import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import { shardOf } from '../../src/placement/hash.ts';
import { TestNodes, type TestSocket } from './nodes.ts';

const STORED = { clean: false, properties: { sessionExpiryInterval: 1000, receiveMaximum: 1 } };
const LIVE = { properties: { receiveMaximum: 1 } };

function publish(socket: TestSocket, payload: string, id: number, expirySeconds = 0): void {
  socket.send({
    cmd: 'publish',
    topic: 't',
    payload,
    qos: 1,
    retain: false,
    dup: false,
    messageId: id,
    ...(expirySeconds > 0 ? { properties: { messageExpiryInterval: expirySeconds } } : {}),
  });
}

function messages(socket: TestSocket) {
  return socket.take().filter((p) => p.cmd === 'publish');
}

function reasonCodes(socket: TestSocket) {
  return socket.take().map((p) => ('reasonCode' in p ? (p.reasonCode ?? 0) : -1));
}

describe('node: message expiry', () => {
  for (const [kind, options] of [
    ['stored', STORED],
    ['live', LIVE],
  ] as const) {
    it(`holds for what waits for Receive Maximum (${kind} session)`, () => {
      const nodes = new TestNodes();
      const node = nodes.add('n1');
      const client = nodes.connect(node, { clientId: 's', ...options }).subscribe(['t']);
      const publisher = nodes.connect(node, { clientId: 'p' });
      publish(publisher, 'first', 1);
      for (let id = 2; id <= 4; id++) publish(publisher, 'short', id, 2);
      publish(publisher, 'stays', 5);
      const [first, ...early] = messages(client);
      assert.ok(first?.messageId);
      assert.deepEqual(early, []);
      nodes.advance(3000);
      client.send({ cmd: 'puback', messageId: first.messageId });
      const then = messages(client);
      assert.deepEqual(
        then.map((p) => `${p.payload}`),
        ['stays'],
      );
    });
  }

  it('frees places in a full queue', () => {
    const nodes = new TestNodes();
    const node = nodes.add('n1', { limits: { sessionQueueMessages: 5 } });
    nodes
      .connect(node, { clientId: 's', ...STORED })
      .subscribe(['t'])
      .end();
    nodes.settle();
    const publisher = nodes.connect(node, { clientId: 'p' });
    publisher.take();
    for (let id = 1; id <= 5; id++) publish(publisher, `${id}`, id, id === 3 ? 0 : 2);
    publish(publisher, 'too many', 6);
    assert.deepEqual(reasonCodes(publisher), [0, 0, 0, 0, 0, 0x97]);
    nodes.advance(3000);
    for (let id = 7; id <= 11; id++) publish(publisher, `${id}`, id);
    assert.deepEqual(reasonCodes(publisher), [0, 0, 0, 0, 0x97]);
    const properties = { sessionExpiryInterval: 1000 };
    const back = nodes.connect(node, { clientId: 's', clean: false, properties });
    assert.deepEqual(
      messages(back).map((p) => `${p.payload}`),
      ['3', '7', '8', '9', '10'],
    );
  });

  it('frees the places of retained messages, and they count no longer', () => {
    const nodes = new TestNodes();
    const node = nodes.add('n1', { limits: { retainedMessagesPerShard: 1 } });
    const publisher = nodes.connect(node, { clientId: 'p' });
    const shard = (topic: string) => shardOf(topic, node.shardCount);
    const topics = Array.from({ length: 500 }, (_, i) => `t${i}`);
    const [first, second] = topics.filter((topic) => shard(topic) === shard('t0'));
    const retain = (topic: string, id: number, payload: string, messageExpiryInterval = 0) =>
      publisher.send({
        cmd: 'publish',
        topic,
        payload,
        qos: 1,
        retain: true,
        dup: false,
        messageId: id,
        ...(messageExpiryInterval > 0 ? { properties: { messageExpiryInterval } } : {}),
      });
    publisher.take();
    retain(first!, 1, 'x', 2);
    retain(second!, 2, 'x');
    assert.deepEqual(reasonCodes(publisher), [0x10, 0x97]);
    nodes.advance(3000);
    retain(second!, 3, 'x', 5);
    assert.deepEqual(reasonCodes(publisher), [0x10]);
    const retained = () =>
      [...node.shards.leaders].reduce((sum, leader) => sum + (leader?.state.retained.size ?? 0), 0);
    assert.equal(retained(), 1);
    nodes.advance(20_000);
    assert.equal(retained(), 0);
    // A cleared topic stays cleared, whatever expiry the clearing came with.
    retain(first!, 4, 'x');
    retain(first!, 5, '', 100);
    assert.equal(retained(), 0);
    assert.ok(node.shards.leaders[shard(first!)]!.state.retained.hlcOf(first!) > 0);
  });

  it('does not end an exchange that has begun, when the link to its leader was lost (seed 8200019)', () => {
    const nodes = new TestNodes();
    const n1 = nodes.add('n1');
    const n2 = nodes.add('n2');
    nodes.advance(3000);
    const ids = Array.from({ length: 200 }, (_, i) => `c${i}`);
    const clientId = ids.find((id) => n1.views.leader(shardOf(id, n1.shardCount)) === 'n2')!;
    const properties = { sessionExpiryInterval: 1000 };
    const client = nodes.connect(n1, { clientId, clean: false, properties }).subscribe(['t'], 2);
    nodes.advance(2000);
    nodes.connect(n1, { clientId: 'p' }).send({
      cmd: 'publish',
      topic: 't',
      payload: 'x',
      qos: 2,
      retain: false,
      dup: false,
      messageId: 1,
      properties: { messageExpiryInterval: 1 },
    });
    nodes.advance(100);
    const [message] = messages(client);
    assert.ok(message?.messageId);
    nodes.cut('n1', 'n2');
    nodes.advance(3000);
    nodes.link('n1', 'n2');
    nodes.advance(3000);
    const session = () => {
      const leader = n2.shards.leaders[shardOf(clientId, n2.shardCount)];
      return leader?.state.sessions.get(clientId);
    };
    assert.equal(session()?.pending, 1);
    client.send({ cmd: 'pubrec', messageId: message.messageId } as Packet);
    nodes.advance(100);
    assert.equal(client.take().at(-1)?.cmd, 'pubrel');
    client.send({ cmd: 'pubcomp', messageId: message.messageId } as Packet);
    nodes.advance(100);
    assert.equal(session()?.pending, 0);
  });
});
