import assert from 'node:assert/strict';
import type { Refusal } from '../core/event.ts';
import { addressOf, TestCluster } from './test-cluster.ts';

/** A cluster that has formed, and what its owners are told of refusals: "observer name bootEpoch". */
function formed(seed: string, size: number): { cluster: TestCluster; refusals: string[] } {
  const cluster = new TestCluster(seed);
  cluster.addMany(size);
  cluster.until('forms', 20_000, () => cluster.whole());
  cluster.run(5_000);
  cluster.seen.clear();
  const refusals: string[] = [];
  cluster.onRefused = (observer: string, { name, bootEpoch, isFirstHand }: Refusal) =>
    refusals.push(`${observer} ${name} ${bootEpoch} ${isFirstHand ? 'itself' : 'hearsay'}`);
  return { cluster, refusals };
}

const faulty = (cluster: TestCluster): string[] =>
  [...cluster.seen].filter((line) => line.endsWith(' faulty'));

describe('owners hear that a process was refused', () => {
  it('at once after a hint, each by its own probe, long before it is faulty', () => {
    const { cluster, refusals } = formed('hint', 4);
    cluster.kill('n1');
    for (const agent of cluster.agents.values()) agent.probeNow('n1');
    cluster.run(10);
    const own = refusals.filter((line) => line.endsWith('itself')).sort();
    assert.deepEqual(own, ['n0 n1 1 itself', 'n2 n1 1 itself', 'n3 n1 1 itself']);
    assert.deepEqual(faulty(cluster), []);
    cluster.until('finds', 1_000, () => cluster.allSee('faulty', ['n1']));
  });

  it('by gossip, where another member was refused', () => {
    const { cluster, refusals } = formed('gossip', 4);
    cluster.kill('n1');
    cluster.agent('n0').probeNow('n1');
    cluster.until('all hear', 200, () =>
      ['n0', 'n2', 'n3'].every((name) => refusals.some((line) => line.startsWith(`${name} n1 1`))),
    );
    assert.ok(refusals.some((line) => line.endsWith('hearsay')));
    assert.deepEqual(faulty(cluster), []);
  });

  it('not of a process that is paused, however often it is asked', () => {
    const { cluster, refusals } = formed('pause', 3);
    cluster.agent('n1').pause();
    for (let n = 0; n < 40; n++) {
      cluster.agent('n0').probeNow('n1');
      cluster.run(100);
    }
    cluster.agent('n1').resume();
    cluster.run(10_000);
    assert.deepEqual(refusals, []);
    assert.deepEqual(faulty(cluster), []);
  });

  it('of a former life only, when the process restarts: no refusal is told of the new one', () => {
    const { cluster, refusals } = formed('restart', 3);
    cluster.kill('n1');
    cluster.agent('n0').probeNow('n1');
    cluster.run(100);
    cluster.add('n1', { bootEpoch: 2, clusterId: 'c' });
    cluster.until('is back', 5_000, () => cluster.whole());
    cluster.run(10_000);
    assert.ok(refusals.length > 0);
    assert.deepEqual(
      refusals.filter((line) => !line.includes(' n1 1 ')),
      [],
    );
    assert.deepEqual(faulty(cluster), []);
  });

  it('of a member behind a firewall that rejects streams, which is never suspected for it', () => {
    const { cluster, refusals } = formed('firewall', 4);
    cluster.network.rejectStreams(addressOf('n1'), true);
    for (let n = 0; n < 20; n++) {
      cluster.agent('n0').probeNow('n1');
      cluster.run(250);
    }
    assert.ok(refusals.some((line) => line === 'n0 n1 1 itself'));
    assert.deepEqual(cluster.seenNot('alive'), []);
  });
});
