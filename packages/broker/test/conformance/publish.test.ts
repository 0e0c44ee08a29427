import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import { ack, codes, everyWay, field, ids, packet, publishes, publishOf, seen } from './world.ts';

everyWay('PUBLISH', (make, version) => {
  it('[MQTT-2.2.1-2, 2.2.1-3, 4.3.1-1] [MQTT-2.3.1-1, 2.3.1-5, 4.3.1-1 of 3.1.1] has a Packet Identifier above QoS 0, not 0', () => {
    const w = make();
    w.ends(packet(0x32, field('t'), [0, 0], w.none), 0x82, 'Packet Identifier 0');
    const observer = w.connect('o');
    w.subscribe(observer, { t: { qos: 2 } });
    w.send(w.connect(), packet(0x30, field('t'), w.none, [1, 2]));
    const [got] = publishes(observer);
    assert.deepEqual([...Buffer.from(got!.payload)], [1, 2]);
    assert.equal(got!.messageId, undefined);
    assert.equal(got!.dup, false);
  });

  it('[MQTT-3.3.1-2, 3.3.1-4] [MQTT-3.3.1-2, 3.3.1-4 of 3.1.1] has no QoS 3, and no DUP at QoS 0', () => {
    const w = make();
    w.ends(packet(0x36, field('t'), [0, 1], w.none), 0x81, 'QoS 3');
    w.ends(packet(0x38, field('t'), w.none), 0x81, 'DUP at QoS 0');
  });

  it('[MQTT-3.3.2-1, 3.3.2-2, 4.7.0-1, 4.7.3-1, 4.7.3-2] [MQTT-3.3.2-1, 3.3.2-2, 4.7.1-1, 4.7.3-1, 4.7.3-2 of 3.1.1] has a Topic Name', () => {
    const w = make();
    for (const [topic, code] of [
      [[], 0x82],
      [[0x2b], 0x90],
      [[0x61, 0x2f, 0x23], 0x90],
      [[0x61, 0], 0x81],
      [[0xed, 0xa0, 0x80], 0x81],
      [[0xc0, 0xaf], 0x81],
    ] as const)
      w.ends(packet(0x30, field(Buffer.from(topic)), w.none), code, String(topic));
    w.ends(packet(0x30, [0, 5, 0x61]), 0x81, 'no whole topic');
  });

  it('[MQTT-1.5.4-1, 1.5.4-2] [MQTT-1.5.3-1, 1.5.3-2 of 3.1.1] has strings of UTF-8 without U+0000', () => {
    const w = make();
    for (const bad of [[0x80], [0xed, 0xbf, 0xbf], [0xf5, 0x80, 0x80, 0x80], [0]])
      w.ends(packet(0x30, field(Buffer.from(bad)), w.none), 0x81, String(bad));
  });

  it('[MQTT-1.5.4-3, 4.7.3-4] [MQTT-1.5.3-3, 4.7.3-4 of 3.1.1] keeps its topic as it is', () => {
    const w = make();
    const observer = w.connect('o');
    const topics = ['\ufeffa', 'A/b', 'a//b', '/a', 'a/', 'e\u0301', '\u00e9', ' a '];
    w.subscribe(observer, Object.fromEntries(topics.map((t) => [t, {}])));
    const publisher = w.connect('p');
    for (const topic of [...topics, 'a/b', 'a', 'a/b/']) publisher.publish(topic);
    assert.deepEqual(
      publishes(observer).map(({ topic }) => topic),
      topics,
    );
  });

  it('[MQTT-2.2.1-5, 3.3.4-1, 4.3.2-4, 4.3.3-8, 4.3.3-11, 3.4.2-1, 3.5.2-1, 3.7.2-1] [MQTT-2.3.1-6, 3.3.4-1, 4.3.2-2, 4.3.3-2 of 3.1.1] is answered by its QoS, under its Packet Identifier', () => {
    const w = make();
    w.subscribe(w.connect('o'), { t: { qos: 0 } });
    const socket = w.connect();
    socket.publish('t').publish('t', { qos: 1, id: 5 }).publish('t', { qos: 2, id: 6 });
    socket.send({ cmd: 'pubrel', messageId: 6 } as Packet);
    socket.publish('none', { qos: 1, id: 7 });
    const answers = socket.take();
    assert.deepEqual(ids(answers), [
      ['puback', 5],
      ['pubrec', 6],
      ['pubcomp', 6],
      ['puback', 7],
    ]);
    const given = answers.map((p) => ('reasonCode' in p ? p.reasonCode : undefined));
    if (version === 5) assert.deepEqual(given, [0, 0, 0, 0x10]);
  });

  it('[MQTT-4.6.0-2, 4.6.0-3] [MQTT-4.6.0-2, 4.6.0-3 of 3.1.1] is answered in order', () => {
    const w = make();
    w.connect('s', w.stored).end();
    const socket = w.connect('c', w.stored);
    for (let id = 1; id <= 20; id++) socket.publish('t', { qos: id % 2 ? 1 : 2, id });
    assert.deepEqual(
      socket.take().map((p) => p.messageId),
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
  });

  it('[MQTT-4.3.2-5] is another message under a Packet Identifier behind its PUBACK', () => {
    const w = make();
    const observer = w.connect('o');
    w.subscribe(observer, { t: {} });
    const socket = w.connect();
    socket.send(publishOf({ qos: 1, messageId: 1 }));
    socket.send(publishOf({ qos: 1, messageId: 1, dup: true }));
    assert.equal(publishes(observer).length, 2);
  });

  it('[MQTT-4.3.3-9] is another message under a Packet Identifier behind a PUBREC that refuses', () => {
    const w = make({ limits: { payloadBytes: 3 } });
    const observer = w.connect('o');
    w.subscribe(observer, { t: {} });
    const socket = w.connect();
    if (version === 4) return;
    socket.publish('t', { qos: 2, id: 1, payload: 'long' }).publish('t', { qos: 2, id: 1 });
    assert.deepEqual(codes(socket), [
      ['pubrec', 0x97],
      ['pubrec', 0],
    ]);
    assert.equal(publishes(observer).length, 1);
  });

  it('[MQTT-4.3.3-10, 4.3.3-12] is the same under its Packet Identifier until PUBREL, and another one behind PUBCOMP', () => {
    const w = make();
    const observer = w.connect('o');
    w.subscribe(observer, { t: {} });
    const socket = w.connect();
    socket.publish('t', { qos: 2, id: 1 });
    socket.send(publishOf({ qos: 2, messageId: 1, dup: true }));
    assert.equal(publishes(observer).length, 1);
    socket.send(ack('pubrel')).publish('t', { qos: 2, id: 1 });
    assert.equal(publishes(observer).length, 1);
    assert.deepEqual(ids(socket.take()), [
      ['pubrec', 1],
      ['pubrec', 1],
      ['pubcomp', 1],
      ['pubrec', 1],
    ]);
  });

  it('[MQTT-3.6.2-1] leads to PUBCOMP 0x92 if its PUBREL is of an unknown Packet Identifier', () => {
    const w = make();
    const socket = w.connect().send(ack('pubrel', 9));
    const [pubcomp] = socket.take();
    assert.ok(pubcomp?.cmd === 'pubcomp' && pubcomp.messageId === 9);
    if (version === 5) assert.equal(pubcomp.reasonCode, 0x92);
  });

  it('[MQTT-3.6.1-1, 2.1.3-1] [MQTT-3.6.1-1, 2.2.2-1, 2.2.2-2 of 3.1.1] has acknowledgements with their flags', () => {
    const w = make();
    for (const first of [0x60, 0x61, 0x63, 0x6a, 0x41, 0x52, 0x72, 0xc1, 0xf1])
      w.ends(packet(first, [0, 1]), 0x81, first.toString(16));
  });

  it('[MQTT-3.3.4-7] [MQTT-3.3.5-2 of 3.1.1] that is not allowed is refused', () => {
    const w = make({ limits: { publishesInFlight: 2 } });
    const socket = w.connect();
    socket.publish('$SYS/x', { qos: 1, id: 1 });
    assert.deepEqual(codes(socket), [['puback', version === 5 ? 0x87 : undefined]]);
    for (let id = 1; id <= 3; id++) socket.publish('t', { qos: 2, id });
    assert.equal(socket.closed, version === 5);
    if (version === 5) assert.deepEqual(codes(socket).at(-1), ['disconnect', 0x93]);
  });
});

everyWay('Topic Aliases', (make, version) => {
  const aliased = (topic: string, topicAlias: number) =>
    publishOf({ topic, properties: { topicAlias } });
  if (version === 4) return;

  it('[MQTT-3.3.2-8, 3.3.2-12, 3.3.2-7] are from 1 to the maximum, and end with their connection', () => {
    const w = make({ limits: { topicAliases: 3 } });
    const o = w.connect('o');
    w.subscribe(o, { '#': {} });
    const socket = w.connect();
    for (const alias of [1, 2, 3])
      socket.send(aliased(`t${alias}`, alias)).send(aliased('', alias));
    assert.deepEqual(
      publishes(o).map(({ topic }) => topic),
      ['t1', 't1', 't2', 't2', 't3', 't3'],
    );
    socket.send(aliased('other', 1)).send(aliased('', 1));
    assert.deepEqual(
      publishes(o).map(({ topic }) => topic),
      ['other', 'other'],
    );
    for (const [bad, code] of [
      [aliased('t', 0), 0x94],
      [aliased('t', 4), 0x94],
      [aliased('', 2), 0x82],
    ] as const) {
      const fresh = w.connect();
      fresh.send(bad);
      assert.deepEqual(codes(fresh), [['disconnect', code]]);
    }
  });
});

everyWay('properties of PUBLISH', (make, version) => {
  if (version === 4) return;
  const withProperties = (...bytes: number[]) =>
    packet(0x30, field('t'), [bytes.length], bytes, [0x78]);

  it('[MQTT-1.5.7-1, 3.3.2-13, 3.3.2-14, 3.3.2-19, 3.3.4-6, 1.5.5-1] are well-formed, and a client’s to send', () => {
    const w = make();
    const bad = field(Buffer.from([0xc0, 0x80]));
    w.ends(withProperties(38, ...field('a'), ...bad), 0x81, 'User Property value');
    w.ends(withProperties(38, ...bad, ...field('a')), 0x81, 'User Property name');
    w.ends(withProperties(8, ...bad), 0x81, 'Response Topic');
    w.ends(withProperties(8, ...field('a/#')), 0x90, 'Response Topic with a wildcard');
    w.ends(withProperties(3, ...bad), 0x81, 'Content Type');
    w.ends(withProperties(11, 1), 0x82, 'Subscription Identifier');
    w.ends(withProperties(1, 1, 1, 1), 0x82, 'twice');
    w.ends(withProperties(1, 2), 0x82, 'out of range');
    w.ends(withProperties(99), 0x81, 'unknown');
    w.ends(packet(0x82, [0, 1], [3], [11, 0x80, 0], field('t'), [0]), 0x81, 'not minimal');
  });
});

everyWay('retained messages', (make, version) => {
  it('[MQTT-3.3.1-5, 3.3.1-6, 3.3.1-7, 3.3.1-8] [MQTT-3.3.1-5, 3.3.1-6, 3.3.1-7, 3.3.1-8, 3.3.1-10, 3.3.1-11, 3.3.1-12 of 3.1.1] are the last with RETAIN, and none behind an empty one', () => {
    for (const qos of [0, 1] as const) {
      const w = make();
      const publisher = w.connect('p');
      const got = () => {
        const o = w.connect('o');
        w.subscribe(o, { t: { qos: 1 } });
        return seen(o);
      };
      publisher.publish('t', { qos, retain: true, payload: 'one' });
      publisher.publish('t', { qos, retain: true, payload: 'two' });
      publisher.publish('t', { qos, payload: 'three' });
      publisher.publish('t', { qos, payload: '' });
      assert.deepEqual(got(), [`t two ${qos} retained`]);
      publisher.publish('t', { qos, retain: true, payload: '' });
      assert.deepEqual(got(), []);
    }
  });

  it('[MQTT-3.1.2-7 of 3.1.1] outlive the session of their publisher', () => {
    const w = make();
    const publisher = w.connect('p');
    publisher.publish('t', { retain: true, payload: 'kept' });
    publisher.end();
    w.nodes.settle();
    w.connect('p').end();
    w.nodes.settle();
    const o = w.connect('o');
    w.subscribe(o, { t: {} });
    assert.deepEqual(seen(o), ['t kept 0 retained']);
  });

  it('[MQTT-3.3.1-9 of 3.1.1] have RETAIN for a new subscription only', () => {
    const w = make();
    const o = w.connect('o');
    w.subscribe(o, { t: {} });
    w.connect('p').publish('t', { retain: true });
    assert.deepEqual(seen(o), ['t x 0']);
  });

  it('[MQTT-3.3.1-9, 3.3.1-10, 3.3.1-11] come as Retain Handling says', () => {
    if (version === 4) return;
    const w = make();
    w.connect('p').publish('t', { retain: true });
    const o = w.connect('o');
    for (const [rh, count] of [
      [2, 0],
      [1, 0],
      [0, 1],
      [0, 1],
    ] as const) {
      w.subscribe(o, { t: { rh } });
      assert.equal(publishes(o).length, count, `Retain Handling ${rh}`);
    }
    const other = w.connect('n');
    w.subscribe(other, { t: { rh: 1 } });
    assert.equal(publishes(other).length, 1);
  });
});
