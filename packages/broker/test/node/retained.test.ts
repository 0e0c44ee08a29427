/** Retained messages at SUBSCRIBE: all of them, after the SUBACK, at the client's pace, none outdated. */
import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import type { NodeCore } from '../../src/node/node.ts';
import { type Settings, TestNodes, type TestSocket } from './nodes.ts';

const SUBACK = 'suback';

function topicsOf(packets: readonly Packet[]): string[] {
  return packets.flatMap((p) => (p.cmd === 'publish' && p.retain ? [p.topic] : []));
}

function cluster(size: number, settings: Settings = {}): { nodes: TestNodes; cores: NodeCore[] } {
  const nodes = new TestNodes();
  const cores = Array.from({ length: size }, (_, i) =>
    nodes.add(`n${i + 1}`, { replicas: 3, ...settings }),
  );
  nodes.advance(3000);
  return { nodes, cores };
}

function retain(nodes: TestNodes, core: NodeCore, topics: readonly string[]): TestSocket {
  const publisher = nodes.connect(core, { clientId: `publisher-${topics[0]}` });
  topics.forEach((topic, i) => {
    publisher.publish(topic, { qos: 1, retain: true, id: 1 + (i % 60_000) });
  });
  nodes.advance(200);
  assert.equal(publisher.take().filter((p) => p.cmd === 'puback').length, topics.length);
  return publisher;
}

const names = (prefix: string, n: number) =>
  Array.from({ length: n }, (_, i) => `${prefix}/${String(i).padStart(5, '0')}`);
const PERSISTENT = { clean: false, properties: { sessionExpiryInterval: 600 } };

/** Acknowledges what came, as a client does that reads. @returns the retained topics, in order */
function readAll(nodes: TestNodes, socket: TestSocket, rounds: number): string[] {
  const topics: string[] = [];
  for (let i = 0; i < rounds; i++) {
    const packets = socket.take();
    topics.push(...topicsOf(packets));
    for (const p of packets)
      if (p.cmd === 'publish' && p.qos === 1)
        socket.send({ cmd: 'puback', messageId: p.messageId! });
    nodes.advance(20);
  }
  return topics;
}

