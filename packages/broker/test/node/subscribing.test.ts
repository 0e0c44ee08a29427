/** SUBSCRIBE and UNSUBSCRIBE with many filters: some in each turn, in order with what comes behind. */
import assert from 'node:assert/strict';
import mqttPacket, { type Packet } from 'mqtt-packet';
import type { NodeCore } from '../../src/node/node.ts';
import { shardOf } from '../../src/placement/hash.ts';
import { TestNodes, type TestSocket } from './nodes.ts';

const MANY = 5000;
const filters = Array.from({ length: MANY }, (_, i) => `many/+/${i}`);
const PERSISTENT = { clean: false, properties: { sessionExpiryInterval: 600 } };

/** The most subscriptions that come or go in one call into the node. */
function mostAtOnce(core: NodeCore, socket: TestSocket): () => number {
  let now = 0;
  let most = 0;
  const { live } = core;
  for (const method of ['add', 'remove'] as const) {
    const real = live[method];
    live[method] = (s) => {
      most = Math.max(most, ++now);
      real.call(live, s);
    };
  }
  const flush = core.flush.bind(core);
  core.flush = () => {
    now = 0;
    flush();
  };
  const onData = socket.handler.onData.bind(socket.handler);
  socket.handler.onData = (...args) => {
    now = 0;
    onData(...args);
  };
  return () => most;
}

function sendTogether(nodes: TestNodes, socket: TestSocket, packets: readonly Packet[]): void {
  const bytes = Buffer.concat(packets.map((p) => mqttPacket.generate(p, { protocolVersion: 5 })));
  socket.handler.onData(bytes, 0, bytes.length);
  nodes.advance(500);
}

const subscribe = (messageId: number, topics: readonly string[]) =>
  ({
    cmd: 'subscribe',
    messageId,
    subscriptions: topics.map((topic) => ({ topic, qos: 1 })),
  }) as Packet;
const unsubscribe = (messageId: number, topics: readonly string[]) =>
  ({ cmd: 'unsubscribe', messageId, unsubscriptions: [...topics] }) as Packet;

describe('a packet with many filters', () => {
  for (const [kind, options] of [
    ['live', {}],
    ['persistent', PERSISTENT],
  ] as const) {
    it(`is taken in slices, and what comes behind it waits: ${kind} session`, () => {
      const nodes = new TestNodes();
      const core = nodes.add('n1');
      const other = nodes.add('n2');
      const socket = nodes.connect(core, { clientId: 'c', ...options });
      nodes.advance(100);
      const most = mostAtOnce(core, socket);
      socket.take();
      sendTogether(nodes, socket, [
        subscribe(1, filters),
        unsubscribe(2, filters.slice(10)),
        subscribe(3, ['a']),
        { cmd: 'pingreq' },
      ]);
      socket.publish('many/x/3', { qos: 1, id: 4 }).publish('many/x/10', { qos: 1, id: 5 });
      nodes.advance(100);
      const packets = socket.take();
      const answers = packets.flatMap((p) =>
        p.cmd === 'suback' || p.cmd === 'unsuback'
          ? [`${p.cmd} ${p.messageId} ${p.granted.length}`]
          : [],
      );
      // A SUBACK waits for other nodes, an UNSUBACK does not.
      assert.deepEqual(answers.sort(), ['suback 1 5000', 'suback 3 1', 'unsuback 2 4990']);
      const got = packets.flatMap((p) => (p.cmd === 'publish' ? [p.topic] : []));
      assert.deepEqual(got, ['many/x/3']);
      assert.equal(packets.filter((p) => p.cmd === 'pingresp').length, 1);
      assert.ok(most() > 100 && most() <= 1000, `${most()} at once`);
      assert.deepEqual(other.routes.match('many/x/3').nodes.length, kind === 'live' ? 1 : 0);
      // The end of the connection, too.
      socket.handler.onClosed();
      nodes.advance(500);
      assert.ok(most() <= 1000);
      assert.deepEqual(other.routes.match('many/x/3').nodes, []);
    });
  }

  it('is no better than as many packets: some of those are taken in a turn, and none is lost', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    const socket = nodes.connect(core, { clientId: 'c' });
    nodes.advance(100);
    const most = mostAtOnce(core, socket);
    socket.take();
    const packets = Array.from({ length: 1000 }, (_, i) => subscribe(i + 1, [`one/+/${i}`]));
    sendTogether(nodes, socket, [...packets, { cmd: 'pingreq' }]);
    const answers = socket.take();
    assert.deepEqual(
      answers.map((p) => (p.cmd === 'suback' ? p.messageId : p.cmd)),
      [...packets.map((_, i) => i + 1), 'pingresp'],
    );
    assert.ok(most() > 10 && most() <= 200, `${most()} at once`);
  });

  it('counts although its client is gone before it is taken', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    const socket = nodes.connect(core, { clientId: 'c', ...PERSISTENT });
    nodes.advance(100);
    const bytes = mqttPacket.generate(subscribe(1, filters), { protocolVersion: 5 });
    socket.handler.onData(bytes, 0, bytes.length);
    socket.handler.onClosed();
    nodes.advance(1000);
    const publisher = nodes.connect(core, { clientId: 'p' });
    publisher.publish('many/x/4999', { qos: 1 });
    nodes.advance(100);
    const again = nodes.connect(core, { clientId: 'c', ...PERSISTENT });
    nodes.advance(100);
    const got = again.take().flatMap((p) => (p.cmd === 'publish' ? [p.topic] : []));
    assert.deepEqual(got, ['many/x/4999']);
  });

  it('of one client after that of another, so that each is answered as soon as can be', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    const order: string[] = [];
    const sockets = ['a', 'b', 'c'].map((clientId) => {
      const socket = nodes.connect(core, { clientId });
      const write = socket.write.bind(socket);
      socket.write = (bytes) => {
        if (bytes[0] === 0x90) order.push(clientId);
        write(bytes);
      };
      return socket;
    });
    const bytes = mqttPacket.generate(subscribe(1, filters), { protocolVersion: 5 });
    for (const socket of sockets) socket.handler.onData(bytes, 0, bytes.length);
    nodes.advance(500);
    assert.deepEqual(order, ['a', 'b', 'c']);
  });
});

