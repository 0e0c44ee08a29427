/** `$SYS`: what a node says of itself to its clients. */
import assert from 'node:assert/strict';
import type { IPublishPacket } from 'mqtt-packet';
import { Load } from '../../src/node/client/sys-load.ts';
import { LOADS, type SysFacts, sysValues } from '../../src/node/client/sys-topics.ts';
import type { NodeCore } from '../../src/node/node.ts';
import { type Settings, TestNodes, type TestSocket } from './nodes.ts';

const VERSION = '$SYS/broker/version';
const UPTIME = '$SYS/broker/uptime';
const RECEIVED = '$SYS/broker/publish/messages/received';

const publishesOf = (socket: TestSocket) =>
  socket.take().filter((packet): packet is IPublishPacket => packet.cmd === 'publish');
const told = (socket: TestSocket) =>
  publishesOf(socket).map(({ topic, payload, qos, retain }) => [topic, `${payload}`, qos, retain]);

describe('$SYS', () => {
  let asked = 0;
  beforeEach(() => {
    asked = 0;
  });

  const factsOf = (core: NodeCore): SysFacts => {
    asked++;
    const { counters } = core;
    const uptimeSeconds = Math.floor((core.nowMs() - core.bootedMs) / 1000);
    const more = { version: '1.2.3', heapBytes: 5, shards: 16, underReplicated: 0 };
    return { counters, uptimeSeconds, ...more };
  };

  function nodes(mqtt: Settings['mqtt'] = {}, names = ['n1']) {
    const all = new TestNodes();
    const cores = names.map((name) => all.add(name, { mqtt }));
    for (const core of cores) core.clients.sys.host = { facts: () => factsOf(core) };
    const [core] = cores as [NodeCore, ...NodeCore[]];
    const client = (clientId: string, at = core, properties = {}) => {
      const socket = all.connect(at, { clientId, properties });
      all.advance(100);
      socket.take();
      return socket;
    };
    return { all, core, cores, client };
  }

  it('is there at once for who subscribes, retained and at QoS 0, and then as it changes', () => {
    const { all, client } = nodes();
    const socket = client('c');
    socket.subscribe([VERSION, UPTIME, RECEIVED], 2);
    const first = publishesOf(socket);
    assert.deepEqual(
      first.map(({ topic, qos, retain }) => [topic, qos, retain]),
      [
        [VERSION, 0, true],
        [UPTIME, 0, true],
        [RECEIVED, 0, true],
      ],
    );
    assert.equal(`${first[0]!.payload}`, 'shoal version 1.2.3');
    assert.match(`${first[1]!.payload}`, /^\d+ seconds$/);
    assert.equal(`${first[2]!.payload}`, '0');
    client('p').publish('elsewhere');
    all.advance(10_000);
    const changed = told(socket);
    assert.deepEqual(
      changed.map(([topic, , qos, retain]) => [topic, qos, retain]),
      [
        [UPTIME, 0, false],
        [RECEIVED, 0, false],
      ],
    );
    assert.equal(changed[1]![1], '1');
    all.advance(10_000);
    assert.deepEqual(
      told(socket).map(([topic]) => topic),
      [UPTIME],
    );
  });

  it('comes for a stored session as for others, and not again when the session goes on', () => {
    const { all, client, core } = nodes();
    const socket = client('c', core, { sessionExpiryInterval: 1000 });
    socket.subscribe([VERSION, UPTIME], 1);
    all.advance(500);
    assert.deepEqual(
      told(socket).map(([topic, , qos]) => [topic, qos]),
      [
        [VERSION, 0],
        [UPTIME, 0],
      ],
    );
    all.advance(10_000);
    assert.equal(told(socket)[0]?.[0], UPTIME);
    const again = all.connect(core, {
      clientId: 'c',
      clean: false,
      properties: { sessionExpiryInterval: 1000 },
    });
    all.advance(500);
    assert.deepEqual(told(again), []);
    all.advance(10_000);
    assert.equal(told(again)[0]?.[0], UPTIME);
  });

  it('is no part of # and +, nor of other topics [MQTT-4.7.2-1]', () => {
    const { all, client } = nodes();
    const socket = client('c');
    socket.subscribe(['#', '+/broker/version', '+/#', '$share/g/$SYS/#']);
    all.advance(20_000);
    assert.deepEqual(told(socket), []);
    assert.equal(asked, 0);
  });

  it('comes once to overlapping filters, with their identifiers', () => {
    const { client } = nodes();
    const socket = client('c');
    socket.send({
      cmd: 'subscribe',
      messageId: 7,
      subscriptions: [
        { topic: '$SYS/broker/+', qos: 0 },
        { topic: VERSION, qos: 0 },
      ],
      properties: { subscriptionIdentifier: 3 },
    });
    const versions = publishesOf(socket).filter(({ topic }) => topic === VERSION);
    assert.deepEqual(
      versions.map(({ properties }) => properties?.subscriptionIdentifier),
      [3],
    );
  });

  it('keeps to Retain Handling and to Retain As Published', () => {
    const { all, client } = nodes();
    const socket = client('c');
    socket.send({
      cmd: 'subscribe',
      messageId: 7,
      subscriptions: [{ topic: UPTIME, qos: 0, rh: 2, rap: true }],
    });
    assert.deepEqual(told(socket), []);
    // Nobody has had a value yet: all are new.
    all.advance(10_000);
    assert.deepEqual(
      told(socket).map(([topic, , , retain]) => [topic, retain]),
      [[UPTIME, true]],
    );
  });

  it('is of the node that the client is connected to', () => {
    const { all, cores, client } = nodes({}, ['n1', 'n2']);
    all.advance(3000);
    const [one, two] = cores as [NodeCore, NodeCore];
    const here = client('here', one);
    const there = client('there', two);
    for (const socket of [here, there]) socket.subscribe([RECEIVED]);
    all.advance(500);
    for (const socket of [here, there]) assert.equal(told(socket)[0]?.[1], '0');
    client('p', one).publish('t');
    all.advance(10_000);
    assert.deepEqual(
      told(here).map(([topic, value]) => [topic, value]),
      [[RECEIVED, '1']],
    );
    assert.deepEqual(told(there), []);
  });

  it('is looked at only while somebody subscribes', () => {
    const { all, client } = nodes();
    const socket = client('c');
    all.advance(30_000);
    assert.equal(asked, 0);
    socket.subscribe([VERSION]);
    assert.equal(asked, 1);
    client('d').subscribe([VERSION]);
    assert.equal(asked, 1, 'the values of this interval do');
    all.advance(10_000);
    assert.equal(asked, 2);
    socket.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: [VERSION] });
    all.advance(10_000);
    assert.equal(asked, 3, 'the other one subscribes');
    client('d');
    all.advance(30_000);
    assert.equal(asked, 3, 'nobody does');
  });

  it('may not be published to: 0x87, and nothing of it is delivered', () => {
    const { client } = nodes();
    const socket = client('c');
    socket.subscribe(['$SYS/mine']);
    socket.take();
    socket.publish('$SYS/mine', { qos: 1, id: 5 });
    socket.publish('$SYS/mine');
    assert.deepEqual(
      socket.take().map((p) => [p.cmd, 'reasonCode' in p ? p.reasonCode : undefined]),
      [['puback', 0x87]],
    );
    assert.equal(socket.closed, false);
  });

  it('has nothing with sysIntervalSeconds 0', () => {
    const { all, client } = nodes({ sysIntervalSeconds: 0 });
    const socket = client('c');
    socket.subscribe(['$SYS/#']);
    all.advance(60_000);
    assert.deepEqual(told(socket), []);
    assert.equal(asked, 0);
  });

  it('has names that mosquitto has, each once and a valid Topic Name', () => {
    const { core } = nodes();
    const loads = new Map(Object.keys(LOADS).map((name) => [name, new Load()]));
    const topics = [...sysValues(factsOf(core), loads)].map(([topic]) => topic);
    assert.equal(new Set(topics).size, topics.length);
    for (const name of [
      'clients/total',
      'clients/maximum',
      'load/messages/received/1min',
      'load/connections/15min',
      'load/sockets/5min',
      'retained messages/count',
      'store/messages/bytes',
      'publish/bytes/sent',
      'heap/current',
    ])
      assert.ok(topics.includes(`$SYS/broker/${name}`), name);
    assert.ok(topics.includes('$SYS/cluster/shards/without_leader'));
  });

  it('averages loads per minute: near the rate when it lasts, and falling when it ends', () => {
    const load = new Load();
    let count = 0;
    for (; count < 12_000; count += 20) load.sample(count, 10_000);
    for (const average of load.perMinute) assert.ok(Math.abs(average - 120) < 0.5, `${average}`);
    for (let i = 0; i < 6; i++) load.sample(count - 20, 10_000);
    const [one, five] = load.perMinute as [number, number];
    assert.ok(Math.abs(one - 120 / Math.E) < 0.5, `${one}`);
    assert.ok(Math.abs(five - 120 * Math.exp(-1 / 5)) < 0.5, `${five}`);
  });
});
