import assert from 'node:assert/strict';
import { encodeMessage } from '../core/codec.ts';
import { addressOf, TestCluster } from './test-cluster.ts';

/** A cluster with the default preset that has formed, some time ago. */
function formed(seed: string, size: number, lossRate = 0): TestCluster {
  const cluster = new TestCluster(seed, { dropRate: lossRate });
  cluster.addMany(size);
  cluster.until('forms', 20_000, () => cluster.whole());
  cluster.run(5_000);
  cluster.seen.clear();
  for (const changes of cluster.views.values()) changes.length = 0;
  return cluster;
}

const faulty = (cluster: TestCluster): string[] =>
  [...cluster.seen].filter((line) => line.endsWith(' faulty'));

describe('a pause is not a death: the default preset in simulation', function () {
  this.timeout(120_000);

  it('a process that is killed is known to all in 1.5 s, at the median', () => {
    for (const size of [2, 3, 8, 30]) {
      const times: number[] = [];
      for (let run = 0; run < 9; run++) {
        const cluster = formed(`kill ${size} ${run}`, size);
        cluster.kill('n1');
        times.push(cluster.until('finds', 5_000, () => cluster.allSee('faulty', ['n1'])));
      }
      times.sort((x, y) => x - y);
      assert.ok((times[4] as number) <= 1_500, `${size}: ${times.join()}`);
    }
  });

  it('a process that is paused for 5 s is not called faulty, and stays in all views', () => {
    for (const size of [2, 3, 8, 30]) {
      for (let run = 0; run < 4; run++) {
        const cluster = formed(`pause ${size} ${run}`, size);
        cluster.agent('n1').pause();
        cluster.run(5_000);
        cluster.agent('n1').resume();
        cluster.run(15_000);
        assert.deepEqual(faulty(cluster), [], `${size} ${run}`);
        assert.ok(cluster.whole(), cluster.describe());
        for (const [name, changes] of cluster.views) assert.deepEqual(changes, [], name);
      }
    }
  });

  it('a host that is cut off is known to all others within 8 s', () => {
    for (const size of [3, 8, 30]) {
      for (let run = 0; run < 4; run++) {
        const cluster = formed(`cut ${size} ${run}`, size);
        const cut = cluster.agent('n1');
        cluster.network.isolate(cut.address);
        cluster.agents.delete('n1');
        cluster.until('finds', 8_000, () => cluster.allSee('faulty', ['n1']));
      }
    }
  });

  it('a member that paused for long is given more time the next time', () => {
    const cluster = formed('again', 8);
    const pause = (forMs: number): void => {
      cluster.agent('n1').pause();
      cluster.run(forMs);
      cluster.agent('n1').resume();
      cluster.run(10_000);
    };
    pause(8_000);
    assert.ok(faulty(cluster).length > 0);
    cluster.seen.clear();
    pause(8_000);
    assert.deepEqual(faulty(cluster), []);
    // That of others is as before.
    cluster.agent('n2').pause();
    cluster.run(8_000);
    assert.ok(cluster.seen.has('n3 n2 faulty'));
  });

  it('a pause that ends in death is noticed at once', () => {
    const cluster = formed('killed while paused', 8);
    cluster.agent('n1').pause();
    cluster.run(3_000);
    cluster.kill('n1');
    cluster.until('finds', 2_000, () => cluster.allSee('faulty', ['n1']));
  });

  it('a firewall that rejects streams to a member does not make it faulty, at 10 % loss either', () => {
    for (const lossRate of [0, 0.1]) {
      const cluster = formed(`firewall ${lossRate}`, 12, lossRate);
      cluster.network.rejectStreams(addressOf('n1'), true);
      cluster.run(120_000);
      assert.deepEqual(faulty(cluster), [], `${lossRate}`);
      assert.ok(cluster.agent('n1').swim.presentCount === 12);
    }
  });

  it('a member restarted on its port again and again is found again and again, and no other is', () => {
    const cluster = formed('restarts', 8);
    for (let life = 2; life < 8; life++) {
      cluster.kill('n1');
      cluster.run(life * 100);
      cluster.add('n1', { bootEpoch: life, clusterId: 'c' });
      cluster.until('is back', 3_000, () => cluster.whole());
    }
    cluster.run(20_000);
    assert.ok(cluster.whole(), cluster.describe());
    assert.ok(faulty(cluster).every((line) => line.includes(' n1 ')));
  });

  it('a host that refuses for a member that lives is refuted: one that is cut off but from its firewall', () => {
    const cluster = formed('refuted', 8);
    cluster.network.rejectStreams(addressOf('n1'), true);
    // Its datagrams are lost for half a second, and it is refused as if it were dead.
    cluster.network.lose(addressOf('n1'), { into: 1, outOf: 1 });
    cluster.run(500);
    cluster.network.lose(addressOf('n1'), {});
    cluster.run(20_000);
    assert.deepEqual(faulty(cluster), []);
    assert.ok(cluster.whole(), cluster.describe());
  });

  it('beside a member that loses 80 %, no healthy one is called faulty in 150 s', () => {
    for (let run = 0; run < 2; run++) {
      const cluster = formed(`lossy ${run}`, 30);
      cluster.network.lose(addressOf('n1'), { into: 0.8, outOf: 0.8 });
      cluster.run(150_000);
      const wrong = faulty(cluster).filter((line) => !line.includes('n1 '));
      assert.deepEqual(wrong, []);
    }
  });

  it('a supervisor that sees its child end tells all, and is refuted by a child that lives', () => {
    const cluster = formed('supervised', 8);
    cluster.agent('n1').pause();
    cluster.run(100);
    cluster.agent('n2').reportEnd('n1');
    cluster.agents.delete('n1');
    cluster.until('finds', 1_000, () => cluster.allSee('faulty', ['n1']));
    const other = formed('wrongly supervised', 8);
    other.agent('n2').reportEnd('n1');
    other.agent('n2').reportEnd('n2');
    other.agent('n2').reportEnd('nobody');
    other.run(5_000);
    assert.ok(other.whole(), other.describe());
  });

  it('the word of a supervisor is about one life: the next one of that name is left alone', () => {
    const cluster = formed('restarted before the word', 8);
    cluster.kill('n1');
    cluster.add('n1', { bootEpoch: 2, clusterId: 'c' });
    cluster.until('is back', 3_000, () => cluster.whole());
    cluster.run(2_000);
    cluster.seen.clear();
    cluster.agent('n2').reportEnd('n1', 1);
    cluster.run(5_000);
    assert.deepEqual(faulty(cluster), []);
    assert.equal(cluster.agent('n1').swim.counters.refutes, 0);
    cluster.agent('n2').reportEnd('n1', 2);
    assert.deepEqual(faulty(cluster), ['n2 n1 faulty']);
  });

  it('no datagram ends a member, whatever its type: none is a supervisor’s word', () => {
    const cluster = formed('forged', 8);
    const header = { version: 1, clusterId: 'c', name: 'n1', bootEpoch: 1 };
    const plain = encodeMessage(header, { type: 'gossip' }, []);
    const other = encodeMessage(header, { type: 'sync' }, []);
    const at = plain.findIndex((byte, index) => byte !== other[index]);
    for (let type = 0; type < 256; type++) {
      const bytes = plain.slice();
      bytes[at] = type;
      for (const name of ['n2', 'n3']) cluster.network.send('watcher:1', addressOf(name), bytes);
    }
    cluster.run(5_000);
    assert.deepEqual(faulty(cluster), []);
    assert.equal(cluster.agent('n1').swim.counters.refutes, 0);
  });
});
