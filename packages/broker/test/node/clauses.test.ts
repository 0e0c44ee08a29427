/** Rules of the text, each on the wire of a node, under its number. */
import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import type { NodeCore } from '../../src/node/node.ts';
import { TestNodes, type TestSocket } from './nodes.ts';

const STORED = { clean: false, properties: { sessionExpiryInterval: 100 } };

function bytesOf(...parts: (string | readonly number[])[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => {
      if (typeof part !== 'string') return Buffer.from(part);
      const text = Buffer.from(part);
      return Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), text]);
    }),
  );
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

function codes(socket: TestSocket): [string, number | undefined][] {
  return socket
    .take()
    .map((p) => [
      p.cmd,
      'returnCode' in p && p.returnCode !== undefined
        ? p.returnCode
        : 'reasonCode' in p
          ? p.reasonCode
          : undefined,
    ]);
}

describe('node: clauses', () => {
  let nodes: TestNodes;
  let node: NodeCore;

  beforeEach(() => {
    nodes = new TestNodes();
    node = nodes.add('n1');
  });

  const connectOf = (bytes: Buffer) => {
    const socket = nodes.accept(node, 4).arrive(bytes);
    nodes.settle();
    return socket;
  };

  it('[MQTT-3.1.2-2] refuses an unknown protocol level with 0x01 and closes', () => {
    for (const level of [3, 0x84]) {
      const socket = connectOf(bytesOf('MQTT', [level, 2, 0, 0], 'c'));
      assert.deepEqual(codes(socket), [['connack', 1]], `level ${level}`);
      assert.ok(socket.closed);
    }
  });

  it('[MQTT-3.1.3-8] refuses an empty Client Identifier with a kept session with 0x02 and closes', () => {
    for (const bytes of [bytesOf('MQTT', [4, 0, 0, 0], ''), bytesOf('MQIsdp', [3, 2, 0, 0], '')]) {
      const socket = connectOf(bytes);
      assert.deepEqual(codes(socket), [['connack', 2]]);
      assert.ok(socket.closed);
    }
  });

  it('answers a malformed CONNECT of MQTT 5 by CONNACK, and closes', () => {
    // Receive Maximum 0 (§3.1.2.11.3).
    const socket = nodes.accept(node, 5).arrive(bytesOf('MQTT', [5, 2, 0, 0, 3, 33, 0, 0], 'c'));
    nodes.settle();
    assert.deepEqual(codes(socket), [['connack', 0x82]]);
    assert.ok(socket.closed);
  });

  it('has no Session Present in MQTT 3.1', () => {
    const connect = bytesOf('MQIsdp', [3, 0, 0, 0], 'c');
    connectOf(connect).end();
    nodes.settle();
    const [connack] = connectOf(connect).take();
    assert.ok(connack?.cmd === 'connack');
    assert.equal(connack.sessionPresent, false);
  });

  it('[MQTT-3.1.4-3] [MQTT-3.1.4-4] closes the older connection with 0x8E', () => {
    const older = nodes.connect(node, {});
    older.take();
    const newer = nodes.connect(node, {});
    assert.deepEqual(codes(older), [['disconnect', 0x8e]]);
    assert.ok(older.closed);
    assert.deepEqual(codes(newer), [['connack', 0]]);
  });

  it('[MQTT-2.2.1-3] closes on Packet Identifier 0', () => {
    for (const hex of ['320600017400000078', '8207000000000174', '40020000', '62020000']) {
      const socket = nodes.connect(node, {});
      socket.take();
      const bytes = Buffer.from(hex, 'hex');
      bytes[1] = bytes.length - 2;
      socket.arrive(bytes);
      assert.deepEqual(codes(socket), [['disconnect', 0x82]], hex);
    }
  });

  it('[MQTT-2.2.1-4] gives messages under way to one client different Packet Identifiers', () => {
    for (const options of [STORED, {}]) {
      const client = nodes.connect(node, { clientId: 's', ...options }).subscribe(['t'], 2);
      const publisher = nodes.connect(node, { clientId: 'p' });
      client.take();
      for (let id = 1; id <= 50; id++) publisher.publish('t', { qos: id % 2 ? 1 : 2, id });
      const ids = client.take().map((p) => p.messageId);
      assert.equal(ids.length, 50);
      assert.equal(new Set(ids).size, 50);
      nodes.connect(node, { clientId: 's' });
    }
  });

  it('[MQTT-4.4.0-1] sends PUBLISH and PUBREL again under their Packet Identifiers after a reconnect', () => {
    const client = nodes.connect(node, { clientId: 's', ...STORED }).subscribe(['t'], 2);
    const publisher = nodes.connect(node, { clientId: 'p' });
    for (const qos of [1, 2, 2] as const) publisher.publish('t', { qos, id: 1 + qos });
    publisher.send({ cmd: 'pubrel', messageId: 3 } as Packet).publish('t', { qos: 2, id: 9 });
    const sent = client.take().filter((p) => p.cmd === 'publish');
    const released = sent.at(-1)!.messageId!;
    client.send({ cmd: 'pubrec', messageId: released } as Packet).end();
    nodes.settle();
    const again = nodes
      .connect(node, { clientId: 's', ...STORED })
      .take()
      .slice(1);
    assert.deepEqual(
      again.map((p) => [p.cmd, p.messageId, p.cmd === 'publish' && p.dup]),
      [
        ...sent.slice(0, -1).map((p) => ['publish', p.messageId, true]),
        ['pubrel', released, false],
      ],
    );
  });

  it('[MQTT-3.14.4-3] discards the Will on DISCONNECT 0x00, and sends it on 0x04', () => {
    const will = { topic: 'w', payload: Buffer.from('w'), qos: 1 as const, retain: false };
    const observer = nodes.connect(node, { clientId: 'o' }).subscribe(['w'], 0);
    for (const [reasonCode, wills] of [
      [0, 0],
      [4, 1],
    ] as const) {
      observer.take();
      nodes.connect(node, { will }).send({ cmd: 'disconnect', reasonCode });
      assert.equal(observer.take().length, wills);
    }
  });

  it('logs why a packet that is too large ends a connection, in 3.1.1 too', () => {
    const client = nodes.accept(node, 4);
    client.arrive(bytesOf('MQTT', [4, 2, 0, 0], 'c'));
    nodes.settle();
    client.arrive(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
    assert.ok(client.closed);
    assert.ok(nodes.warnings.some((line) => /connection closed.*[Pp]acket too large/.test(line)));
  });
});
