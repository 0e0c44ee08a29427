import assert from 'node:assert/strict';
import type { ClusterStatus, MemberStatus } from '@shoal/broker';
import { settlement, waitFor } from './cluster.ts';
import { farewell } from './farewell.ts';
import { count, duration, Reporter } from './reporter.ts';
import { assignRoles } from './roles.ts';
import { StallWatch } from './stall-watch.ts';
import { checksOf } from './summary.ts';
import { Tally } from './tally.ts';

const NODES = ['node1', 'node2', 'node3'] as const;

describe('demo roles', () => {
  it('kills the leader, and nobody else is in its way, whichever node leads', () => {
    for (const leader of NODES) {
      const roles = assignRoles(NODES, leader);
      assert.equal(roles.victim, leader);
      assert.notEqual(roles.publishVia, leader);
      assert.notEqual(roles.returnVia, leader);
      assert.equal(roles.subscribeVia, 'node1');
    }
  });

  it('tells the usual story when the first node leads', () => {
    const roles = assignRoles(NODES, 'node1');
    assert.deepEqual(roles, {
      subscribeVia: 'node1',
      publishVia: 'node2',
      victim: 'node1',
      returnVia: 'node3',
    });
  });
});

describe('demo checks', () => {
  const sentOf = (sent: number, acked: number, refused = 0) => ({
    sent: () => sent,
    acked: () => acked,
    refused,
  });
  const received = (qos1: number[], qos2: number[], unexpected = 0) => {
    const tallies = { 1: new Tally(), 2: new Tally() };
    for (const n of qos1) tallies[1].receive(n);
    for (const n of qos2) tallies[2].receive(n);
    return { tallies, unexpected };
  };
  const verdicts = (...args: Parameters<typeof checksOf>) => checksOf(...args).map((c) => c.ok);

  it('hold when all came in order, QoS 1 perhaps twice', () => {
    assert.deepEqual(verdicts('now', sentOf(3, 3), received([0, 1, 1, 2], [0, 1, 2])), [
      true,
      true,
    ]);
  });

  it('fail for a loss, a QoS 2 double, a late message, an unanswered publish', () => {
    assert.deepEqual(verdicts('now', sentOf(3, 3), received([0, 1], [0, 1, 2])), [false, true]);
    assert.deepEqual(verdicts('now', sentOf(2, 2), received([0, 1], [0, 1, 1])), [true, false]);
    assert.deepEqual(verdicts('now', sentOf(2, 2), received([1, 0], [0, 1])), [false, true]);
    assert.deepEqual(verdicts('now', sentOf(3, 2), received([0, 1], [0, 1])), [false, false]);
  });

  it('fail for refused publishes and for messages that nobody sent', () => {
    assert.equal(verdicts('now', sentOf(1, 1, 1), received([0], [0])).at(-1), false);
    assert.equal(verdicts('now', sentOf(1, 1), received([0], [0], 1)).at(-1), false);
  });
});

describe('demo settlement', () => {
  const member = (name: string, change: Partial<MemberStatus>) =>
    ({ name, state: 'alive', leaving: false, shardsHeld: 16, ...change }) as MemberStatus;
  const status = (members: MemberStatus[], lacking = 0) =>
    ({
      node: 'node1',
      shards: 16,
      replicas: 3,
      members,
      underReplicated: { count: lacking, shards: [] },
    }) as unknown as ClusterStatus;
  const three = NODES.map((name) => member(name, {}));

  it('is reached with all members alive and all copies in place', () => {
    assert.deepEqual(settlement(status(three), 3), {
      settled: true,
      copies: 48,
      wanted: 48,
      why: '',
    });
  });

  it('says what is missing', () => {
    assert.match(settlement(status(three.slice(1)), 3).why, /sees 2 of 3 nodes/);
    assert.match(settlement(status(three, 5), 3).why, /5 shards lack copies/);
    const behind = [...three.slice(1), member('node1', { shardsHeld: 3 })];
    assert.match(settlement(status(behind), 3).why, /35 of 48 copies/);
  });

  it('is not reached while a suspect or leaving member is about', () => {
    const suspect = [...three, member('node4', { state: 'suspect' })];
    assert.equal(settlement(status(suspect), 3).settled, false);
    const leaving = [...three.slice(1), member('node1', { leaving: true })];
    assert.equal(settlement(status(leaving), 3).settled, false);
  });

  it('is waited for through errors, and given up with the reason', async () => {
    let asked = 0;
    const tookMs = await waitFor(
      5_000,
      () => 'never',
      async () => {
        asked++;
        if (asked === 1) throw new Error('not yet');
        return true;
      },
    );
    assert.equal(asked, 2);
    assert.ok(tookMs >= 0);
    const hopeless = waitFor(
      0,
      () => 'no leader',
      () => Promise.reject(new Error('refused')),
    );
    await assert.rejects(hopeless, /no leader within 0 s \(refused\)/);
  });
});

describe('demo waits', () => {
  it('resolves once what is waited for has come', async () => {
    const progress = new StallWatch();
    let steps = 0;
    const waiting = progress.until(() => steps >= 2, 10_000);
    for (steps = 1; steps <= 2; steps++) progress.advance();
    assert.equal(await waiting, true);
  });

  it('gives up when nothing advances', async () => {
    assert.equal(await new StallWatch().until(() => false, 5), false);
  });
});

describe('demo output', () => {
  const record = (isTTY: boolean) => {
    let text = '';
    const terminal = {
      isTTY,
      write: (part: string) => {
        text += part;
      },
    };
    return { reporter: new Reporter(terminal), text: () => text };
  };

  it('is plain text where there is no terminal', () => {
    const { reporter, text } = record(false);
    reporter.act('Three nodes start');
    reporter.progress('copies', 1, 2);
    reporter.check(true, 'done');
    reporter.check(false, 'broken');
    assert.equal(text(), '\n1. Three nodes start\n   ✓ done\n   ✗ broken\n');
  });

  it('wipes the progress bar before the next line', () => {
    const { reporter, text } = record(true);
    reporter.progress('copies', 2, 2);
    reporter.say('all there');
    assert.match(text(), /█ copies 2 of 2/);
    // The whole line is cleared before the next one.
    assert.ok(text().endsWith('\x1b[2K   all there\n'), JSON.stringify(text()));
  });

  it('writes figures for people', () => {
    assert.equal(count(1_234_567), '1,234,567');
    assert.equal(duration(87.4), '87 ms');
    assert.equal(duration(1_240), '1.2 s');
  });

  it('names addresses to try, of nodes that run', () => {
    const node = (name: string, port: number) => ({
      name,
      pid: port + 1,
      mqtt: `127.0.0.1:${port}`,
      admin: `127.0.0.1:${port + 2}`,
    });
    const text = farewell([node('node2', 2000), node('node3', 3000)], '/tmp/x');
    assert.match(text, /mosquitto_sub -h 127\.0\.0\.1 -p 2000 -i me -c/);
    assert.match(text, /mosquitto_pub -h 127\.0\.0\.1 -p 3000/);
    assert.match(text, /kill -9 3001/);
    assert.match(text, /--admin http:\/\/127\.0\.0\.1:2002/);
  });
});
