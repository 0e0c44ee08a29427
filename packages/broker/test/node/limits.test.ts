import assert from 'node:assert/strict';
import type { IConnackPacket, IPublishPacket, Packet } from 'mqtt-packet';
import { configSections } from '../../src/config-schema.ts';
import { TOPIC_LEVELS_MAX } from '../../src/mqtt/topic.ts';
import type { ListenerRules } from '../../src/ports.ts';
import { type Settings, TestNodes, type TestSocket } from './nodes.ts';

const deep = (levels: number) => Array(levels).fill('a').join('/');
const codesOf = (packets: readonly Packet[]) =>
  packets.map((packet) => [packet.cmd, 'reasonCode' in packet ? packet.reasonCode : undefined]);
const publishesOf = (packets: readonly Packet[]) =>
  packets.filter((packet): packet is IPublishPacket => packet.cmd === 'publish');

/** One node that founds its cluster, with limits of its own. */
function single(limits: Settings['limits'] = {}, rules: ListenerRules = {}) {
  const nodes = new TestNodes();
  const core = nodes.add('n1', { limits });
  const client = (clientId: string, expiry = 0, version: 4 | 5 = 5): TestSocket => {
    const socket = nodes.accept(core, version, undefined, rules);
    socket.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: version,
      clean: true,
      keepalive: 0,
      clientId,
      ...(version === 5 ? { properties: { sessionExpiryInterval: expiry } } : {}),
    });
    nodes.advance(100);
    return socket;
  };
  return { nodes, core, client };
}

/** A stored session that subscribes to `t` and is away, and a publisher. */
function oneAway(limits: Settings['limits']) {
  const { nodes, core, client } = single(limits);
  const socket = client('s', 3600);
  socket.subscribe(['t']);
  socket.handler.onClosed();
  nodes.advance(100);
  const publisher = client('p');
  publisher.take();
  return { nodes, core, publisher };
}

/** A subscriber that acknowledges nothing and takes one message at a time, and its publisher. */
function slowSubscriber(limits: Settings['limits']) {
  const { core, client } = single({ ...limits, inflightMessages: 1 });
  const socket = client('live');
  socket.subscribe(['t']);
  const publisher = client('p');
  publisher.take();
  return { core, socket, publisher };
}

const connackOf = (socket: TestSocket) => socket.take()[0] as IConnackPacket;

