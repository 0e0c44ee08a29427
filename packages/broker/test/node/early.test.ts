/** What a client sends behind its CONNECT counts, in order, once its session is open [MQTT-3.1.4-6]. */
import assert from 'node:assert/strict';
import mqttPacket, { type Packet } from 'mqtt-packet';
import type { NodeCore } from '../../src/node/node.ts';
import { shardOf } from '../../src/placement/hash.ts';
import { TestNodes, type TestSocket } from './nodes.ts';

type Version = 4 | 5;

function bytes(version: Version, ...packets: Packet[]): Buffer {
  return Buffer.concat(
    packets.map((packet) => mqttPacket.generate(packet, { protocolVersion: version })),
  );
}

const WILL = { topic: 'will', payload: Buffer.from('w'), qos: 1 as const, retain: false };

function connect(version: Version, o: object = {}): Packet {
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clean: true,
    keepalive: 0,
    clientId: 'c',
    ...o,
  };
}

function publish(topic: string, payload: string, qos: 0 | 1 | 2 = 1, id = 1): Packet {
  const packet = { cmd: 'publish', topic, payload, qos, retain: false, dup: false } as const;
  return qos > 0 ? { ...packet, messageId: id } : packet;
}

const DISCONNECT: Packet = { cmd: 'disconnect' };

/** Topics and payloads of the PUBLISH packets that a client got. */
function messages(socket: TestSocket): string[] {
  return socket
    .take()
    .filter((p) => p.cmd === 'publish')
    .map((p) => `${p.topic}=${p.payload}`);
}

