/** Shared Subscriptions over three nodes (§4.8.2): who gets what, and what becomes of it. */
import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import { all, Cluster, STORED, upTo } from './sharing-cluster.ts';

describe('shared subscriptions', () => {
  for (const qos of [0, 1, 2] as const) {
    for (const [kind, how] of [
      ['live', {}],
      ['stored', STORED],
    ] as const) {
      it(`gives each message of QoS ${qos} to one of the ${kind} members, in turn and in order`, () => {
        const c = new Cluster();
        const workers = [0, 1, 2].map((n) => c.worker(n, `w${n}`, qos, how));
        c.publish(c.publisher(0), upTo(30), qos);
        c.settle(600);
        assert.deepEqual(all(...workers), upTo(30));
        for (const { got } of workers) {
          assert.equal(got.length, 10);
          assert.deepEqual(
            got,
            [...got].sort((a, b) => Number(a) - Number(b)),
          );
        }
      });
    }
  }

  it('passes over a member whose Receive Maximum is reached, and keeps to it', () => {
    const c = new Cluster();
    const slow = c.worker(0, 'slow', 1, { properties: { receiveMaximum: 2 } });
    slow.answers = false;
    const fast = c.worker(1, 'fast');
    const p = c.publisher(2);
    for (const topic of ['t/a', 't/b', 't/c', 't/d']) {
      c.publish(p, upTo(10), 1, topic);
      c.settle(1500);
    }
    assert.equal(slow.got.length, 2);
    assert.equal(fast.got.length, 38);
  });

  it('keeps what all are too busy for, in order, and goes on when one has room', () => {
    const c = new Cluster();
    const one = c.worker(0, 'one', 1, { properties: { receiveMaximum: 1 } });
    const two = c.worker(1, 'two', 1, { properties: { receiveMaximum: 1 } });
    one.answers = two.answers = false;
    c.publish(c.publisher(2), upTo(10));
    c.settle();
    assert.equal(one.got.length + two.got.length, 2);
    one.answers = true;
    one.socket.send({ cmd: 'puback', messageId: 1 } as Packet);
    c.settle(1000);
    assert.equal(two.got.length, 1);
    assert.deepEqual(all(one, two), upTo(10));
    assert.deepEqual(one.got, [...one.got].sort());
  });

  it('gives messages of QoS 1 to others when their member disconnects', () => {
    for (const how of [{}, STORED]) {
      const c = new Cluster();
      const leaving = c.worker(0, 'leaving', 1, how);
      const other = c.worker(1, 'other', 1, how);
      leaving.answers = false;
      c.publish(c.publisher(2), upTo(10));
      c.settle();
      assert.equal(leaving.got.length, 5);
      leaving.socket.end();
      c.settle(1000);
      assert.deepEqual(all(other), upTo(10));
      assert.ok(c.cores.some(({ counters }) => counters.sharedReturned > 0));
    }
  });

  it('loses no acknowledged message of QoS 1 with the node that its members were at', () => {
    const c = new Cluster();
    const lost = [c.worker(0, 'a'), c.worker(0, 'b', 1, STORED)];
    const other = c.worker(1, 'c');
    for (const worker of lost) worker.answers = false;
    const p = c.publisher(2);
    c.publish(p, upTo(30));
    c.settle();
    const acknowledged = p.take().filter(({ cmd }) => cmd === 'puback').length;
    assert.equal(acknowledged, 30);
    c.nodes.kill('n1');
    c.workers.splice(0, 2);
    c.settle(3000);
    c.nodes.membersAre({ n1: 'faulty' });
    c.settle(3000);
    assert.deepEqual(all(other), upTo(30));
  });

  it('keeps messages while no member is online, for the first that comes back', () => {
    const c = new Cluster();
    const before = [c.worker(0, 'a', 2, STORED), c.worker(1, 'b', 2, STORED)];
    for (const { socket } of before) socket.end();
    c.settle();
    const p = c.publisher(2);
    c.publish(p, upTo(10), 1);
    c.publish(p, ['10', '11'], 2);
    c.settle();
    const back = c.worker(2, 'a', 2, STORED, '');
    c.settle(1000);
    assert.deepEqual(all(back), upTo(12));
  });

  it('sends what was never sent to a session that ends to another member, at QoS 2 too', () => {
    const c = new Cluster();
    const ending = c.worker(0, 'ending', 2, {
      ...STORED,
      properties: { sessionExpiryInterval: 100, receiveMaximum: 2 },
    });
    ending.answers = false;
    c.publish(c.publisher(2), upTo(6), 2);
    c.settle();
    assert.equal(ending.got.length, 2);
    const other = c.worker(1, 'other', 2);
    ending.socket.send({
      cmd: 'disconnect',
      reasonCode: 0,
      properties: { sessionExpiryInterval: 0 },
    } as Packet);
    ending.socket.end();
    c.settle(2000);
    assert.deepEqual(all(other), ['2', '3', '4', '5']);
  });

  it('ends what was sent at QoS 2 with its session [MQTT-4.8.2-5]', () => {
    const c = new Cluster();
    const ending = c.worker(0, 'ending', 2);
    ending.answers = false;
    const other = c.worker(1, 'other', 2);
    c.publish(c.publisher(2), upTo(4), 2);
    c.settle();
    assert.equal(ending.got.length, 2);
    ending.socket.end();
    c.settle(2000);
    assert.equal(other.got.length, 2);
    assert.equal(
      c.cores.reduce((sum, core) => sum + core.counters.sharedEnded, 0),
      2,
    );
  });

  it('completes a QoS 2 message with its member when that comes back [MQTT-4.8.2-4]', () => {
    const c = new Cluster();
    const away = c.worker(0, 'away', 2, STORED);
    away.answers = false;
    const other = c.worker(1, 'other', 2);
    c.publish(c.publisher(2), upTo(4), 2);
    c.settle();
    away.socket.end();
    c.settle(1000);
    const back = c.worker(2, 'away', 2, STORED, '');
    c.settle(1000);
    assert.deepEqual(all(back, other), upTo(4));
    assert.deepEqual([...away.got].sort(), [...back.got].sort());
  });

  it('discards what a member refuses [MQTT-4.8.2-6]', () => {
    const c = new Cluster();
    for (const [qos, cmd] of [
      [1, 'puback'],
      [2, 'pubrec'],
    ] as const) {
      const worker = c.worker(0, `w${qos}`, qos);
      worker.answers = false;
      c.publish(c.publisher(2), ['x'], qos);
      c.settle();
      assert.deepEqual(worker.got, ['x']);
      worker.socket.send({ cmd, messageId: 1, reasonCode: 0x83 } as Packet);
      c.settle();
      worker.socket.end();
      c.settle(1000);
    }
    assert.equal(
      c.cores.reduce((sum, core) => sum + core.counters.sharedDiscarded, 0),
      2,
    );
  });

  it('goes on under another leader, and sends nothing of QoS 2 twice', () => {
    for (const how of [{}, STORED]) {
      const c = new Cluster();
      const workers = [1, 2].map((n) => c.worker(n, `w${n}`, 2, how));
      for (const worker of workers) worker.answers = false;
      const p = c.publisher(1);
      for (const topic of ['t/a', 't/b', 't/c', 't/d', 't/e', 't/f'])
        c.publish(p, upTo(4), 2, topic);
      c.settle();
      const before = all(...workers).length;
      c.nodes.kill('n1');
      c.settle(2000);
      c.nodes.membersAre({ n1: 'faulty' });
      c.settle(2000);
      assert.equal(before, 24);
      assert.equal(all(...workers).length, 24);
    }
  });

  it('comes once to an ordinary subscription and once to a group, with the identifiers of each', () => {
    const c = new Cluster();
    const socket = c.nodes.connect(c.cores[0]!, { clientId: 'both' });
    const subscribe = (topic: string, subscriptionIdentifier: number) =>
      socket.send({
        cmd: 'subscribe',
        messageId: subscriptionIdentifier,
        properties: { subscriptionIdentifier },
        subscriptions: [{ topic, qos: 1 }],
      } as unknown as Packet);
    subscribe('t/#', 1);
    subscribe('$share/g/t/#', 2);
    c.settle();
    socket.take();
    c.publish(c.publisher(2), ['x']);
    c.settle();
    const identifiers = socket
      .take()
      .flatMap((p) => (p.cmd === 'publish' ? [p.properties?.subscriptionIdentifier] : []));
    assert.deepEqual(identifiers.flat().sort(), [1, 2]);
  });

  it('has no retained messages at SUBSCRIBE', () => {
    for (const how of [{}, STORED]) {
      const c = new Cluster();
      c.publisher(2).publish('t/a', { qos: 1, retain: true });
      const worker = c.worker(0, 'w', 1, how);
      c.settle(1000);
      assert.deepEqual(worker.got, []);
    }
  });

  it('refuses names and filters that are not well-formed, and No Local', () => {
    const c = new Cluster();
    const socket = c.nodes.connect(c.cores[0]!, { clientId: 'c' });
    socket.take();
    socket.subscribe(['$share/g/t', '$share//t', '$share/g', '$share/+/t', '$share/g/']);
    c.settle();
    const suback = socket.take().find((p) => p.cmd === 'suback');
    assert.ok(suback?.cmd === 'suback');
    assert.deepEqual(suback.granted, [1, 0x8f, 0x8f, 0x8f, 0x8f]);
    const subscriptions = [{ topic: '$share/g/t', qos: 1, nl: true, rap: false, rh: 0 }];
    socket.send({ cmd: 'subscribe', messageId: 1, subscriptions } as Packet);
    const disconnect = socket.take().find((p) => p.cmd === 'disconnect');
    assert.ok(disconnect?.cmd === 'disconnect' && disconnect.reasonCode === 0x82);
  });

  it('says to publishers whether a group wants their messages, and is over with UNSUBSCRIBE', () => {
    const c = new Cluster();
    const p = c.publisher(2);
    const code = () => {
      c.publish(p, ['x']);
      c.settle();
      return p.take().flatMap((q) => (q.cmd === 'puback' ? [q.reasonCode ?? 0] : []));
    };
    p.take();
    assert.deepEqual(code(), [16]);
    const worker = c.worker(0, 'w', 1, STORED);
    assert.deepEqual(code(), [0]);
    worker.socket.send({
      cmd: 'unsubscribe',
      messageId: 3,
      unsubscriptions: ['$share/g/t/#'],
    } as Packet);
    c.settle();
    assert.deepEqual(code(), [16]);
    assert.deepEqual(worker.got, ['x']);
  });

  it('can be unsubscribed however many levels its filter has', () => {
    const c = new Cluster();
    const filter = `$share/g/t${'/+'.repeat(199)}`;
    const { socket } = c.worker(0, 'w', 1, STORED, filter);
    const codes = () => {
      socket.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: [filter] } as Packet);
      c.nodes.advance(200);
      return socket.take().flatMap((p) => (p.cmd === 'unsuback' ? [p.granted].flat() : []));
    };
    assert.deepEqual(codes(), [0]);
    assert.deepEqual(
      c.cores.map((core) => core.counters.filterBytes),
      [0, 0, 0],
    );
  });

  it('forgets what waits for a group whose last subscription has ended', () => {
    const c = new Cluster();
    const worker = c.worker(0, 'w', 1, STORED);
    worker.socket.end();
    c.settle();
    c.publish(c.publisher(2), upTo(3));
    c.settle();
    c.nodes.connect(c.cores[1]!, { clientId: 'w', clean: true });
    c.settle(7000);
    assert.equal(
      c.cores.reduce((sum, core) => sum + core.counters.sharedDropped, 0),
      3,
    );
    assert.equal(
      c.cores.reduce((sum, core) => sum + core.counters.queuedBytes, 0),
      0,
    );
  });
});
