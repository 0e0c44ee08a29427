import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import { codes, everyWay, field, packet, publishes, seen } from './world.ts';

const unsubscribe = (filters: string[], messageId = 8) =>
  ({ cmd: 'unsubscribe', messageId, unsubscriptions: filters }) as Packet;

everyWay('SUBSCRIBE', (make, version) => {
  const subscribe = (w: ReturnType<typeof make>, ...rest: (readonly number[])[]) =>
    packet(0x82, [0, 1], w.none, ...rest);

  it('[MQTT-3.8.1-1] [MQTT-3.8.1-1 of 3.1.1] has its flags', () => {
    const w = make();
    for (const first of [0x80, 0x81, 0x83, 0x8a])
      w.ends(packet(first, [0, 1], w.none, field('t'), [0]), 0x81, first.toString(16));
  });

  it('[MQTT-3.8.3-1, 4.7.1-1, 4.7.1-2] [MQTT-3.8.3-1, 4.7.1-2, 4.7.1-3 of 3.1.1] has filters that are well-formed UTF-8', () => {
    const w = make();
    const bad = [[0xed, 0xa0, 0x80], [0x80], [0x61, 0], [...Buffer.from('a#')]];
    for (const text of [
      ...bad,
      ...['#/a', 'a/#/b', 'a+', '+a', 'a/+b'].map((t) => [...Buffer.from(t)]),
    ])
      w.ends(subscribe(w, field(Buffer.from(text)), [0]), 0x81, String(text));
    const good = { '#': {}, '+': {}, '+/+/#': {}, '/+': {}, 'a/+/b': {} };
    assert.deepEqual(w.subscribe(w.connect(), good), [0, 0, 0, 0, 0]);
  });

  it('[MQTT-4.7.3-3] [MQTT-4.7.3-3 of 3.1.1] may have a filter of 65,535 bytes', () => {
    const w = make();
    assert.deepEqual(w.subscribe(w.connect(), { ['x'.repeat(65_535)]: {} }), [0]);
  });

  it('[MQTT-3.8.3-2] [MQTT-3.8.3-3 of 3.1.1] has a filter', () => {
    const w = make();
    w.ends(subscribe(w), 0x82, 'none');
  });

  it('[MQTT-3.8.3-5] [MQTT-3.8.3-4 of 3.1.1] has reserved bits of 0, and no QoS 3', () => {
    const w = make();
    for (const options of version === 5 ? [0x40, 0x80] : [0x04, 0x08, 0x10, 0x40, 0x80])
      w.ends(subscribe(w, field('t'), [options]), 0x81, String(options));
    w.ends(subscribe(w, field('t'), [3]), 0x82, 'QoS 3');
  });

  it('[MQTT-3.8.3-3] with No Local gets nothing of its own', () => {
    if (version === 4) return;
    for (const how of ['live', 'stored']) {
      const w = make();
      const o = w.connect('o', how === 'stored' ? w.stored : {});
      w.subscribe(o, { t: { nl: true, qos: 1 } });
      o.publish('t', { qos: 1, id: 1 });
      w.connect('p').publish('t', { qos: 1, payload: 'other' });
      assert.deepEqual(seen(o), ['t other 1']);
    }
  });

  it('[MQTT-3.8.3-4] has no No Local on a Shared Subscription', () => {
    if (version === 4) return;
    const w = make();
    w.ends(subscribe(w, field('$share/g/t'), [4]), 0x82, 'No Local');
  });

  it('[MQTT-4.8.2-1, 4.8.2-2] of a Shared Subscription has a ShareName and a filter', () => {
    const w = make();
    const refused = version === 5 ? 0x8f : 0x80;
    const filters = { '$share/g/t': {}, '$share//t': {}, '$share/g': {}, '$share/g/': {} };
    assert.deepEqual(w.subscribe(w.connect(), filters), [0, refused, refused, refused]);
  });

  it('[MQTT-4.8.2-3] of a Shared Subscription gets messages at its QoS', () => {
    const w = make();
    const o = w.connect('o');
    w.subscribe(o, { '$share/g/t': { qos: 1 } });
    w.connect('p').publish('t', { qos: 2, id: 1 });
    w.nodes.settle();
    assert.deepEqual(seen(o), ['t x 1']);
  });

  it('[MQTT-2.2.1-6, 3.8.4-1, 3.8.4-2, 3.8.4-5, 3.8.4-6, 3.8.4-7, 3.9.3-1, 3.9.3-2] [MQTT-2.3.1-7, 3.8.4-1, 3.8.4-2, 3.8.4-4, 3.8.4-5, 3.9.3-1, 3.9.3-2 of 3.1.1] is answered by a code for each filter, in order', () => {
    const w = make({ limits: { topicLevels: 2 } });
    const filters = { a: { qos: 2 }, 'a/b/c': {}, b: { qos: 0 }, c: { qos: 1 } } as const;
    const refused = version === 5 ? 0x8f : 0x80;
    assert.deepEqual(w.subscribe(w.connect(), filters), [2, refused, 0, 1]);
  });

  it('[MQTT-3.8.4-3, 3.8.4-4] [MQTT-3.3.1-6, 3.8.4-3 of 3.1.1] of a filter that there is replaces it, with its retained messages', () => {
    for (const how of ['live', 'stored']) {
      const w = make();
      const publisher = w.connect('p').publish('t', { retain: true, payload: 'kept' });
      const o = w.connect('o', how === 'stored' ? w.stored : {});
      w.subscribe(o, { t: { qos: 2 } });
      assert.deepEqual(seen(o), ['t kept 0 retained']);
      w.subscribe(o, { t: { qos: 1 } });
      assert.deepEqual(seen(o), ['t kept 0 retained']);
      publisher.publish('t', { qos: 2, id: 1 });
      assert.deepEqual(seen(o), ['t x 1']);
    }
  });
});