describe('retained messages of a SUBSCRIBE', () => {
  for (const kind of ['live', 'persistent'] as const) {
    for (const qos of [0, 1] as const) {
      it(`come all, once, behind the SUBACK: ${kind} session, QoS ${qos}`, () => {
        // Fewer may wait than there are: what does not fit is read later, not dropped.
        const limits = { liveQueueMessages: 10, sessionQueueMessages: 20, inflightMessages: 8 };
        const { nodes, cores } = cluster(3, { limits });
        const wanted = names('t', 600);
        retain(nodes, cores[0]!, [...wanted, ...names('u', 50)]);
        const options = kind === 'live' ? {} : PERSISTENT;
        const socket = nodes.connect(cores[1]!, { clientId: 'reader', ...options });
        nodes.advance(100);
        socket.take();
        socket.subscribe(['t/#'], qos);
        nodes.advance(20);
        assert.equal(socket.packets[0]?.cmd, SUBACK);
        assert.deepEqual(readAll(nodes, socket, 400).sort(), wanted);
        assert.equal(cores[1]!.counters.messagesDropped, 0);
        for (const core of cores)
          assert.equal(core.queries.open + core.queries.heldBytes + core.watched.count, 0);
      });
    }
  }

  it('come all where the session is led at the gateway itself', () => {
    const { nodes, cores } = cluster(1);
    const wanted = names('t', 300);
    const publisher = nodes.connect(cores[0]!, { clientId: 'publisher' });
    const large = { cmd: 'publish', payload: 'x'.repeat(1000), qos: 1, dup: false } as const;
    wanted.forEach((topic, i) => {
      publisher.send({ ...large, topic, retain: true, messageId: i + 1 });
    });
    nodes.advance(200);
    const socket = nodes.connect(cores[0]!, { clientId: 'reader', ...PERSISTENT });
    nodes.advance(100);
    socket.subscribe(['t/#'], 0);
    nodes.advance(500);
    assert.deepEqual(topicsOf(socket.take()).sort(), wanted);
  });

  it('wait for a client whose socket is full, and end with it', () => {
    const { nodes, cores } = cluster(3);
    const wanted = names('t', 3000);
    retain(nodes, cores[0]!, wanted);
    const socket = nodes.connect(cores[1]!, { clientId: 'reader' });
    socket.pendingBytes = 10_000_000;
    socket.subscribe(['t/#'], 0);
    nodes.advance(2000);
    assert.deepEqual(topicsOf(socket.take()), []);
    socket.pendingBytes = 0;
    socket.handler.onDrain();
    nodes.advance(200);
    assert.equal(topicsOf(socket.take()).length, 3000);
    socket.pendingBytes = 10_000_000;
    socket.subscribe(['+/+'], 0);
    nodes.advance(200);
    assert.ok(cores[1]!.queries.open > 0);
    socket.handler.onClosed();
    nodes.advance(100);
    for (const core of cores)
      assert.equal(core.queries.open + core.queries.heldBytes + core.watched.count, 0);
  });

  it('are asked for once at each node, however many filters, shards and turns', () => {
    const { nodes, cores } = cluster(3);
    retain(nodes, cores[0]!, names('t', 20));
    const socket = nodes.connect(cores[1]!, { clientId: 'reader' });
    nodes.advance(100);
    let asked = 0;
    for (const core of cores) {
      const { onQuery } = core.queries;
      core.queries.onQuery = (...args) => {
        asked++;
        onQuery.apply(core.queries, args);
      };
    }
    socket.subscribe(names('+', 1000).concat('t/#', names('t', 10)), 0);
    nodes.advance(2000);
    assert.equal(topicsOf(socket.take()).length, 20);
    assert.equal(asked, 2);
    // An exact filter asks only its topic's leader.
    asked = 0;
    for (const topic of names('t', 16)) socket.subscribe([topic], 0);
    nodes.advance(1000);
    assert.equal(topicsOf(socket.take()).length, 16);
    assert.ok(asked < 16, `${asked} questions`);
  });

  it('are not sent behind a newer live message of their topic', () => {
    const { nodes, cores } = cluster(3);
    const wanted = names('t', 2000);
    const publisher = retain(nodes, cores[0]!, wanted);
    const socket = nodes.connect(cores[1]!, { clientId: 'reader' });
    socket.subscribe(['x/#'], 0);
    nodes.advance(100);
    socket.take();
    socket.pendingBytes = 10_000_000;
    socket.subscribe(['t/#'], 0);
    nodes.advance(200);
    socket.pendingBytes = 1_000_000;
    const newer = wanted.slice(-20);
    for (const topic of newer) publisher.publish(topic, { qos: 1, retain: true, id: 7 });
    nodes.advance(200);
    socket.pendingBytes = 0;
    socket.handler.onDrain();
    nodes.advance(1000);
    const packets = socket.take();
    const live = packets.flatMap((p) => (p.cmd === 'publish' && !p.retain ? [p.topic] : []));
    assert.deepEqual(live, newer);
    assert.deepEqual(topicsOf(packets).sort(), wanted.slice(0, -20));
    for (const core of cores) assert.equal(core.watched.count, 0);
  });

  it('of a persistent session go on with its next connection', () => {
    const limits = { inflightMessages: 8 };
    const { nodes, cores } = cluster(3, { limits });
    const wanted = names('t', 300);
    retain(nodes, cores[0]!, wanted);
    const first = nodes.connect(cores[1]!, { clientId: 'reader', ...PERSISTENT });
    nodes.advance(100);
    first.subscribe(['t/#', 'none'], 1);
    const before = readAll(nodes, first, 5);
    assert.ok(before.length < 300);
    first.handler.onClosed();
    nodes.advance(500);
    const second = nodes.connect(cores[2]!, { clientId: 'reader', ...PERSISTENT });
    nodes.advance(20);
    const after = readAll(nodes, second, 300);
    assert.deepEqual([...new Set([...before, ...after])].sort(), wanted);
    for (const core of cores) assert.equal(core.watched.count, 0);
    // Only what was under way comes again.
    assert.ok(before.length + after.length <= 300 + 2 * 8, `${before.length} + ${after.length}`);
  });

  it('go on at other nodes when a leader dies while they are read', () => {
    for (const options of [{}, PERSISTENT]) {
      const { nodes, cores } = cluster(3);
      const wanted = names('t', 3000);
      retain(nodes, cores[0]!, wanted);
      const socket = nodes.connect(cores[0]!, { clientId: 'reader', ...options });
      nodes.advance(100);
      socket.pendingBytes = 10_000_000;
      socket.subscribe(['t/#'], 0);
      nodes.advance(100);
      nodes.kill('n3');
      nodes.advance(100);
      socket.pendingBytes = 0;
      socket.handler.onDrain();
      nodes.membersAre({ n3: 'faulty' });
      nodes.advance(5000);
      assert.deepEqual([...new Set(topicsOf(socket.take()))].sort(), wanted);
    }
  });
});