describe('node: bytes behind CONNECT', () => {
  let nodes: TestNodes;
  let node: NodeCore;
  let observer: TestSocket;

  beforeEach(() => {
    nodes = new TestNodes();
    node = nodes.add('n1');
    observer = nodes.connect(node, { clientId: 'observer' }).subscribe(['t/#', 'will'], 0);
    observer.take();
  });

  for (const version of [4, 5] as const) {
    for (const opened of [false, true]) {
      it(`cut anywhere, ${opened ? 'open in between' : 'not open yet'}, version ${version}`, () => {
        const subscribe: Packet = {
          cmd: 'subscribe',
          messageId: 2,
          subscriptions: [{ topic: 'mine', qos: 1 }],
        };
        const all = bytes(
          version,
          connect(version, { will: WILL }),
          publish('t/a', 'one'),
          subscribe,
          publish('t/b', 'two', 1, 3),
          DISCONNECT,
        );
        for (let at = 1; at < all.length; at++) {
          const client = nodes.accept(node, version).arrive(all.subarray(0, at));
          if (opened) nodes.settle();
          client.arrive(all.subarray(at));
          nodes.settle();
          assert.deepEqual(
            client.packets.map((p) => p.cmd),
            ['connack', 'puback', 'suback', 'puback'],
            `cut at ${at}`,
          );
          assert.deepEqual(messages(observer), ['t/a=one', 't/b=two'], `cut at ${at}`);
          assert.ok(client.closed);
        }
      });
    }
  }

  it('counts when the client has gone after DISCONNECT: its messages, and no Will', () => {
    const all = bytes(
      4,
      connect(4, { will: WILL }),
      publish('t/a', 'zero', 0),
      publish('t/a', 'one'),
      DISCONNECT,
    );
    nodes.accept(node, 4).arrive(all).end();
    nodes.settle();
    assert.deepEqual(messages(observer), ['t/a=zero', 't/a=one']);
  });

  it('counts when the client has gone without DISCONNECT: its messages, then its Will', () => {
    const all = bytes(4, connect(4, { will: WILL }), publish('t/a', 'one'));
    nodes.accept(node, 4).arrive(all).end();
    nodes.settle();
    assert.deepEqual(messages(observer), ['t/a=one', 'will=w']);
  });

  it('keeps a persistent subscription of a client that has gone', () => {
    const subscribe: Packet = {
      cmd: 'subscribe',
      messageId: 2,
      subscriptions: [{ topic: 'mine', qos: 1 }],
    };
    nodes
      .accept(node, 4)
      .arrive(bytes(4, connect(4, { clean: false }), subscribe, DISCONNECT))
      .end();
    nodes.settle();
    nodes.connect(node, { clientId: 'p' }).publish('mine', { qos: 1 });
    const back = nodes.connect(node, { clean: false });
    assert.deepEqual(messages(back), ['mine=x']);
  });

  it('stops reading at 256 KiB, never closes, and takes all of it', () => {
    const payload = 'x'.repeat(1000);
    const client = nodes.accept(node, 5).arrive(bytes(5, connect(5)));
    let sent = 0;
    while (!client.paused) {
      client.arrive(bytes(5, publish('t/a', payload, 1, ++sent)));
      assert.ok(sent < 400, 'it is read without end');
    }
    nodes.settle();
    assert.equal(client.paused, false);
    client.arrive(bytes(5, publish('t/a', 'last', 1, sent + 1)));
    nodes.settle();
    assert.equal(client.take().filter((p) => p.cmd === 'puback').length, sent + 1);
    assert.equal(messages(observer).at(-1), 't/a=last');
  });

  it('counts though it may not be routed at once, and the client has said DISCONNECT (seed 712125681)', () => {
    nodes.add('n2');
    nodes.advance(3000);
    const ids = Array.from({ length: 200 }, (_, i) => `c${i}`);
    const here = (id: string) => node.views.leader(shardOf(id, node.shardCount)) === 'n1';
    const clientId = ids.find(here)!;
    nodes.cut('n1', 'n2');
    nodes.advance(2500);
    assert.equal(node.routable, false);
    const all = bytes(5, connect(5, { clientId }), publish('t/a', 'one'), DISCONNECT);
    nodes.accept(node, 5).arrive(all).end();
    nodes.advance(100);
    assert.deepEqual(messages(observer), []);
    nodes.link('n1', 'n2');
    nodes.advance(3000);
    assert.deepEqual(messages(observer), ['t/a=one']);
  });

  it('counts for nothing when OPEN is refused: no message, no Will', () => {
    nodes.add('n2');
    nodes.advance(3000);
    const ids = Array.from({ length: 200 }, (_, i) => `c${i}`);
    const clientId = ids.find((id) => node.views.leader(shardOf(id, node.shardCount)) === 'n2')!;
    nodes.cut('n1', 'n2');
    const all = bytes(5, connect(5, { clientId, will: WILL }), publish('t/a', 'one'), DISCONNECT);
    const client = nodes.accept(node, 5).arrive(all);
    nodes.advance(11_000);
    const [connack] = client.take();
    assert.ok(connack?.cmd === 'connack' && connack.reasonCode === 0x88);
    nodes.link('n1', 'n2');
    nodes.advance(3000);
    assert.deepEqual(messages(observer), []);
  });

  it('closes without CONNACK when even that is larger than the client takes [MQTT-3.1.2-24]', () => {
    const packet = connect(5, { will: WILL, properties: { maximumPacketSize: 10 } });
    const client = nodes.accept(node, 5).arrive(bytes(5, packet));
    nodes.settle();
    assert.deepEqual(client.packets, []);
    assert.ok(client.closed);
    assert.deepEqual(messages(observer), []);
  });

  it('tells a CONNECT that a newer one overtook that it is taken over', () => {
    const older = nodes.accept(node, 5).arrive(bytes(5, connect(5)));
    const newer = nodes.accept(node, 5).arrive(bytes(5, connect(5)));
    nodes.settle();
    assert.deepEqual(
      older.packets.map((p) => [p.cmd, 'reasonCode' in p && p.reasonCode]),
      [
        ['connack', 0],
        ['disconnect', 0x8e],
      ],
    );
    assert.deepEqual(
      newer.packets.map((p) => p.cmd),
      ['connack'],
    );
  });
});

describe('node: Keep Alive', () => {
  it('is kept by whole packets only, not by the drips of one [MQTT-3.1.2-22]', () => {
    const nodes = new TestNodes();
    const node = nodes.add('n1');
    const client = nodes.connect(node, { keepalive: 10 });
    const ping = bytes(5, { cmd: 'pingreq' });
    const drips = bytes(5, publish('t', 'x'.repeat(100)));
    client.arrive(ping);
    for (let second = 0; second < 20; second++) {
      nodes.advance(1000);
      client.arrive(drips.subarray(second, second + 1));
      client.handler.onSecond(nodes.nowMs);
    }
    const last = client.take().at(-1);
    assert.ok(last?.cmd === 'disconnect' && last.reasonCode === 0x8d);
  });
});
