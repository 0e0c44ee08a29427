import assert from 'node:assert/strict';
import type { UserEvent } from '../core/event-codec.ts';
import { addressOf, TestCluster } from './test-cluster.ts';

/** A cluster that has formed and come to rest. */
function formed(seed: string, size: number, ...options: [faults?: object, config?: object]) {
  const cluster = new TestCluster(seed, ...options);
  cluster.addMany(size);
  cluster.until('forms', 20_000, () => cluster.whole());
  cluster.run(3_000);
  return cluster;
}

/** Payloads that a member got, in order, as texts. */
function got(cluster: TestCluster, name: string): string[] {
  const events = cluster.events.get(name) as UserEvent[];
  return events.map(({ payload }) => new TextDecoder().decode(payload));
}

function everybodyGot(cluster: TestCluster, count: number): boolean {
  return [...cluster.agents.keys()].every((name) => got(cluster, name).length >= count);
}

const payload = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('user events in a simulated cluster', function () {
  this.timeout(60_000);

  it('come to all 50 members at 10 % loss, once, and the origin too', () => {
    const faults = { dropRate: 0.1, duplicateRate: 0.1, reorderRate: 0.1, reorderMs: 100 };
    const cluster = formed('spread', 50, faults);
    for (let n = 0; n < 20; n++) cluster.agent(`n${n}`).broadcast('deploy', payload(`v${n}`));
    const tookMs = cluster.until('come', 20_000, () => everybodyGot(cluster, 20));
    assert.ok(tookMs <= 3_000, `${tookMs} ms`);
    cluster.run(120_000);
    const expected = Array.from({ length: 20 }, (_, n) => `v${n}`).sort();
    for (const name of cluster.agents.keys()) assert.deepEqual(got(cluster, name).sort(), expected);
    const [first] = cluster.events.get('n7') as UserEvent[];
    assert.equal(first?.name, 'deploy');
    assert.equal(first?.bootEpoch, 1);
  });

  it('come to a member that gossip missed, with the next exchange', () => {
    const cluster = formed('missed', 12);
    cluster.network.isolate(addressOf('n5'));
    cluster.agent('n1').broadcast('e', payload('x'));
    cluster.run(1_000);
    assert.deepEqual(got(cluster, 'n5'), []);
    cluster.network.rejoin(addressOf('n5'));
    cluster.until('comes', 40_000, () => got(cluster, 'n5').join() === 'x');
  });

  it('come where the exchange is by digest, too', () => {
    const cluster = formed('digest', 80);
    cluster.network.isolate(addressOf('n5'));
    cluster.agent('n1').broadcast('e', payload('x'));
    cluster.run(1_500);
    cluster.network.rejoin(addressOf('n5'));
    cluster.until('comes', 40_000, () => got(cluster, 'n5').join() === 'x');
  });

  it('are not for those who join later, nor told again after a restart', () => {
    const cluster = formed('joiner', 6);
    cluster.agent('n1').broadcast('e', payload('x'));
    cluster.until('comes', 5_000, () => everybodyGot(cluster, 1));
    cluster.kill('n3');
    cluster.add('n3', { bootEpoch: 2, clusterId: 'c' });
    cluster.add('late');
    cluster.run(60_000);
    assert.deepEqual(got(cluster, 'late'), []);
    assert.deepEqual(got(cluster, 'n3'), []);
    cluster.agent('n1').broadcast('e', payload('y'));
    cluster.until('comes', 5_000, () => got(cluster, 'late').join() === 'y');
  });

  it('heal with a split, if it was short', () => {
    const cluster = formed('split', 10);
    cluster.network.split([['n0', 'n1', 'n2'].map(addressOf)]);
    cluster.run(10_000);
    cluster.agent('n1').broadcast('e', payload('few'));
    cluster.agent('n8').broadcast('e', payload('many'));
    cluster.run(10_000);
    cluster.network.heal();
    cluster.until('heals', 30_000, () => everybodyGot(cluster, 2));
  });

  it('are not starved by a flood of updates', () => {
    const flooded = (withUpdates: boolean): number => {
      const cluster = formed('updates', 20, {}, { eventRateMax: 1 });
      let round = 0;
      const flood = (): void => {
        round++;
        for (const agent of cluster.agents.values()) {
          agent.setMeta(new Uint8Array(500).fill(round));
        }
        cluster.scheduler.after(50, flood);
      };
      if (withUpdates) flood();
      cluster.run(1_000);
      cluster.agent('n1').broadcast('e', new Uint8Array(512));
      return cluster.until('comes', 20_000, () => everybodyGot(cluster, 1));
    };
    const [quietMs, busyMs] = [flooded(false), flooded(true)];
    assert.ok(busyMs <= quietMs + 1_500, `${quietMs} ms, ${busyMs} ms under a flood`);
  });

  it('do not slow the detection of a crash, however many there are', () => {
    const detected = (seed: number, withEvents: boolean): number => {
      const cluster = formed(`events ${seed}`, 20, {}, { eventRateMax: 50 });
      const flood = (): void => {
        for (const name of ['n2', 'n3', 'n4', 'n5', 'n6']) {
          cluster.agent(name).broadcast('e', new Uint8Array(512));
        }
        cluster.scheduler.after(25, flood);
      };
      if (withEvents) flood();
      cluster.run(2_000);
      cluster.kill('n1');
      return cluster.until('detects', 10_000, () => cluster.allSee('faulty', ['n1']));
    };
    const medianOf = (withEvents: boolean): number => {
      const times = [0, 1, 2, 3, 4].map((seed) => detected(seed, withEvents));
      return times.sort((x, y) => x - y)[2] as number;
    };
    const [quietMs, busyMs] = [medianOf(false), medianOf(true)];
    assert.ok(busyMs <= quietMs + 500, `${quietMs} ms, ${busyMs} ms under a flood`);
  });

  it('are refused when too large, too many, or before the start', () => {
    const cluster = formed('refused', 2, {}, { eventRateMax: 1 });
    const agent = cluster.agent('n1');
    const refused = (code: string, act: () => void): void => {
      assert.throws(act, (error: { code?: string }) => error.code === code);
    };
    refused('SWIM_ERR_EVENT_SIZE', () => agent.broadcast('', payload('')));
    refused('SWIM_ERR_EVENT_SIZE', () => agent.broadcast('e', new Uint8Array(513)));
    agent.broadcast('e');
    agent.broadcast('e');
    refused('SWIM_ERR_EVENT_RATE', () => agent.broadcast('e'));
    agent.leave();
    refused('SWIM_ERR_STOPPED', () => agent.broadcast('e'));
  });
});
