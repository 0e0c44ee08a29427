import assert from 'node:assert/strict';
import { configSections } from '../../src/config-schema.ts';
import { Backend } from '../../src/edge/admin/backend.ts';
import type { NodeCore } from '../../src/node/node.ts';
import { type Settings, TestNodes } from './nodes.ts';

function pair(settings: Settings = {}) {
  const nodes = new TestNodes();
  const n1 = nodes.add('n1', settings);
  const n2 = nodes.add('n2', settings);
  assert.ok(n1.ready && n2.ready);
  return { nodes, n1, n2 };
}

/** Time until it is so, in ticks of 20 ms. */
function msUntil(nodes: TestNodes, holds: () => boolean): number {
  const startMs = nodes.nowMs;
  while (!holds()) {
    assert.ok(nodes.nowMs - startMs < 60_000, 'not within a minute');
    nodes.advance(20);
  }
  return nodes.nowMs - startMs;
}

describe('timings of the configuration', () => {
  it('heartbeatMs: frames of an idle node', () => {
    for (const heartbeatMs of [40, 200]) {
      const { nodes, n1 } = pair({ timings: { heartbeatMs, silenceMs: 1000 } });
      const before = n1.counters.linkFramesSent;
      nodes.advance(4000);
      // A heartbeat each, and an answer to each of the other's.
      const sent = n1.counters.linkFramesSent - before;
      const most = (2 * 4000) / heartbeatMs;
      assert.ok(sent >= most / 2 && sent <= most + 2, `${sent} frames`);
    }
  });

  it('slowReaderMs: how long publishers wait for a client that does not read', () => {
    for (const slowReaderMs of [200, 2000]) {
      const { nodes, n1 } = pair({
        timings: { slowReaderMs },
        limits: { inflightMessages: 1, liveQueueMessages: 0 },
      });
      const reader = nodes.connect(n1, { clientId: 'r' });
      const publisher = nodes.connect(n1, { clientId: 'p' });
      nodes.advance(200);
      reader.subscribe(['t']);
      nodes.advance(200);
      for (const id of [1, 2]) publisher.publish('t', { qos: 1, id });
      const ms = msUntil(nodes, () => reader.closed);
      assert.ok(ms >= slowReaderMs && ms <= slowReaderMs + 40, `${ms} ms`);
    }
  });

  it('silenceMs: a route grant lasts four times as long, a SUBACK waits a tenth longer', () => {
    for (const silenceMs of [400, 2000]) {
      const { nodes, n1, n2 } = pair({ timings: { silenceMs } });
      const socket = nodes.connect(n1, { clientId: 'c' });
      nodes.advance(200);
      socket.take();
      nodes.cut('n1', 'n2');
      // Membership does not reach it either: n1 needs no grant of it.
      nodes.membersAre({ n2: 'suspect' });
      let acknowledged = false;
      n1.clients.port.liveBarrier(() => {
        acknowledged = true;
      });
      const lapsedMs = msUntil(nodes, () => !n2.routable);
      assert.ok(lapsedMs > 4 * silenceMs - 150 && lapsedMs <= 4 * silenceMs, `${lapsedMs} ms`);
      assert.equal(acknowledged, false);
      const laterMs = msUntil(nodes, () => acknowledged);
      assert.ok(laterMs <= 0.4 * silenceMs + 150, `${laterMs} ms`);
    }
  });

  it('silenceMs: is the founder’s on every node, and heartbeats come often enough for it', () => {
    const nodes = new TestNodes();
    nodes.add('n1', { timings: { silenceMs: 300 } });
    const n2 = nodes.add('n2', { timings: { silenceMs: 3000, heartbeatMs: 900 } });
    nodes.advance(3000);
    assert.equal(n2.cluster.silenceMs, 300);
    assert.ok(n2.ready);
    const { linkResets } = n2.counters;
    nodes.advance(5000);
    assert.equal(n2.counters.linkResets, linkResets);
    assert.ok(n2.routable);
  });

  it('electionStaggerMs: copies of a dead leader’s shards stand one after another', () => {
    const elections = (electionStaggerMs: number) => {
      const nodes = new TestNodes();
      const settings = { replicas: 3, timings: { electionStaggerMs } };
      const [n1, ...others] = ['n1', 'n2', 'n3'].map((name) => nodes.add(name, settings));
      nodes.advance(10_000);
      const orphans = n1!.shards.led.size;
      const sum = (of: (core: NodeCore) => number) => others.reduce((n, core) => n + of(core), 0);
      const before = sum(({ counters }) => counters.elections);
      nodes.latencyMs = 240;
      nodes.advance(1000);
      nodes.kill('n1');
      msUntil(nodes, () => sum(({ shards }) => shards.led.size) === 16);
      return (sum(({ counters }) => counters.elections) - before) / orphans;
    };
    const [apart, together] = [elections(1000), elections(10)];
    assert.ok(apart < together, `${apart} and ${together} elections for each shard`);
  });

  it('replaceVoterAfterMs: when a dead member’s vote may pass on', () => {
    const { nodes, n1, n2 } = pair({ timings: { replaceVoterAfterMs: 5000 } });
    nodes.cut('n1', 'n2');
    nodes.membersAre({ n2: 'faulty' });
    const id = n2.shards.self;
    assert.equal(n1.shards.removable(id), 'no');
    assert.equal(
      msUntil(nodes, () => n1.shards.removable(id) === 'replace'),
      5000,
    );
  });

  it('connectTimeoutMs: a client that has not sent all of CONNECT is closed', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1', { timings: { connectTimeoutMs: 3000 } });
    const socket = nodes.accept(core);
    nodes.advance(2000);
    socket.handler.onData(Uint8Array.of(0x10, 0x20, 0), 0, 3);
    nodes.advance(1000);
    socket.handler.onSecond(nodes.nowMs);
    assert.equal(socket.closed, false);
    nodes.advance(20);
    socket.handler.onSecond(nodes.nowMs);
    assert.equal(socket.closed, true);
    assert.equal(core.counters.connectsRefused, 1);
  });

  it('willNodeGraceMs: how long the Will of a client that a stopping node sent away waits', () => {
    for (const willNodeGraceMs of [200, 3000]) {
      const nodes = new TestNodes();
      const core = nodes.add('n1', { timings: { willNodeGraceMs } });
      const will = { topic: 'w', payload: Buffer.from('w'), qos: 1, retain: true } as const;
      nodes.connect(core, { clientId: 'c', will });
      core.disconnectAll(0x8b);
      const tookMs = msUntil(nodes, () => core.counters.willsFired > 0);
      // Deadlines are looked at four times a second.
      assert.ok(tookMs >= willNodeGraceMs && tookMs <= willNodeGraceMs + 520, `${tookMs}`);
    }
  });

  it('are the keys above; handshakeTimeoutMs is the listeners’, stopTimeoutMs the process’s', () => {
    const timings = configSections().find(({ name }) => name === 'timings');
    assert.deepEqual(
      timings?.keys.map(({ key }) => key.replace('timings.', '')),
      [
        'heartbeatMs',
        'silenceMs',
        'electionStaggerMs',
        'replaceVoterAfterMs',
        'handshakeTimeoutMs',
        'connectTimeoutMs',
        'slowReaderMs',
        'willNodeGraceMs',
        'stopTimeoutMs',
      ],
    );
  });
});

