import assert from 'node:assert/strict';
import type { IPublishPacket, Packet } from 'mqtt-packet';
import type { NodeCore } from '../../src/node/node.ts';
import { type Settings, TestNodes, type TestSocket } from './nodes.ts';

const publishesOf = (packets: readonly Packet[]) =>
  packets.filter((packet): packet is IPublishPacket => packet.cmd === 'publish');
const cmdsOf = (packets: readonly Packet[]) => packets.map(({ cmd }) => cmd);

const TIGHT: Settings = { limits: { inflightMessages: 1, liveQueueMessages: 2 } };

function cluster(names: readonly string[], settings: Settings = TIGHT) {
  const nodes = new TestNodes();
  const cores = names.map((name) => nodes.add(name, settings));
  nodes.advance(1000);
  const client = (core: NodeCore, clientId: string, keepalive = 0): TestSocket => {
    const socket = nodes.connect(core, { clientId, keepalive });
    nodes.advance(200);
    socket.take();
    return socket;
  };
  const subscriber = (core: NodeCore, topic: string): TestSocket => {
    const socket = client(core, `sub-${topic}`).subscribe([topic]);
    nodes.advance(200);
    socket.take();
    return socket;
  };
  return { nodes, cores, client, subscriber };
}

/** Takes everything that comes and acknowledges it. @returns the Packet Identifiers */
function readAll(nodes: TestNodes, socket: TestSocket, count: number): number {
  let taken = 0;
  for (let turns = 0; turns < count * 2 && taken < count; turns++) {
    for (const { messageId = 0 } of publishesOf(socket.take())) {
      taken++;
      socket.send({ cmd: 'puback', messageId });
    }
    nodes.advance(20);
  }
  return taken;
}

for (const names of [['n1'], ['n1', 'n2']]) {
  describe(`a live subscriber that is behind, with ${names.length} node(s)`, () => {
    it('slows its publishers and loses nothing', () => {
      const { nodes, cores, client, subscriber } = cluster(names);
      const reader = subscriber(cores.at(-1)!, 't');
      const publisher = client(cores[0]!, 'p');
      for (let id = 1; id <= 5; id++) publisher.publish('t', { qos: 1, id });
      nodes.advance(40);
      // One under way, two below the mark: those are acknowledged, the others wait with the reader.
      assert.equal(cmdsOf(publisher.take()).length, 3);
      assert.equal(publisher.paused, true);
      assert.equal(readAll(nodes, reader, 5), 5);
      assert.deepEqual(cmdsOf(publisher.take()), ['puback', 'puback']);
      assert.equal(publisher.paused, false);
      assert.equal(cores.at(-1)!.counters.clientBytes, 0);
      assert.equal(cores[0]!.counters.publishBytes, 0);
    });

    it('is disconnected once its publishers have waited 500 ms, and they go on', () => {
      const { nodes, cores, client, subscriber } = cluster(names);
      const core = cores.at(-1)!;
      const reader = subscriber(core, 't');
      const publisher = client(cores[0]!, 'p');
      for (let id = 1; id <= 4; id++) publisher.publish('t', { qos: 1, id });
      nodes.advance(480);
      assert.equal(reader.closed, false);
      nodes.advance(60);
      assert.equal(reader.closed, true);
      const [, last] = reader.take();
      assert.deepEqual(
        [last?.cmd, last && 'reasonCode' in last && last.reasonCode],
        ['disconnect', 0x97],
      );
      assert.equal(core.counters.slowReaders, 1);
      nodes.advance(200);
      assert.equal(cmdsOf(publisher.take()).length, 4);
      assert.equal(publisher.paused, false);
      assert.equal(core.counters.clientBytes, 0);
    });

    it('is not disconnected while it reads, however slowly', () => {
      const { nodes, cores, client, subscriber } = cluster(names);
      const reader = subscriber(cores.at(-1)!, 't');
      const publisher = client(cores[0]!, 'p');
      for (let id = 1; id <= 12; id++) publisher.publish('t', { qos: 1, id });
      for (let n = 1; n <= 12; n++) {
        nodes.advance(400);
        const [message] = publishesOf(reader.take());
        assert.ok(message, `message ${n}`);
        reader.send({ cmd: 'puback', messageId: message.messageId! });
      }
      nodes.advance(200);
      assert.equal(reader.closed, false);
      assert.equal(cmdsOf(publisher.take()).length, 12);
    });
  });
}

