import assert from 'node:assert/strict';
import { ack, everyWay, ids, packet, publishes, publishOf, seen } from './world.ts';

everyWay('messages to clients', (make, version) => {
  it('[MQTT-3.3.2-3, 3.8.4-8, 4.7.2-1] [MQTT-3.3.2-3, 3.8.4-6, 4.7.2-1 of 3.1.1] match a filter, and come at the lower QoS', () => {
    const w = make();
    const o = w.connect('o');
    w.subscribe(o, { 'a/+': { qos: 1 }, '#': { qos: 0 }, '+/x': { qos: 2 } });
    w.subscribe(o, { '#': { qos: 0 } });
    o.take();
    const publisher = w.connect('p');
    publisher.publish('a/b', { qos: 2, id: 1 }).publish('b', { qos: 1, id: 2 });
    publisher.publish('$a/x').publish('b/x', { qos: 1, id: 3 }).publish('a/c');
    assert.deepEqual(seen(o), ['a/b x 1', 'b x 0', 'b/x x 1', 'a/c x 0']);
  });

  it('[MQTT-3.3.4-2] [MQTT-3.3.5-1 of 3.1.1] come once for overlapping filters, at the highest QoS', () => {
    for (const how of ['live', 'stored']) {
      const w = make();
      const o = w.connect('o', how === 'stored' ? w.stored : {});
      w.subscribe(o, { '#': { qos: 0 }, 't/#': { qos: 2 }, 't/+': { qos: 1 } });
      w.connect('p').publish('t/1', { qos: 2, id: 1 });
      assert.deepEqual(seen(o), ['t/1 x 2'], how);
    }
  });

  it('[MQTT-3.3.1-12, 3.3.1-13, 3.3.4-3, 3.3.4-4] have RETAIN and the identifiers that all filters ask for', () => {
    if (version === 4) return;
    // Each filter: Retain As Published, and an identifier or none.
    const kinds = [
      [false, 0],
      [true, 0],
      [false, 5],
      [true, 6],
    ] as const;
    for (const how of ['live', 'stored'])
      for (const [rapA, idA] of kinds)
        for (const [rapB, idB] of kinds)
          for (const qos of [0, 1] as const) {
            const w = make();
            const o = w.connect('o', how === 'stored' ? w.stored : {});
            const properties = (id: number) => (id > 0 ? { subscriptionIdentifier: id } : {});
            w.subscribe(o, { 't/#': { rap: rapA, qos: 1 } }, properties(idA));
            w.subscribe(o, { '+/1': { rap: rapB, qos: 0 } }, properties(idB));
            w.connect('p').send(publishOf({ topic: 't/1', qos, messageId: 1, retain: true }));
            const got = publishes(o);
            const what = `${how} ${rapA} ${idA} ${rapB} ${idB} ${qos}`;
            assert.equal(got.length, 1, what);
            assert.equal(got[0]!.retain, rapA || rapB, what);
            const given = got[0]!.properties?.subscriptionIdentifier ?? [];
            const wanted = [...new Set([idA, idB].filter((id) => id > 0))];
            assert.deepEqual([given].flat().sort(), wanted.sort(), what);
          }
  });

  it('[MQTT-3.3.2-4, 3.3.2-15, 3.3.2-16, 3.3.2-17, 3.3.2-20, 2.2.2-1] have the properties of their publisher; before MQTT 5 there are none', () => {
    const w = make();
    const o = w.connect('o');
    w.subscribe(o, { t: { qos: 1 } });
    const old = w.nodes.accept(w.node, version === 5 ? 4 : 5);
    old.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: version === 5 ? 4 : 5,
      clean: true,
      keepalive: 0,
      clientId: 'other',
    });
    old.subscribe(['t'], 1);
    old.take();
    const properties = {
      payloadFormatIndicator: true,
      contentType: 'text/plain',
      responseTopic: 'r/1',
      correlationData: Buffer.from([0, 1, 255]),
      userProperties: { b: ['1', '2'], a: 'x' },
    };
    const publisher = w.connect('p');
    publisher.send(publishOf({ qos: 1, messageId: 1, ...(version === 5 ? { properties } : {}) }));
    const [got] = publishes(o);
    const [other] = publishes(old);
    assert.equal(String(got!.payload), 'x');
    assert.equal(String(other!.payload), 'x');
    if (version === 5) {
      const given = { ...got!.properties, userProperties: { ...got!.properties?.userProperties } };
      assert.deepEqual(given, properties);
    }
    assert.deepEqual(version === 5 ? other!.properties : got!.properties, undefined);
  });

  it('[MQTT-3.3.2-6] have what is left of their Message Expiry Interval', () => {
    if (version === 4) return;
    const w = make();
    w.subscribe(w.connect('o', w.stored), { t: { qos: 1 } });
    w.nodes.settle();
    const o = w.connect('o', w.stored);
    o.end();
    w.nodes.settle();
    const properties = { messageExpiryInterval: 60 };
    w.connect('p').send(publishOf({ qos: 1, messageId: 1, properties }));
    w.nodes.advance(10_000);
    const [got] = publishes(w.begin('o', w.stored));
    assert.equal(got!.properties?.messageExpiryInterval, 50);
  });

  it('[MQTT-4.3.2-1, 4.3.2-2, 4.3.2-3, 4.3.3-1, 4.3.3-2, 4.3.3-3, 4.3.3-4, 3.3.1-3] [MQTT-2.3.1-4, 3.3.1-3, 4.3.2-1, 4.3.3-1 of 3.1.1] have a new Packet Identifier and no DUP, and are under way until they are acknowledged', () => {
    for (const how of ['live', 'stored']) {
      const w = make({ limits: { inflightMessages: 2 } });
      const o = w.connect('o', how === 'stored' ? w.stored : {});
      w.subscribe(o, { t: { qos: 2 } });
      const publisher = w.connect('p');
      publisher.send(publishOf({ qos: 1, messageId: 9, dup: true }));
      publisher.send(publishOf({ qos: 2, messageId: 10, dup: true }));
      publisher.send(publishOf({ qos: 1, messageId: 11 }));
      const [one, two, ...more] = publishes(o);
      assert.equal(more.length, 0, how);
      assert.equal(one!.dup || two!.dup, false);
      assert.notEqual(one!.messageId, two!.messageId);
      o.send(ack('pubrec', two!.messageId));
      assert.deepEqual(ids(o.take()), [['pubrel', two!.messageId]]);
      o.send(ack('puback', one!.messageId));
      const [three] = publishes(o);
      assert.notEqual(three!.messageId, two!.messageId);
      o.send(ack('pubcomp', two!.messageId));
    }
  });

  it('[MQTT-3.3.1-1, 4.4.0-1] [MQTT-3.3.1-1, 4.4.0-1 of 3.1.1] are sent again with DUP after a reconnect, and not before', () => {
    const w = make();
    const o = w.connect('o', w.stored);
    w.subscribe(o, { t: { qos: 1 } });
    w.connect('p').publish('t', { qos: 1 });
    const [first] = publishes(o);
    w.nodes.advance(60_000);
    assert.deepEqual(publishes(o), []);
    o.end();
    w.nodes.settle();
    const [again] = publishes(w.begin('o', w.stored));
    assert.deepEqual([again!.dup, again!.messageId], [true, first!.messageId]);
  });

  it('[MQTT-4.3.3-13] end their exchange though they have expired', () => {
    if (version === 4) return;
    const w = make();
    const o = w.connect('o');
    w.subscribe(o, { t: { qos: 2 } });
    const properties = { messageExpiryInterval: 1 };
    w.connect('p').send(publishOf({ qos: 2, messageId: 1, properties }));
    const [got] = publishes(o);
    w.nodes.advance(5000);
    o.send(ack('pubrec', got!.messageId)).send(ack('pubcomp', got!.messageId));
    assert.deepEqual(ids(o.take()), [['pubrel', got!.messageId]]);
    assert.equal(o.closed, false);
  });

  it('[MQTT-4.6.0-4, 4.6.0-5, 4.6.0-6] [MQTT-4.6.0-4, 4.6.0-5, 4.6.0-6 of 3.1.1] keep their order, and so do PUBRELs', () => {
    for (const how of ['live', 'stored']) {
      const w = make();
      const o = w.connect('o', how === 'stored' ? w.stored : {});
      w.subscribe(o, { 't/#': { qos: 2 } });
      const publisher = w.connect('p');
      for (let id = 1; id <= 9; id++)
        publisher.publish(`t/${id % 2}`, { qos: 2, id, payload: `${id}` });
      const got = publishes(o);
      assert.deepEqual(
        got.map(({ payload }) => Number(payload)),
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
      );
      const order = [...got].reverse().map(({ messageId }) => messageId);
      for (const id of order) o.arrivePacket(ack('pubrec', id));
      w.nodes.settle();
      assert.deepEqual(
        o.take().map((p) => p.messageId),
        order,
        how,
      );
    }
  });

  it('[MQTT-3.3.4-9, 3.3.4-10, 4.9.0-1, 4.9.0-2, 4.9.0-3] are not above Receive Maximum, which holds up nothing else', () => {
    if (version === 4) return;
    for (const how of ['live', 'stored']) {
      const w = make();
      const own = how === 'stored' ? w.stored : {};
      const o = w.connect('o', { ...own, properties: { ...own.properties, receiveMaximum: 2 } });
      w.subscribe(o, { t: { qos: 1 } });
      const publisher = w.connect('p');
      for (let id = 1; id <= 5; id++) publisher.publish('t', { qos: 1, id });
      const got = publishes(o);
      assert.equal(got.length, 2);
      publisher.publish('t');
      w.send(o, packet(0xc0));
      w.subscribe(o, { u: {} });
      const others = o.take();
      assert.deepEqual(others.map(({ cmd }) => cmd).sort(), ['pingresp', 'publish']);
      o.send(ack('puback', got[0]!.messageId));
      assert.equal(publishes(o).length, 1);
    }
  });

  it('[MQTT-3.1.2-24, 3.1.2-25] are left out if they are larger than the client takes', () => {
    if (version === 4) return;
    for (const how of ['live', 'stored']) {
      const w = make();
      const own = how === 'stored' ? w.stored : {};
      const properties = { ...own.properties, maximumPacketSize: 60 };
      const o = w.connect('o', { ...own, properties });
      w.subscribe(o, { t: { qos: 1 } });
      const publisher = w.connect('p');
      publisher.publish('t', { qos: 1, id: 1, payload: 'x'.repeat(60) });
      publisher.publish('t', { qos: 1, id: 2, payload: 'small' });
      assert.deepEqual(seen(o), ['t small 1']);
    }
  });

  it('[MQTT-3.1.2-26, 3.1.2-27, 3.3.2-11] have Topic Aliases that the client allows', () => {
    if (version === 4) return;
    for (const topicAliasMaximum of [0, 2]) {
      const w = make();
      const o = w.connect('o', { properties: { topicAliasMaximum } });
      w.subscribe(o, { '#': { qos: 1 } });
      const publisher = w.connect('p');
      const topics = ['topic/1', 'topic/2', 'topic/3', 'topic/4'];
      const names = new Map<number, string>();
      for (let round = 0; round < 5; round++)
        for (const topic of topics) publisher.publish(topic, { qos: round % 2 ? 1 : 0, id: 1 });
      const got = publishes(o).map(({ topic, properties: p }) => {
        const alias = p?.topicAlias;
        if (alias === undefined) return topic;
        assert.ok(alias >= 1 && alias <= topicAliasMaximum);
        if (topic !== '') names.set(alias, topic);
        return names.get(alias);
      });
      assert.deepEqual(got, [...topics, ...topics, ...topics, ...topics, ...topics]);
      assert.equal(names.size, topicAliasMaximum);
    }
  });
});