/** Each case is named by its key; the last test sees that none is forgotten. */
const CASES: Readonly<Record<string, () => void>> = {
  // The listener counts; the node says no.
  connections: () => {
    const { nodes, core } = single();
    const [five, four, silent] = ([5, 4, 5] as const).map((version) => nodes.accept(core, version));
    for (const socket of [five, four, silent]) socket!.isExcess = true;
    for (const socket of [five!, four!]) socket.connect({ clientId: 'c' });
    assert.equal(connackOf(five!).reasonCode, 0x97);
    assert.equal(connackOf(four!).returnCode, 3);
    silent!.handler.onSecond(nodes.nowMs + 11_000);
    assert.deepEqual(
      [five, four, silent].map((socket) => socket!.closed),
      [true, true, true],
    );
  },

  maxPacketBytes: () => {
    const { client } = single({ maxPacketBytes: 1024 });
    const socket = client('c');
    assert.equal(connackOf(socket).properties?.maximumPacketSize, 1024);
    socket.take();
    const packets = socket.publish(`t/${'x'.repeat(1100)}`).take();
    assert.deepEqual(codesOf(packets), [['disconnect', 0x95]]);
    assert.ok(socket.closed);
  },

  payloadBytes: () => {
    const { nodes, core, client } = single({ payloadBytes: 10 });
    const socket = client('c');
    socket.take();
    const payload = 'x'.repeat(11);
    socket.publish('t', { qos: 1, id: 1, payload });
    socket.publish('t', { qos: 2, id: 2, payload });
    socket.publish('t', { qos: 1, id: 3, payload: 'x'.repeat(10) });
    assert.deepEqual(codesOf(socket.take()), [
      ['puback', 0x97],
      ['pubrec', 0x97],
      ['puback', 0x10],
    ]);
    assert.deepEqual(codesOf(socket.publish('t', { payload }).take()), [['disconnect', 0x95]]);
    const old = client('old', 0, 4);
    old.take();
    assert.deepEqual(old.publish('t', { qos: 1, payload }).take(), []);
    assert.ok(old.closed);
    const will = { topic: 't', payload: Buffer.from(payload), qos: 0, retain: false } as const;
    assert.deepEqual(codesOf(nodes.connect(core, { clientId: 'w', will }).take()), [
      ['connack', 0x95],
    ]);
  },

  topicAliasesSent: () => {
    const { nodes, core, client } = single({ topicAliasesSent: 1 });
    const properties = { topicAliasMaximum: 10 };
    const socket = nodes.connect(core, { clientId: 's', properties }).subscribe(['#'], 0);
    socket.take();
    const publisher = client('p');
    for (const topic of ['first', 'first', 'second', 'second', 'first']) publisher.publish(topic);
    const sent = publishesOf(socket.take());
    assert.deepEqual(
      sent.map(({ topic, properties: p }) => [topic, p?.topicAlias]),
      [
        ['first', undefined],
        ['first', 1],
        ['second', undefined],
        ['second', undefined],
        ['', 1],
      ],
    );
  },

  connectionBufferBytes: () => {
    const { core, client } = single({ connectionBufferBytes: 20_000 });
    const socket = client('slow');
    socket.subscribe(['t']);
    const publisher = client('p');
    socket.pendingBytes = 20_000;
    publisher.publish('t');
    assert.equal(publishesOf(socket.take()).length, 1);
    socket.pendingBytes = 20_001;
    publisher.publish('t');
    assert.equal(socket.take().length, 0);
    assert.equal(core.counters.messagesDropped, 1);
  },

  publishesInFlight: () => {
    const { nodes, core, client } = single({ publishesInFlight: 2 });
    nodes.add('n2');
    const socket = client('c');
    assert.equal(connackOf(socket).properties?.receiveMaximum, 2);
    nodes.cut('n1', 'n2');
    nodes.advance(3000);
    assert.equal(core.routable, false);
    socket.publish('t', { qos: 1, id: 1 });
    assert.equal(socket.paused, false);
    socket.publish('t', { qos: 1, id: 2 });
    assert.equal(socket.paused, true);
    nodes.link('n1', 'n2');
    nodes.advance(1000);
    assert.equal(socket.paused, false);
    assert.deepEqual(
      socket.take().map(({ cmd }) => cmd),
      ['puback', 'puback'],
    );
  },

  topicAliases: () => {
    const { client } = single({ topicAliases: 1 });
    const socket = client('c');
    assert.equal(connackOf(socket).properties?.topicAliasMaximum, 1);
    const publish = (topicAlias: number) =>
      socket
        .send({
          cmd: 'publish',
          topic: 't',
          payload: '',
          qos: 0,
          retain: false,
          dup: false,
          properties: { topicAlias },
        })
        .take();
    assert.deepEqual(publish(1), []);
    assert.deepEqual(codesOf(publish(2)), [['disconnect', 0x94]]);
  },

  inflightMessages: () => {
    const { nodes, client } = single({ inflightMessages: 2 });
    for (const expiry of [0, 3600]) {
      const socket = client(`s${expiry}`, expiry);
      socket.take();
      socket.subscribe([`t${expiry}`]);
      const publisher = client('p');
      for (let id = 1; id <= 5; id++) publisher.publish(`t${expiry}`, { qos: 1, id });
      nodes.advance(200);
      const first = publishesOf(socket.take());
      assert.equal(first.length, 2);
      for (const { messageId = 0 } of first) socket.send({ cmd: 'puback', messageId });
      nodes.advance(200);
    }
  },

  inflightBytes: () => {
    const { nodes, client } = single({ inflightBytes: 2000 });
    const socket = client('s', 3600);
    socket.take();
    socket.subscribe(['t']);
    const publisher = client('p');
    // The last one is larger than the window: it goes alone.
    const sizes = [600, 600, 600, 5000];
    for (const [n, size] of sizes.entries())
      publisher.publish('t', { qos: 1, id: n + 1, payload: '.'.repeat(size) });
    const got: number[][] = [];
    for (let round = 0; round < 3; round++) {
      nodes.advance(200);
      const publishes = publishesOf(socket.take());
      got.push(publishes.map(({ payload }) => payload.length));
      for (const { messageId = 0 } of publishes) socket.send({ cmd: 'puback', messageId });
    }
    assert.deepEqual(got, [[600, 600], [600], [5000]]);
  },

  liveQueueMessages: () => {
    const { core, socket, publisher } = slowSubscriber({ liveQueueMessages: 2 });
    for (let id = 1; id <= 5; id++) publisher.publish('t', { qos: 1, id });
    assert.equal(publishesOf(socket.packets).length, 1);
    assert.equal(publisher.take().length, 3);
    assert.equal(core.clients.slow.size, 1);
  },

  liveQueueBytes: () => {
    const { core, publisher } = slowSubscriber({ liveQueueBytes: 500 });
    for (let id = 1; id <= 6; id++) publisher.publish('t', { qos: 1, id });
    // 131 bytes each: one under way, three waiting below the mark.
    assert.equal(publisher.take().length, 4);
    assert.equal(core.clients.slow.size, 1);
  },

  nodeBufferBytes: () => {
    const { core, publisher } = slowSubscriber({ nodeBufferBytes: 1_048_576 });
    const publish = (id: number) =>
      publisher.publish('t', { qos: 1, id, payload: '.'.repeat(40_000) });
    for (let id = 1; id <= 3; id++) publish(id);
    assert.equal(publisher.take().length, 3);
    core.counters.clientBytes += 1_048_576;
    publish(4);
    assert.equal(publisher.take().length, 0);
    assert.equal(core.clients.slow.size, 1);
  },

  publishBytesInFlight: () => {
    const { nodes, core, client } = single({ publishBytesInFlight: 1024 });
    nodes.add('n2');
    const socket = client('c');
    nodes.cut('n1', 'n2');
    nodes.advance(3000);
    const publish = (id: number) => socket.publish('t', { qos: 1, id, payload: '.'.repeat(500) });
    publish(1);
    assert.equal(socket.paused, false);
    publish(2);
    assert.equal(socket.paused, true);
    assert.ok(core.counters.publishBytes >= 1024);
    nodes.link('n1', 'n2');
    nodes.advance(1000);
    assert.equal(socket.paused, false);
    assert.equal(core.counters.publishBytes, 0);
  },

  nodePublishBytes: () => {
    const { nodes, core, client } = single({ nodePublishBytes: 1_048_576 });
    nodes.add('n2');
    const sockets = ['a', 'b'].map((id) => client(id));
    nodes.cut('n1', 'n2');
    nodes.advance(3000);
    const payload = '.'.repeat(600_000);
    sockets[0]!.publish('t', { qos: 1, payload });
    assert.deepEqual(
      sockets.map(({ paused }) => paused),
      [false, false],
    );
    sockets[1]!.publish('t', { qos: 1, payload });
    assert.deepEqual(
      sockets.map(({ paused }) => paused),
      [false, true],
    );
    nodes.link('n1', 'n2');
    nodes.advance(1000);
    assert.deepEqual(
      sockets.map(({ paused }) => paused),
      [false, false],
    );
    assert.equal(core.clients.crowded.size, 0);
  },

  clientIdBytes: () => {
    const { client } = single({ clientIdBytes: 23 });
    assert.equal(connackOf(client('c'.repeat(23))).reasonCode, 0);
    assert.equal(connackOf(client('c'.repeat(24))).reasonCode, 0x85);
    // Bytes, not characters.
    assert.equal(connackOf(client('é'.repeat(12))).reasonCode, 0x85);
    assert.equal(connackOf(client('é'.repeat(11))).reasonCode, 0);
    assert.equal(connackOf(client('c'.repeat(24), 0, 4)).returnCode, 2);
  },

  sessionQueueMessages: () => {
    const { nodes, core, publisher } = oneAway({ sessionQueueMessages: 2 });
    const codes = [1, 2, 3].flatMap((id) => {
      publisher.publish('t', { qos: 1, id });
      nodes.advance(100);
      return codesOf(publisher.take());
    });
    assert.deepEqual(codes, [
      ['puback', 0],
      ['puback', 0],
      ['puback', 0x97],
    ]);
    assert.equal(core.counters.queueRefused, 1);
    assert.equal(core.counters.publishesRefused, 1);
  },

  sessionQueueBytes: () => {
    const { nodes, core, publisher } = oneAway({ sessionQueueBytes: 65_536 });
    const publish = (id: number, bytes: number) => {
      publisher.publish('t', { qos: 1, id, payload: '.'.repeat(bytes) });
      nodes.advance(100);
      return codesOf(publisher.take())[0]?.[1];
    };
    // A smaller one still fits where a larger one does not.
    assert.deepEqual([publish(1, 40_000), publish(2, 40_000), publish(3, 20_000)], [0, 0x97, 0]);
    assert.equal(core.counters.queueRefused, 1);
    assert.ok(core.counters.queuedBytes > 60_000 && core.counters.queuedBytes < 61_000);
    const again = nodes.connect(core, { clientId: 's', clean: false });
    for (let round = 0; round < 3; round++) {
      nodes.advance(100);
      for (const { messageId = 0 } of publishesOf(again.take()))
        again.send({ cmd: 'puback', messageId });
    }
    assert.equal(core.counters.queuedBytes, 0);
    assert.equal(publish(4, 40_000), 0);
  },

  nodeQueueBytes: () => {
    const { nodes, core, client } = single({ nodeQueueBytes: 1_048_576 });
    for (const id of ['s1', 's2']) {
      const socket = client(id, 3600);
      socket.subscribe(['t/both', `t/${id}`]);
      socket.handler.onClosed();
    }
    nodes.advance(100);
    const publisher = client('p');
    publisher.take();
    const publish = (id: number, topic: string) => {
      publisher.publish(topic, { qos: 1, id, payload: '.'.repeat(300_000) });
      nodes.advance(100);
      return codesOf(publisher.take())[0]?.[1];
    };
    const sum = () => Math.floor(core.counters.queuedBytes / 300_000);
    assert.deepEqual([publish(1, 't/s1'), publish(2, 't/s2'), publish(3, 't/s2')], [0, 0, 0]);
    assert.equal(sum(), 3);
    assert.equal(publish(4, 't/s1'), 0x97);
    // The end of a session gives back what was queued for it.
    client('s2');
    assert.equal(sum(), 1);
    assert.equal(publish(5, 't/s1'), 0);
  },

  sessionExpiryMaxSeconds: () => {
    const { client } = single({ sessionExpiryMaxSeconds: 60 });
    assert.equal(connackOf(client('a', 3600)).properties?.sessionExpiryInterval, 60);
    assert.equal(connackOf(client('b', 30)).properties?.sessionExpiryInterval, undefined);
  },

  subscriptionsPerSession: () => {
    const { nodes, client } = single({ subscriptionsPerSession: 2 });
    const socket = client('c');
    socket.take();
    socket.subscribe(['a', 'b', 'c']);
    nodes.advance(100);
    const [suback] = socket.take();
    assert.deepEqual(suback?.cmd === 'suback' && suback.granted, [1, 1, 0x97]);
  },

  subscriptionBytesPerSession: () => {
    const { nodes, core, client } = single({ subscriptionBytesPerSession: 65_536 });
    const filter = (c: string) => `${c}${'.'.repeat(29_999)}`;
    for (const expiry of [0, 3600]) {
      const socket = client(`c${expiry}`, expiry);
      const subscribe = (...topics: string[]) => {
        socket.take();
        socket.subscribe(topics);
        nodes.advance(100);
        const [suback] = socket.take();
        return suback?.cmd === 'suback' && suback.granted;
      };
      assert.deepEqual(subscribe(filter('a'), filter('b'), filter('c'), 'd'), [1, 1, 0x97, 1]);
      assert.deepEqual(subscribe(filter('c'), filter('a')), [0x97, 1]);
      socket.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: [filter('a')] });
      nodes.advance(100);
      assert.deepEqual(subscribe(filter('c')), [1]);
      socket.handler.onClosed();
      nodes.advance(100);
    }
    // What is left is the stored session's, in the state of its shard.
    assert.equal(core.counters.filterBytes, 60_001);
  },

  nodeSubscriptionBytes: () => {
    const { nodes, client } = single({ nodeSubscriptionBytes: 1_048_576 });
    const granted = Array.from({ length: 20 }, (_, n) => {
      const socket = client(`c${n}`);
      socket.take();
      socket.subscribe([`${n}${'.'.repeat(59_990)}`]);
      nodes.advance(100);
      const [suback] = socket.take();
      return suback?.cmd === 'suback' && suback.granted[0];
    });
    assert.deepEqual(granted, [...Array(17).fill(1), 0x97, 0x97, 0x97]);
  },

  retainedMessagesPerShard: () => {
    const { nodes, core, client } = single({ retainedMessagesPerShard: 1 });
    const publisher = client('p');
    // 40 topics in 16 shards: one stays in each.
    for (let k = 0; k < 40; k++) publisher.publish(`t/${k}`, { qos: 1, retain: true, id: k + 1 });
    nodes.advance(200);
    const held = core.asking.totals().retained;
    assert.ok(held > 0 && held <= 16, `${held} retained`);
    assert.equal(core.counters.retainedRefused, 40 - held);
    const reader = client('r');
    reader.take();
    reader.subscribe(['t/+']);
    nodes.advance(200);
    assert.equal(publishesOf(reader.take()).length, held);
  },

  topicLevels: () => {
    const { nodes, core, client } = single({ topicLevels: 3 });
    const socket = client('c');
    socket.take();
    socket.subscribe([deep(3), deep(4), '+/+/#', '#']);
    nodes.advance(100);
    const [suback] = socket.take();
    assert.deepEqual(suback?.cmd === 'suback' && suback.granted, [1, 0x8f, 1, 1]);
    // Acknowledgements keep their order; a refused QoS 2 publish is over with its PUBREC.
    socket.publish(deep(4), { qos: 1, id: 1 });
    socket.publish(deep(4), { qos: 2, id: 2 });
    socket.publish('t', { qos: 2, id: 3 });
    nodes.advance(100);
    const acks = codesOf(socket.take()).filter(([cmd]) => cmd !== 'publish');
    assert.deepEqual(acks, [
      ['puback', 0x90],
      ['pubrec', 0x90],
      ['pubrec', 0],
    ]);
    assert.equal(core.counters.publishesRefused, 2);
    assert.deepEqual(codesOf(socket.publish(deep(4)).take()), [['disconnect', 0x90]]);
    assert.ok(socket.closed);
    const old = client('old', 0, 4);
    old.take();
    assert.deepEqual(old.publish(deep(4), { qos: 1 }).take(), []);
    assert.ok(old.closed);
    const will = { topic: deep(4), payload: Buffer.from(''), qos: 0, retain: false } as const;
    assert.deepEqual(codesOf(nodes.connect(core, { clientId: 'w', will }).take()), [
      ['connack', 0x90],
    ]);
  },
};