describe('readiness', () => {
  const backendOf = (core: NodeCore) => {
    const nothing = async () => {};
    const forceLeave = async () => false;
    const keyring = (): never => assert.fail('not asked for');
    const membership = { join: nothing, leave: () => {}, forceLeave, reportEnd: () => {}, keyring };
    return new Backend(core, { dataDir: '', ...membership });
  };

  it('ends while publishes have waited for 5 s, and clients stay and still come', () => {
    const { nodes, n2 } = pair();
    const backend = backendOf(n2);
    const there = nodes.connect(n2, { clientId: 'there' });
    nodes.advance(200);
    assert.deepEqual(backend.readiness(), { ready: true, reasons: [] });
    assert.equal(backend.counters().ready, 1);
    nodes.cut('n1', 'n2');
    nodes.advance(6500);
    assert.equal(backend.readiness().ready, true);
    nodes.advance(1000);
    const { ready, reasons } = backend.readiness();
    assert.equal(ready, false);
    const reason = reasons.find((r) => r.reason === 'publishes-wait');
    assert.match(reason?.message ?? '', /waited for 5 s: no word from n1/);
    assert.equal(backend.counters().ready, 0);
    const comes = nodes.connect(n2, { clientId: 'comes' });
    assert.deepEqual([there.closed, comes.closed], [false, false]);
    assert.deepEqual(
      comes.take().filter(({ cmd }) => cmd !== 'connack'),
      [],
    );
    nodes.link('n1', 'n2');
    nodes.advance(4000);
    assert.deepEqual(backend.readiness(), { ready: true, reasons: [] });
    assert.equal(comes.closed, false);
    backend.close();
  });
});
