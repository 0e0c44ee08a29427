import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import { FRAME_BYTES_MAX } from '../../src/node/link/lanes.ts';
import type { NodeCore } from '../../src/node/node.ts';
import { shardOf } from '../../src/placement/hash.ts';
import { nameOf } from '../../src/shard/view.ts';
import { TestNodes, type TestSocket } from './nodes.ts';

const SHARDS = 16;
const properties = { sessionExpiryInterval: 600 };

/** A Client Identifier whose session is led by this node. */
function ledBy(node: NodeCore, name: string, n = 0): string {
  const all = Array.from({ length: 4000 }, (_, i) => `client-${i}`);
  const led = all.filter((id) => {
    const view = node.views.get(shardOf(id, SHARDS));
    return view && nameOf(view.number.leader) === name;
  });
  assert.ok(led[n]);
  return led[n];
}

const publishes = (socket: TestSocket) =>
  socket.take().flatMap((packet) => (packet.cmd === 'publish' ? [packet] : []));

describe('what is larger than a frame between nodes', () => {
  function three(): { nodes: TestNodes; n1: NodeCore; n2: NodeCore } {
    const nodes = new TestNodes();
    // The clients here acknowledge nothing.
    const settings = { replicas: 3, limits: { inflightBytes: 1_073_741_824 } };
    const n1 = nodes.add('n1', settings);
    const n2 = nodes.add('n2', settings);
    nodes.add('n3', settings);
    nodes.advance(4000);
    return { nodes, n1, n2 };
  }

  it('goes in frames that the other end takes: many large publishes of one turn', () => {
    const { nodes, n1, n2 } = three();
    const clientId = ledBy(n2, 'n1');
    const kept = nodes.connect(n1, { clientId, clean: false, properties });
    nodes.advance(200);
    kept.subscribe(['t/#'], 1);
    nodes.advance(500);
    kept.take();
    const publisher = nodes.connect(n2, { clientId: 'p' });
    nodes.advance(200);
    const sizes = [900_000, 10, 1_048_000, 3_000];
    const before = nodes.elections;
    let id = 0;
    for (let round = 0; round < 6; round++)
      for (const size of sizes)
        publisher.arrivePacket({
          cmd: 'publish',
          topic: `t/${id}`,
          payload: Buffer.alloc(size, id),
          qos: 1,
          messageId: ++id,
          retain: false,
          dup: false,
        } as Packet);
    nodes.advance(3000);
    const got = publishes(kept);
    assert.deepEqual(
      got.map(({ topic, payload }) => [topic, payload.length]),
      Array.from({ length: id }, (_, i) => [`t/${i}`, sizes[i % sizes.length]]),
    );
    assert.ok(nodes.longestFrame <= FRAME_BYTES_MAX, `${nodes.longestFrame}`);
    assert.equal(nodes.elections, before);
    assert.deepEqual(nodes.errors, []);
  });

  it('goes in pages: the subscriptions of a session that resumes elsewhere, and routes after HELLO', () => {
    const { nodes, n1, n2 } = three();
    const clientId = ledBy(n2, 'n1');
    const first = nodes.connect(n1, { clientId, clean: false, properties });
    nodes.advance(200);
    const filters = Array.from({ length: 120 }, (_, i) => `${i}/${'f'.repeat(60_000)}`);
    for (let at = 0; at < filters.length; at += 10) {
      first.subscribe(filters.slice(at, at + 10), 1);
      nodes.advance(200);
    }
    first.send({ cmd: 'disconnect' } as Packet);
    nodes.advance(200);
    const resumed = nodes.connect(n2, { clientId, clean: false, properties });
    nodes.advance(1000);
    const [connack] = resumed.take();
    assert.ok(connack?.cmd === 'connack' && connack.sessionPresent);
    const held = [...n2.clients.connections.values()].find((c) => c.clientId === clientId);
    assert.deepEqual([...(held?.subscriptions?.keys() ?? [])].sort(), [...filters].sort());
    // The other nodes learn all of it again by a new link.
    nodes.cut('n2', 'n1');
    nodes.cut('n2', 'n3');
    nodes.link('n2', 'n1');
    nodes.link('n2', 'n3');
    nodes.advance(2000);
    const publisher = nodes.connect(n1, { clientId: 'p' });
    nodes.advance(200);
    publisher.publish(filters[77]!, { qos: 1, id: 7 });
    nodes.advance(500);
    assert.deepEqual(
      publishes(resumed).map(({ topic }) => topic),
      [filters[77]],
    );
    assert.ok(nodes.longestFrame <= FRAME_BYTES_MAX, `${nodes.longestFrame}`);
    assert.deepEqual(nodes.errors, []);
  });

  it('goes at the pace of the reader: what is queued for a session that resumes elsewhere', () => {
    const { nodes, n1, n2 } = three();
    const clientId = ledBy(n2, 'n1');
    const first = nodes.connect(n1, { clientId, clean: false, properties }).subscribe(['t/#'], 1);
    nodes.advance(500);
    first.send({ cmd: 'disconnect' } as Packet);
    const publisher = nodes.connect(n1, { clientId: 'p' });
    nodes.advance(200);
    const sent: string[] = [];
    for (let i = 0; i < 24; i++) {
      publisher.send({
        cmd: 'publish',
        topic: `t/${i}`,
        payload: Buffer.alloc(900_000, i),
        qos: 1,
        messageId: i + 1,
        retain: false,
        dup: false,
      } as Packet);
      sent.push(`t/${i}`);
      nodes.advance(40);
    }
    nodes.advance(1000);
    // Frames are under way for a while now, and so is credit.
    nodes.latencyMs = 20;
    const resumed = nodes.connect(n2, { clientId, clean: false, properties });
    let most = 0;
    for (let i = 0; i < 200; i++) {
      nodes.advance(20);
      most = Math.max(most, nodes.underWayBytes);
    }
    assert.deepEqual(
      publishes(resumed).map(({ topic }) => topic),
      sent,
    );
    assert.ok(most < 8 * 1024 * 1024, `${most}`);
    assert.deepEqual(nodes.errors, []);
  });

  it('is sent of few shards at a time to a node that joins, and all of it arrives', () => {
    const nodes = new TestNodes();
    const n1 = nodes.add('n1', { replicas: 2 });
    const ids = new Map<number, string>();
    for (let i = 0; ids.size < SHARDS; i++) ids.set(shardOf(`c${i}`, SHARDS), `c${i}`);
    for (const clientId of ids.values()) {
      const socket = nodes.connect(n1, { clientId, clean: false, properties });
      socket.subscribe([`t/${clientId}`], 1).send({ cmd: 'disconnect' } as Packet);
    }
    const publisher = nodes.connect(n1, { clientId: 'p' });
    let messageId = 0;
    const payload = Buffer.alloc(400_000);
    for (const clientId of ids.values())
      for (const topic of [`t/${clientId}`, `t/${clientId}`]) {
        const publish = { cmd: 'publish', topic, payload, qos: 1, messageId: ++messageId };
        publisher.send({ ...publish, retain: false, dup: false } as Packet);
      }
    nodes.latencyMs = 20;
    let most = 0;
    let mostBytes = 0;
    nodes.onAdvance = () => {
      const moving = n1.shards.copies.filter((copy) =>
        [...copy.learners].some((id) => copy.isMoving(id)),
      );
      most = Math.max(most, moving.length);
      mostBytes = Math.max(mostBytes, nodes.underWayBytes);
    };
    nodes.add('n2', { replicas: 2 });
    nodes.advance(20_000);
    const held = n1.shards.copies.filter(({ view }) => view.active.length === 2);
    assert.equal(held.length, SHARDS);
    assert.ok(most > 0 && most <= 8, `${most} shards at a time`);
    assert.ok(mostBytes < 8 * 1024 * 1024, `${mostBytes}`);
    assert.deepEqual(nodes.errors, []);
  });
});