describe('limits of the configuration', () => {
  for (const [key, test] of Object.entries(CASES)) it(`${key} has its effect`, test);

  it('are less at a listener that says so: packet size, versions of MQTT', () => {
    const small = single({ maxPacketBytes: 4096 }, { maxPacketBytes: 1024 }).client('c');
    assert.equal(connackOf(small).properties?.maximumPacketSize, 1024);
    assert.deepEqual(codesOf(small.publish(`t/${'x'.repeat(1100)}`).take()), [
      ['disconnect', 0x95],
    ]);
    const large = single({ maxPacketBytes: 1024 }, { maxPacketBytes: 4096 }).client('c');
    assert.equal(connackOf(large).properties?.maximumPacketSize, 1024);
    const { client } = single({}, { protocolVersions: [5] });
    assert.equal(connackOf(client('new')).reasonCode, 0);
    const old = client('old', 0, 4);
    assert.equal(connackOf(old).returnCode, 1); // [MQTT-3.1.2-2]
    assert.ok(old.closed);
    const newer = single({}, { protocolVersions: [3, 4] }).client('new');
    assert.equal(connackOf(newer).reasonCode, 0x84);
  });

  it('have a test each; limits.handshakes is the listeners’', () => {
    const limits = configSections().find(({ name }) => name === 'limits');
    const keys = limits?.keys.map(({ key }) => key.replace('limits.', ''));
    assert.deepEqual(new Set(keys), new Set(['handshakes', ...Object.keys(CASES)]));
  });

  it('allow no more topic levels than tries are walked', () => {
    const limits = configSections().find(({ name }) => name === 'limits');
    const levels = limits?.keys.find(({ key }) => key === 'limits.topicLevels');
    assert.equal(levels?.maximum, TOPIC_LEVELS_MAX);
  });
});