describe('a live subscriber whose socket takes nothing', () => {
  it('makes QoS 1 wait instead of filling the socket, and the drain sends it', () => {
    const { nodes, cores, client, subscriber } = cluster(['n1'], {
      limits: { connectionBufferBytes: 20_000, inflightMessages: 100 },
    });
    const reader = subscriber(cores[0]!, 't');
    const publisher = client(cores[0]!, 'p');
    reader.pendingBytes = 20_001;
    publisher.publish('t', { qos: 1, id: 1 });
    assert.deepEqual(reader.take(), []);
    assert.ok(cores[0]!.counters.clientBytes > 0);
    reader.drain();
    assert.equal(publishesOf(reader.take()).length, 1);
    assert.equal(cores[0]!.counters.clientBytes, 0);
    nodes.advance(100);
    assert.equal(reader.closed, false);
  });

  it('has what waits before what comes, though its socket takes more again', () => {
    const { cores, client, subscriber } = cluster(['n1'], {
      limits: { connectionBufferBytes: 20_000, inflightMessages: 100 },
    });
    const reader = subscriber(cores[0]!, 't');
    const publisher = client(cores[0]!, 'p');
    reader.pendingBytes = 20_001;
    publisher.publish('t', { qos: 1, id: 1, payload: 'first' });
    // The kernel has taken it, and the socket's drain is on its way.
    reader.pendingBytes = 1;
    publisher.publish('t', { qos: 1, id: 2, payload: 'second' });
    assert.deepEqual(publishesOf(reader.take()), []);
    reader.drain();
    assert.deepEqual(
      publishesOf(reader.take()).map(({ payload }) => `${payload}`),
      ['first', 'second'],
    );
  });

  it('has its queue in order, too', () => {
    const { nodes, cores, client } = cluster(['n1'], {
      limits: { connectionBufferBytes: 20_000, inflightMessages: 100 },
    });
    const reader = nodes.connect(cores[0]!, {
      clientId: 'kept',
      clean: false,
      properties: { sessionExpiryInterval: 1000 },
    });
    nodes.advance(200);
    reader.subscribe(['t']);
    nodes.advance(200);
    reader.take();
    const publisher = client(cores[0]!, 'p');
    reader.pendingBytes = 20_001;
    publisher.publish('t', { qos: 1, id: 1, payload: 'first' });
    nodes.advance(100);
    reader.pendingBytes = 1;
    publisher.publish('t', { qos: 1, id: 2, payload: 'second' });
    nodes.advance(100);
    assert.deepEqual(publishesOf(reader.take()), []);
    reader.drain();
    nodes.advance(100);
    assert.deepEqual(
      publishesOf(reader.take()).map(({ payload }) => `${payload}`),
      ['first', 'second'],
    );
  });

  it('may have little when the clients of the node have much waiting together', () => {
    const { cores, client, subscriber } = cluster(['n1']);
    const core = cores[0]!;
    const reader = subscriber(core, 't');
    const publisher = client(core, 'p');
    reader.pendingBytes = 65_537;
    publisher.publish('t');
    assert.equal(publishesOf(reader.take()).length, 1);
    core.counters.clientBytes = core.limits.nodeBufferBytes + 1;
    publisher.publish('t');
    assert.deepEqual(reader.take(), []);
    assert.equal(core.counters.messagesDropped, 1);
  });

  it('reads when its socket takes bytes, though it acknowledges nothing yet', () => {
    const { nodes, cores, client, subscriber } = cluster(['n1']);
    const reader = subscriber(cores[0]!, 't');
    const publisher = client(cores[0]!, 'p');
    reader.pendingBytes = 5_000_000;
    for (let id = 1; id <= 4; id++) publisher.publish('t', { qos: 1, id });
    for (let n = 0; n < 10; n++) {
      reader.pendingBytes -= 10_000;
      nodes.advance(300);
    }
    assert.equal(reader.closed, false);
  });
});

describe('clients that publish to each other', () => {
  it('go on: whom publishers wait for is read', () => {
    const { nodes, cores, client } = cluster(['n1']);
    const [one, other] = ['one', 'other'].map((id) => client(cores[0]!, id));
    one!.subscribe(['to/one']);
    other!.subscribe(['to/other']);
    nodes.advance(200);
    for (let id = 1; id <= 8; id++) {
      one!.publish('to/other', { qos: 1, id });
      other!.publish('to/one', { qos: 1, id });
    }
    // The one that fell behind last was not read when the other did: now both are.
    assert.deepEqual([one!.paused, other!.paused], [false, false]);
    for (const socket of [one!, other!]) {
      const taken = () => socket.take().filter((packet) => packet.cmd === 'publish');
      for (let got = 0; got < 8; ) {
        for (const { messageId = 0 } of taken()) {
          got++;
          socket.send({ cmd: 'puback', messageId });
        }
        nodes.advance(20);
      }
      assert.equal(socket.closed, false);
    }
    nodes.advance(100);
    assert.equal(cores[0]!.counters.publishBytes, 0);
  });

  it('and to itself, one that publishes what it subscribes to', () => {
    const { nodes, cores, client } = cluster(['n1']);
    const socket = client(cores[0]!, 'echo').subscribe(['t']);
    nodes.advance(200);
    socket.take();
    for (let id = 1; id <= 8; id++) socket.publish('t', { qos: 1, id });
    assert.equal(socket.paused, false);
    assert.equal(readAll(nodes, socket, 8), 8);
  });
});

