/** QoS 1 and 2 exchanges with one client: repeats, refusals, answers out of turn. */
import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import type { NodeCore } from '../../src/node/node.ts';
import { TestNodes, type TestSocket } from './nodes.ts';

const STORED = { clean: false, properties: { sessionExpiryInterval: 100 } };

/** Kinds of packets with their Reason Codes. */
function answers(socket: TestSocket): [string, number | undefined][] {
  return socket.take().map((p) => [p.cmd, 'reasonCode' in p ? (p.reasonCode ?? 0) : undefined]);
}

function publishes(socket: TestSocket) {
  return socket.take().filter((p) => p.cmd === 'publish');
}

const pubrel = (messageId: number): Packet => ({ cmd: 'pubrel', messageId }) as Packet;
const pubrec = (messageId: number, reasonCode = 0): Packet =>
  ({ cmd: 'pubrec', messageId, reasonCode }) as Packet;
const puback = (messageId: number): Packet => ({ cmd: 'puback', messageId }) as Packet;
const pubcomp = (messageId: number): Packet => ({ cmd: 'pubcomp', messageId }) as Packet;

describe('node: exchanges', () => {
  let nodes: TestNodes;
  let node: NodeCore;

  beforeEach(() => {
    nodes = new TestNodes();
    node = nodes.add('n1', { limits: { publishesInFlight: 4, sessionQueueMessages: 2 } });
  });

  for (const [kind, options] of [
    ['stored', STORED],
    ['live', {}],
  ] as const) {
    it(`answers each repetition of a QoS 2 PUBLISH, once it is stored (${kind} session)`, () => {
      nodes.connect(node, { clientId: 's', ...STORED }).subscribe(['t'], 2);
      const client = nodes.connect(node, { clientId: 'p', ...options });
      client.take();
      const packet = {
        cmd: 'publish',
        topic: 't',
        payload: 'x',
        qos: 2,
        retain: false,
        messageId: 1,
      } as const;
      // In one turn: nothing is stored yet when the repetitions come.
      client.arrivePacket({ ...packet, dup: false });
      client.arrivePacket({ ...packet, dup: true });
      client.arrivePacket({ ...packet, dup: true });
      assert.deepEqual(answers(client), [], 'nothing is stored yet');
      nodes.settle();
      client.publish('t', { qos: 2 });
      assert.deepEqual(
        answers(client),
        Array.from({ length: 4 }, () => ['pubrec', 0]),
      );
      client.send(pubrel(1)).send(pubrel(1));
      assert.deepEqual(answers(client), [
        ['pubcomp', 0],
        ['pubcomp', 0x92],
      ]);
    });

    it(`refuses more QoS 2 exchanges than Receive Maximum [MQTT-3.3.4-9] (${kind} session)`, () => {
      const client = nodes.connect(node, { clientId: 'p', ...options });
      for (let id = 1; id <= 4; id++) client.publish('t', { qos: 2, id });
      client.send(pubrel(1)).publish('t', { qos: 2, id: 5 });
      client.take();
      client.publish('t', { qos: 2, id: 6 });
      assert.deepEqual(answers(client), [['disconnect', 0x93]]);
    });

    it(`tells a QoS 2 publisher that the queue is full, and ends the exchange (${kind} session)`, () => {
      nodes
        .connect(node, { clientId: 's', ...STORED })
        .subscribe(['t'], 2)
        .end();
      nodes.settle();
      const client = nodes.connect(node, { clientId: 'p', ...options });
      client.take();
      for (let id = 1; id <= 3; id++) client.publish('t', { qos: 2, id });
      client.send(pubrel(1)).send(pubrel(2)).send(pubrel(3));
      assert.deepEqual(answers(client), [
        ['pubrec', 0],
        ['pubrec', 0],
        ['pubrec', 0x97],
        ['pubcomp', 0],
        ['pubcomp', 0],
        ['pubcomp', 0x92],
      ]);
      nodes.connect(node, { clientId: 's', ...STORED, clean: true }).subscribe(['t'], 2);
      client.publish('t', { qos: 2, id: 3 });
      assert.deepEqual(answers(client), [['pubrec', 0]]);
    });

    it(`sends PUBREL once its PUBREC is safe, however often PUBREC comes (${kind} session)`, () => {
      const client = nodes.connect(node, { clientId: 's', ...options }).subscribe(['t'], 2);
      nodes.connect(node, { clientId: 'p' }).publish('t', { qos: 2 });
      const [message] = publishes(client);
      assert.ok(message?.messageId);
      const { messageId } = message;
      client.arrivePacket(pubrec(messageId)).arrivePacket(pubrec(messageId));
      if (kind === 'stored') assert.deepEqual(answers(client), [], 'the copies do not know yet');
      nodes.settle();
      client.take();
      client.send(pubrec(messageId));
      assert.deepEqual(answers(client), [['pubrel', 0]]);
    });

    it(`ends a connection that answers out of turn (${kind} session)`, () => {
      const wrong: [0 | 1 | 2, (id: number) => Packet][] = [
        [1, pubrec],
        [1, pubcomp],
        [2, puback],
        [2, pubcomp],
      ];
      for (const [qos, answer] of wrong) {
        const client = nodes.connect(node, { clientId: 's', ...options }).subscribe(['t'], qos);
        nodes.connect(node, { clientId: 'p' }).publish('t', { qos: 2 });
        const message = publishes(client).at(-1);
        assert.ok(message?.messageId);
        client.send(answer(message.messageId));
        assert.deepEqual(answers(client), [['disconnect', 0x82]]);
        nodes.connect(node, { clientId: 's' }); // Clean Start
      }
    });
  }

  it('answers 0x00 to the PUBREL of an exchange that was over when its client lost the PUBCOMP', () => {
    const client = nodes.connect(node, { clientId: 'p', ...STORED }).publish('t', { qos: 2 });
    client.send(pubrel(1)).end();
    nodes.settle();
    const back = nodes.connect(node, { clientId: 'p', ...STORED });
    back.take();
    back.send(pubrel(1));
    assert.deepEqual(answers(back), [['pubcomp', 0]]);
  });

  it('sends no PUBREL for a PUBREC that refuses an unknown message [MQTT-4.3.3-4]', () => {
    const client = nodes.connect(node, {});
    client.take();
    client.send(pubrec(9, 0x97)).send(pubrec(9));
    assert.deepEqual(answers(client), [['pubrel', 0x92]]);
  });

  it('closes on a PINGREQ with a body', () => {
    const client = nodes.connect(node, {});
    client.take();
    client.arrive(Buffer.from('c00100', 'hex'));
    assert.deepEqual(answers(client), [['disconnect', 0x81]]);
  });

  it('takes no publish to the topics of the server', () => {
    const client = nodes.connect(node, {}).subscribe(['$SYS/#'], 1);
    client.take();
    client.publish('$SYS/a', { qos: 0 }).publish('$SYS/a', { qos: 1 });
    client.publish('$SYS/a', { qos: 2, id: 2 });
    assert.deepEqual(answers(client), [
      ['puback', 0x87],
      ['pubrec', 0x87],
    ]);
    const will = { topic: '$SYS/w', payload: Buffer.from('w'), qos: 0 as const, retain: false };
    assert.deepEqual(answers(nodes.connect(node, { clientId: 'w', will })), [['connack', 0x87]]);
  });

  it('tells that a message could not be retained: 0x97', () => {
    nodes = new TestNodes();
    node = nodes.add('n1', { limits: { retainedMessagesPerShard: 0 } });
    for (const options of [STORED, {}]) {
      const client = nodes.connect(node, { clientId: 'p', ...options });
      client.take();
      client.publish('t', { qos: 1, retain: true }).publish('t', { qos: 2, retain: true, id: 2 });
      assert.deepEqual(answers(client), [
        ['puback', 0x97],
        ['pubrec', 0x97],
      ]);
    }
  });
});

