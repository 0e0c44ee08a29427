/** What waits for Shared Subscriptions is bounded, whatever members and publishers do. */
import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import { LongHeld } from '../../src/node/lead/long-held.ts';
import type { TestSocket } from './nodes.ts';
import { all, Cluster, STORED, upTo } from './sharing-cluster.ts';

/** Reason Codes of the PUBACKs that have come. */
function pubacks(publisher: TestSocket): number[] {
  return publisher.take().flatMap((p) => (p.cmd === 'puback' ? [p.reasonCode ?? 0] : []));
}

/** What the only member, back at another node, is given. */
function whatIsLeft(c: Cluster): string[] {
  const back = c.worker(1, 'w', 1, STORED, '');
  c.settle(1000);
  return all(back);
}

describe('what waits for shared subscriptions', () => {
  it('refuses more than a group may have waiting, and says so', () => {
    const c = new Cluster({ replicas: 3, limits: { sessionQueueMessages: 3 } });
    c.worker(0, 'w', 1, STORED).socket.end();
    const p = c.publisher(2);
    p.take();
    c.publish(p, upTo(5));
    c.settle();
    assert.deepEqual(pubacks(p), [0, 0, 0, 0x97, 0x97]);
    assert.deepEqual(whatIsLeft(c), upTo(3));
  });

  it('makes room for new messages where expired ones fill the queue of a group', () => {
    const c = new Cluster({ replicas: 3, limits: { sessionQueueMessages: 4 } });
    c.worker(0, 'w', 1, STORED).socket.end();
    const p = c.publisher(2);
    p.take();
    c.publish(p, ['0']);
    for (const id of [101, 102, 103])
      p.publish('t/a', { qos: 1, id, payload: 'old', properties: { messageExpiryInterval: 1 } });
    c.settle(2000);
    c.publish(p, ['1', '2', '3', '4']);
    c.settle();
    assert.deepEqual(pubacks(p), [0, 0, 0, 0, 0, 0, 0, 0x97]);
    assert.deepEqual(whatIsLeft(c), upTo(4));
    const queued = c.cores.map(({ counters }) => counters.queuedBytes);
    assert.deepEqual(queued, [0, 0, 0]);
  });

  for (const [what, sizes] of [
    ['together than is read from disk at once', Array(36).fill(500_000)],
    ['alone than what is kept of it', [8_500_000, ...Array(10).fill(500_000)]],
  ] as const)
    it(`gives what is larger ${what}`, () => {
      const limits = { maxPacketBytes: 12_000_000, liveQueueBytes: 100_000_000 };
      const c = new Cluster({ replicas: 1, limits });
      c.worker(0, 'w', 1, STORED).socket.end();
      const p = c.publisher(2);
      sizes.forEach((size, n) => {
        p.publish('t/a', { qos: 1, id: n + 1, payload: `${n} `.padEnd(size) });
        c.settle(20);
      });
      c.settle(1000);
      const back = c.worker(1, 'w', 1, STORED, '');
      c.settle(1000);
      const numbers = back.got.map((payload) => payload.slice(0, payload.indexOf(' ')));
      assert.deepEqual(numbers, upTo(sizes.length));
    }).timeout(30_000);

  it('counts the keys of groups, which are as much of the log as the messages', () => {
    const c = new Cluster({ replicas: 3, limits: { sessionQueueBytes: 100_000 } });
    const name = 'n'.repeat(30_000);
    c.worker(0, 'w', 1, STORED, `$share/${name}/t/#`).socket.end();
    const p = c.publisher(2);
    p.take();
    c.publish(p, upTo(5));
    c.settle();
    assert.deepEqual(pubacks(p), [0, 0, 0, 0x97, 0x97]);
    assert.deepEqual(whatIsLeft(c), upTo(3));
    assert.deepEqual(
      c.cores.map(({ counters }) => counters.queuedBytes),
      [0, 0, 0],
    );
  });

  it('ends the connection of a member that keeps a message of QoS 2 while very many go by', () => {
    for (const how of [
      {},
      { ...STORED, properties: { ...STORED.properties, receiveMaximum: 1 } },
    ]) {
      const c = new Cluster();
      const keeps = c.worker(0, 'keeps', 2, { properties: { receiveMaximum: 1 }, ...how });
      keeps.answers = false;
      const works = c.worker(1, 'works', 2);
      c.publish(c.publisher(2), upTo(20), 2);
      c.settle();
      const held = () =>
        c.cores.flatMap(({ shards }) =>
          shards.leaders.filter(({ serving, state }) => serving && state.groups.byKey.size > 0),
        );
      const [leader] = held();
      assert.ok(leader);
      new LongHeld(leader, 1000).tick(1);
      c.settle();
      assert.ok(!keeps.socket.closed);
      new LongHeld(leader, 10).tick(1);
      c.settle(1000);
      assert.ok(keeps.socket.closed);
      assert.deepEqual(held(), []);
      assert.equal(new Set(all(keeps, works)).size, 20);
    }
  });

  it('waits no longer for a stored member that unsubscribes and acknowledges nothing', () => {
    const c = new Cluster();
    const properties = { ...STORED.properties, receiveMaximum: 1 };
    const keeps = c.worker(0, 'keeps', 2, { ...STORED, properties });
    keeps.answers = false;
    c.publish(c.publisher(2), ['0'], 2);
    c.settle();
    const bound = () =>
      c.cores.flatMap(({ shards }) => shards.leaders.map(({ state }) => state.groups.byKey.size));
    assert.ok(bound().some((n) => n > 0));
    const unsubscriptions = ['$share/g/t/#'];
    keeps.socket.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions } as Packet);
    c.settle(1000);
    assert.ok(bound().every((n) => n === 0));
  });

  it('counts a message that goes back to a full group as waiting, not as refused again and again', () => {
    const c = new Cluster({ replicas: 3, limits: { sessionQueueMessages: 4 } });
    c.worker(1, 'away', 2, STORED).socket.end();
    const properties = { ...STORED.properties, receiveMaximum: 2 };
    const keeps = c.worker(0, 'keeps', 2, { ...STORED, properties });
    keeps.answers = false;
    const p = c.publisher(2);
    p.take();
    c.publish(p, upTo(8), 2);
    c.settle(500);
    keeps.socket.end();
    c.settle(500);
    c.publish(p, upTo(4), 2);
    c.settle(500);
    const refused = () => c.cores.reduce((sum, { counters }) => sum + counters.sharedRefused, 0);
    const goBack = () =>
      c.cores.flatMap(({ shards }) => shards.leaders.map(({ state }) => state.returned.low));
    const [before, lows] = [refused(), goBack()];
    assert.ok(before > 0, 'the group is full');
    c.nodes.connect(c.cores[0]!, { clientId: 'keeps', clean: true });
    c.settle(2000);
    const waiting = c.cores.flatMap(({ shards }) =>
      shards.leaders.map(({ state }) => state.returned.byNumber.size),
    );
    assert.ok(
      waiting.some((n) => n > 0),
      `what the session had waits to go back: ${lows}`,
    );
    assert.equal(refused(), before);
  });

  it('is of few groups of one session for one filter: 0x97, whatever their names', () => {
    const c = new Cluster({ replicas: 1 });
    const socket = c.nodes.connect(c.cores[0]!, { clientId: 'w', ...STORED });
    c.settle();
    socket.take();
    const subscribe = (filters: readonly string[]) => {
      socket.subscribe(filters, 1);
      c.settle(500);
      return socket.take().flatMap((q) => (q.cmd === 'suback' ? q.granted : []));
    };
    const groups = (n: number, filter = 't/#') =>
      Array.from({ length: n }, (_, i) => `$share/g${i}/${filter}`);
    const codes = subscribe(groups(70));
    assert.deepEqual(
      [codes.slice(0, 64), codes.slice(64)],
      [Array(64).fill(1), Array(6).fill(0x97)],
    );
    assert.deepEqual(subscribe(['$share/g0/t/#', '$share/x/t/+', 't/#']), [1, 1, 1]);
    const unsubscriptions = ['$share/g7/t/#'];
    socket.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions } as Packet);
    c.settle(500);
    assert.deepEqual(subscribe(['$share/x/t/#', '$share/y/t/#']), [1, 0x97]);
  });
});