everyWay('UNSUBSCRIBE', (make, version) => {
  it('[MQTT-3.10.1-1] [MQTT-3.10.1-1 of 3.1.1] has its flags', () => {
    const w = make();
    for (const first of [0xa0, 0xa1, 0xa3, 0xaa])
      w.ends(packet(first, [0, 1], w.none, field('t')), 0x81, first.toString(16));
  });

  it('[MQTT-3.10.3-1, 3.10.3-2] [MQTT-3.10.3-1, 3.10.3-2 of 3.1.1] has filters of UTF-8', () => {
    const w = make();
    w.ends(packet(0xa2, [0, 1], w.none), 0x82, 'none');
    w.ends(packet(0xa2, [0, 1], w.none, field(Buffer.from([0xed, 0xa0, 0x80]))), 0x81, 'UTF-8');
  });

  it('[MQTT-3.10.4-1, 3.10.4-2, 3.10.4-4, 3.10.4-5, 3.10.4-6, 3.11.3-1, 3.11.3-2] [MQTT-3.10.4-1, 3.10.4-2, 3.10.4-4, 3.10.4-5, 3.10.4-6 of 3.1.1] ends the subscriptions of exactly its filters, and is answered', () => {
    for (const how of ['live', 'stored']) {
      const w = make();
      const o = w.connect('o', how === 'stored' ? w.stored : {});
      w.subscribe(o, { 'a/+': { qos: 1 }, 'a/b': { qos: 1 }, c: { qos: 1 } });
      o.send(unsubscribe(['a/b', '#', 'C', 'c'], 8));
      const [unsuback] = o.take();
      assert.ok(unsuback?.cmd === 'unsuback' && unsuback.messageId === 8);
      if (version === 5) assert.deepEqual(unsuback.granted, [0, 0x11, 0x11, 0]);
      const publisher = w.connect('p');
      publisher.publish('c', { qos: 1, id: 1 }).publish('a/b', { qos: 1, id: 2 });
      assert.deepEqual(seen(o), ['a/b x 1']);
      o.send(unsubscribe(['none'], 9));
      assert.deepEqual(
        o.take().map((p) => [p.cmd, p.messageId]),
        [['unsuback', 9]],
      );
    }
  });

  it('[MQTT-3.10.4-3] [MQTT-3.10.4-3 of 3.1.1] leaves deliveries that have begun to their end', () => {
    for (const how of ['live', 'stored']) {
      const w = make();
      const o = w.connect('o', how === 'stored' ? w.stored : {});
      w.subscribe(o, { t: { qos: 2 } });
      w.connect('p').publish('t', { qos: 2, id: 1 });
      const [got] = publishes(o);
      o.send(unsubscribe(['t']));
      o.take();
      o.send({ cmd: 'pubrec', messageId: got!.messageId } as Packet);
      assert.deepEqual(
        o.take().map((p) => [p.cmd, p.messageId]),
        [['pubrel', got!.messageId]],
      );
    }
  });
});