describe('a session with many filters that its client comes back to', () => {
  const connect = {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    keepalive: 0,
    clientId: 'c',
    ...PERSISTENT,
  } as Packet;

  /** Two nodes, and a session that the second holds no connection of any more. */
  function kept(): { nodes: TestNodes; core: NodeCore; other: NodeCore } {
    const nodes = new TestNodes();
    const [core, other] = [nodes.add('n1'), nodes.add('n2')];
    const socket = nodes.connect(core, { clientId: 'c', ...PERSISTENT });
    sendTogether(nodes, socket, [subscribe(1, filters)]);
    socket.send({ cmd: 'disconnect' });
    nodes.advance(1000);
    return { nodes, core, other };
  }

  it('is restored in slices, and what the client sends behind CONNECT comes after', () => {
    const { nodes, core } = kept();
    const socket = nodes.accept(core);
    const most = mostAtOnce(core, socket);
    sendTogether(nodes, socket, [connect, unsubscribe(2, filters.slice(10)), { cmd: 'pingreq' }]);
    nodes.advance(500);
    const [connack, ...answers] = socket.take();
    assert.equal(connack?.cmd === 'connack' && connack.sessionPresent, true);
    assert.deepEqual(answers.map((p) => p.cmd).sort(), ['pingresp', 'unsuback']);
    assert.ok(most() > 100 && most() <= 1000, `${most()} at once`);
    // QoS 0 comes by the subscriptions of the connection.
    const publisher = nodes.connect(core, { clientId: 'p' });
    publisher.publish('many/x/9').publish('many/x/10');
    const got = socket.take().flatMap((p) => (p.cmd === 'publish' ? [p.topic] : []));
    assert.deepEqual(got, ['many/x/9']);
  });

  it('leaves nothing behind when the client is gone before that, and its Will is sent', () => {
    const { nodes, core, other } = kept();
    const watcher = nodes.connect(core, { clientId: 'w' }).subscribe(['will']);
    const before = core.counters.filterBytes;
    watcher.take();
    const will = { topic: 'will', payload: Buffer.from('x'), qos: 1, retain: false };
    const socket = nodes.accept(core).arrivePacket({ ...connect, will } as Packet);
    const flush = core.flush.bind(core);
    let left = -1;
    core.flush = () => {
      if (socket.packets.length > 0 && !socket.closed) {
        left = core.counters.filterBytes - before;
        // Long after its CONNECT, and it has its CONNACK.
        nodes.nowMs += 1000;
        socket.end();
      }
      flush();
    };
    nodes.settle();
    nodes.advance(2000);
    assert.ok(left > 0 && left < MANY * 'many/+/'.length, `${left} bytes were restored`);
    assert.equal(core.counters.filterBytes, before);
    assert.deepEqual(other.routes.match('many/x/9').zeroNodes, []);
    assert.ok(watcher.take().some((p) => p.cmd === 'publish' && p.topic === 'will'));
  });
});

describe('SUBSCRIBE of a stored session whose shard has no leader in reach', () => {
  const CLIENT = { clientId: 'c0', ...PERSISTENT };

  function cutOff() {
    const nodes = new TestNodes();
    const [n1, n2] = [nodes.add('n1'), nodes.add('n2')];
    nodes.advance(3000);
    const ids = Array.from({ length: 100 }, (_, i) => `c${i}`);
    const led = (id: string) => n1.views.leader(shardOf(id, n1.shardCount)) === 'n2';
    const socket = nodes.connect(n1, { ...CLIENT, clientId: ids.find(led)! });
    nodes.advance(200);
    socket.subscribe(['old']);
    nodes.advance(200);
    socket.take();
    nodes.cut('n1', 'n2');
    nodes.membersAre({ n2: 'suspect' });
    return { nodes, n1, n2, socket };
  }

  const codes = (socket: TestSocket) =>
    socket.take().flatMap((p) => (p.cmd === 'suback' ? p.granted : []));

  it('is refused after 10 s with 0x80, and leaves nothing behind', () => {
    const { nodes, n1, socket } = cutOff();
    socket.send(subscribe(7, ['new', 'old']));
    nodes.advance(9900);
    assert.deepEqual(codes(socket), []);
    nodes.advance(200);
    assert.deepEqual(codes(socket), [0x80, 0x80]);
    nodes.membersAre({});
    nodes.link('n1', 'n2');
    nodes.advance(3000);
    assert.equal(socket.closed, false);
    const publisher = nodes.connect(n1, { clientId: 'p' });
    nodes.advance(200);
    publisher.publish('new', { qos: 1, id: 1 });
    publisher.publish('old', { qos: 1, id: 2 });
    nodes.advance(200);
    const got = socket.take().flatMap((p) => (p.cmd === 'publish' ? p.topic : []));
    assert.deepEqual(got, ['old']);
  });

  it('is answered as ever when the leader comes in time', () => {
    const { nodes, socket } = cutOff();
    socket.send(subscribe(7, ['new']));
    nodes.advance(5000);
    nodes.membersAre({});
    nodes.link('n1', 'n2');
    nodes.advance(10_000);
    assert.deepEqual(codes(socket), [1]);
  });
});