describe('node: a stored session that is resumed with Session Expiry Interval 0', () => {
  it('gets each message once, queued and new, under Packet Identifiers of its own', () => {
    for (const qos of [1, 2] as const) {
      const nodes = new TestNodes();
      const node = nodes.add('n1');
      nodes
        .connect(node, { clientId: 's', ...STORED })
        .subscribe(['t'], qos)
        .end();
      nodes.settle();
      const publisher = nodes.connect(node, { clientId: 'p' });
      for (let id = 1; id <= 3; id++) publisher.publish('t', { qos, id });
      const client = nodes.connect(node, { clientId: 's', clean: false });
      for (let id = 4; id <= 6; id++) publisher.publish('t', { qos, id });
      const ids = publishes(client).map((p) => p.messageId);
      assert.equal(ids.length, 6);
      assert.equal(new Set(ids).size, 6);
      // And it ends with that connection.
      client.end();
      nodes.settle();
      const [connack] = nodes.connect(node, { clientId: 's', clean: false }).take();
      assert.ok(connack?.cmd === 'connack');
      assert.equal(connack.sessionPresent, false);
    }
  });
});

describe('node: first deliveries', () => {
  for (const leave of ['DISCONNECT', 'a lost connection'] as const) {
    it(`carry no DUP after a connection that received nothing and ended by ${leave} [MQTT-3.3.1-3]`, () => {
      const nodes = new TestNodes();
      const node = nodes.add('n1');
      const first = nodes.connect(node, { clientId: 's', ...STORED }).subscribe(['t']);
      if (leave === 'DISCONNECT') first.send({ cmd: 'disconnect' });
      else first.end();
      nodes.settle();
      nodes.connect(node, { clientId: 'p' }).publish('t', { qos: 1 });
      const back = nodes.connect(node, { clientId: 's', ...STORED });
      assert.deepEqual(
        publishes(back).map((p) => p.dup),
        [false],
      );
    });
  }

  it('carry DUP once they may have been sent', () => {
    const nodes = new TestNodes();
    const node = nodes.add('n1');
    const first = nodes.connect(node, { clientId: 's', ...STORED }).subscribe(['t']);
    const publisher = nodes.connect(node, { clientId: 'p' }).publish('t', { qos: 1 });
    first.end();
    nodes.settle();
    publisher.publish('t', { qos: 1, id: 2 });
    const back = nodes.connect(node, { clientId: 's', ...STORED });
    assert.deepEqual(
      publishes(back).map((p) => p.dup),
      [true, false],
    );
  });
});