everyWay('PINGREQ, DISCONNECT and AUTH', (make, version) => {
  it('[MQTT-3.12.4-1, 4.2.0-1] [MQTT-3.12.4-1, 7.1.1-1 of 3.1.1] PINGREQ is answered', () => {
    const w = make();
    assert.deepEqual(
      w
        .send(w.connect(), packet(0xc0))
        .take()
        .map(({ cmd }) => cmd),
      ['pingresp'],
    );
  });

  it('[MQTT-3.14.1-1, 3.14.2-1] [MQTT-3.14.1-1 of 3.1.1] DISCONNECT has its flags, and its Reason Codes', () => {
    const w = make();
    for (const first of [0xe1, 0xe2, 0xe8]) w.ends(packet(first), 0x81, first.toString(16));
    if (version === 4) return;
    w.ends(packet(0xe0, [0x8d]), 0x82, 'code of a server');
    w.ends(packet(0xe0, [0x03]), 0x82, 'no code');
    w.ends(packet(0xe0, [0], [5, 17, 0, 0, 0, 1]), 0x82, 'expiry raised from 0');
  });

  it('[MQTT-3.14.2-2, 3.14.4-1, 3.14.4-2] DISCONNECT of the server is the last packet, without an expiry', () => {
    const w = make();
    const socket = w.connect();
    w.send(socket, packet(0x82, [0, 1], w.none), packet(0xc0), packet(0x30, field('t'), w.none));
    const sent = socket.take();
    assert.equal(sent.length, version === 5 ? 1 : 0);
    assert.ok(socket.closed);
    for (const p of sent)
      assert.equal(p.cmd === 'disconnect' && p.properties?.sessionExpiryInterval, undefined);
    assert.equal(w.node.counters.publishesReceived[0], 0);
  });

  it('[MQTT-3.15.1-1, 3.15.2-1, 4.12.0-7] AUTH is a Protocol Error, in any form', () => {
    const w = make();
    w.ends(packet(0xf1, [0x18, 0]), 0x81, 'flags');
    const code = version === 5 ? 0x82 : 0x81;
    w.ends(packet(0xf0), code, 'Success');
    w.ends(packet(0xf0, [0x18, 4, 21, ...field('m')]), code, 'not asked for');
    w.ends(packet(0xf0, [0x77, 4, 21, ...field('m')]), code, 'no code');
  });

  it('[MQTT-4.13.1-1, 4.13.2-1] [MQTT-4.8.0-1, 4.8.0-2 of 3.1.1] what breaks the protocol closes the connection', () => {
    const w = make();
    for (const first of [0x00, 0x20, 0x90, 0xb0, 0xd0]) {
      const socket = w.send(w.connect(), packet(first, [0, 0]));
      const [last] = codes(socket);
      if (version === 5) assert.ok(last?.[0] === 'disconnect' && last[1]! >= 0x80);
      assert.ok(socket.closed, first.toString(16));
    }
    w.ends(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]), 0x81, 'Remaining Length');
    w.ends(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]), 0x95, 'too large');
  });
});