describe('a socket that is not read', () => {
  it('because its client does not take its answers, until it does', () => {
    const { nodes, cores, client } = cluster(['n1']);
    const socket = client(cores[0]!, 'c');
    const pings = Buffer.alloc(2 * 33_000);
    for (let i = 0; i < pings.length; i += 2) pings[i] = 0xc0;
    socket.pendingBytes = 1;
    socket.handler.onData(pings, 0, pings.length);
    nodes.settle();
    assert.equal(socket.paused, true);
    socket.drain();
    assert.equal(socket.paused, false);
    // A kernel that takes all at once stops no other connection for longer than the turn.
    socket.handler.onData(pings, 0, pings.length);
    assert.equal(socket.paused, true);
    nodes.settle();
    assert.equal(socket.paused, false);
  });

  it('because of what we have not answered is not silent [MQTT-3.1.2-22]', () => {
    const { nodes, cores, client } = cluster(['n1', 'n2'], { limits: { publishesInFlight: 1 } });
    const socket = client(cores[0]!, 'c', 2);
    nodes.cut('n1', 'n2');
    nodes.advance(3000);
    socket.publish('t', { qos: 1, id: 1 });
    assert.equal(socket.paused, true);
    for (let second = 0; second < 10; second++) {
      nodes.advance(1000);
      socket.handler.onSecond(nodes.nowMs);
    }
    assert.equal(socket.closed, false);
    nodes.link('n1', 'n2');
    nodes.advance(1000);
    assert.equal(socket.paused, false);
    // From here on its silence counts again.
    nodes.advance(1500);
    socket.handler.onSecond(nodes.nowMs);
    assert.equal(socket.closed, false);
    nodes.advance(2000);
    socket.handler.onSecond(nodes.nowMs);
    assert.equal(socket.closed, true);
  });

  it('because it takes no answers is silent unless it takes some', () => {
    const { nodes, cores, client } = cluster(['n1']);
    const socket = client(cores[0]!, 'c', 2);
    const pings = Buffer.alloc(2 * 33_000);
    for (let i = 0; i < pings.length; i += 2) pings[i] = 0xc0;
    socket.pendingBytes = 66_000;
    socket.handler.onData(pings, 0, pings.length);
    for (let second = 0; second < 10; second++) {
      socket.pendingBytes -= 1000;
      nodes.advance(1000);
      socket.handler.onSecond(nodes.nowMs);
    }
    assert.equal(socket.closed, false);
    for (let second = 0; second < 4; second++) {
      nodes.advance(1000);
      socket.handler.onSecond(nodes.nowMs);
    }
    assert.equal(socket.closed, true);
  });
});

describe('bytes of publishes under way', () => {
  it('of QoS 0 that are to be retained are bounded, whatever becomes of their shard', () => {
    const { nodes, cores, client } = cluster(['n1', 'n2']);
    const socket = client(cores[0]!, 'c');
    nodes.cut('n1', 'n2');
    const before = cores[0]!.router.outstanding;
    const payload = '.'.repeat(1_000_000);
    for (let k = 0; k < 60; k++) socket.publish(`t/${k}`, { retain: true, payload });
    const held = cores[0]!.router.outstanding - before;
    // About half of the topics are of shards that the other node leads: those wait.
    assert.ok(held > 5 && held <= 17, `${held} MB`);
  });

  it('are given back when their connection went before they could be routed', () => {
    const { nodes, cores, client } = cluster(['n1', 'n2']);
    const socket = client(cores[0]!, 'c');
    const kept = nodes.connect(cores[0]!, {
      clientId: 'kept',
      properties: { sessionExpiryInterval: 60 },
    });
    nodes.advance(200);
    nodes.cut('n1', 'n2');
    nodes.advance(3000);
    socket.publish('t', { qos: 1, id: 1 });
    kept.publish('t', { qos: 2, id: 1 });
    assert.ok(cores[0]!.counters.publishBytes > 0);
    socket.handler.onClosed();
    kept.handler.onClosed();
    nodes.link('n1', 'n2');
    nodes.advance(1000);
    assert.equal(cores[0]!.counters.publishBytes, 0);
  });
});