describe('node: overlapping subscriptions of a stored session', () => {
  it('add up, those at QoS 0 too [MQTT-3.3.4-4]', () => {
    const nodes = new TestNodes();
    const node = nodes.add('n1');
    const client = nodes.connect(node, { clientId: 's', ...STORED });
    const subscribe = (
      topic: string,
      qos: 0 | 1 | 2,
      subscriptionIdentifier: number,
      rap = false,
    ) =>
      client.send({
        cmd: 'subscribe',
        messageId: 9,
        subscriptions: [{ topic, qos, rap }],
        properties: { subscriptionIdentifier },
      });
    subscribe('a/+', 0, 11, true);
    subscribe('a/b', 1, 12);
    subscribe('a/#', 2, 13);
    const publisher = nodes.connect(node, { clientId: 'p' });
    for (const qos of [0, 1, 2] as const) {
      client.take();
      publisher.publish('a/b', { qos, retain: true });
      const [message, ...more] = publishes(client);
      assert.ok(message);
      assert.deepEqual(more, []);
      const identifiers = [message.properties?.subscriptionIdentifier].flat();
      assert.deepEqual(
        identifiers.sort((a, b) => a! - b!),
        [11, 12, 13],
        `QoS ${qos}`,
      );
      assert.equal(message.retain, true);
    }
  });
});
