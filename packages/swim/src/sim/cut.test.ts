import assert from 'node:assert/strict';
import type { ViewChange } from '../core/cut-detector.ts';
import { addressOf, TestCluster } from './test-cluster.ts';

/** A cluster that has formed and come to rest; what its views did so far is forgotten. */
function formed(
  seed: string,
  size: number,
  ...options: [faults?: object, config?: object]
): TestCluster {
  const cluster = new TestCluster(seed, ...options);
  cluster.addMany(size);
  cluster.until('forms', 20_000, () => cluster.whole());
  cluster.run(3_000);
  const names = [...cluster.agents.keys()].sort();
  for (const agent of cluster.agents.values()) assert.deepEqual(agent.view().names, names);
  forgetViews(cluster);
  return cluster;
}

function forgetViews(cluster: TestCluster): void {
  for (const changes of cluster.views.values()) changes.length = 0;
}

/** How the view of each surviving member changed, as "+added -removed", the distinct ones. */
function changesSeen(cluster: TestCluster): string[] {
  const show = ({ added, removed }: ViewChange): string => `+${added} -${removed}`;
  const seen = [...cluster.agents.keys()].map((name) =>
    (cluster.views.get(name) as ViewChange[]).map(show).join('; '),
  );
  return [...new Set(seen)].sort();
}

/** Nothing reaches the member any more, or all does again; what it sends arrives. */
function setIngress(cluster: TestCluster, name: string, isOpen: boolean): void {
  if (isOpen) cluster.network.heal();
  else
    for (const other of cluster.agents.keys())
      cluster.network.cut(addressOf(other), addressOf(name));
}

describe('stable view', function () {
  this.timeout(120_000);

  for (const [size, crashes, dropRate] of [
    [5, 2, 0],
    [20, 5, 0],
    [50, 8, 0],
    [100, 10, 0],
    [100, 10, 0.05],
  ] as const) {
    it(`${crashes} of ${size} crash at ${dropRate * 100} % loss: one change, at every survivor`, () => {
      for (let seed = 0; seed < (size > 50 ? 1 : 12); seed++) {
        const cluster = formed(`crash ${size} ${seed}`, size, { dropRate });
        const dead = Array.from({ length: crashes }, (_, n) => `n${n * 2 + 1}`).sort();
        for (const name of dead) cluster.kill(name);
        cluster.run(20_000);
        assert.deepEqual(changesSeen(cluster), [`+ -${dead}`]);
      }
    });
  }

  it('changes as soon as a single member is faulty', () => {
    const cluster = formed('one', 8);
    cluster.kill('n3');
    cluster.until('leaves', 10_000, () => {
      const isFaulty = (name: string) =>
        cluster
          .agent(name)
          .members()
          .find((member) => member.name === 'n3')?.state === 'faulty';
      for (const [name, agent] of cluster.agents) {
        assert.equal(agent.view().names.includes('n3'), !isFaulty(name), name);
      }
      return [...cluster.agents.keys()].every(isFaulty);
    });
  });

  it('is of joins and departures at once', () => {
    const cluster = formed('come and go', 6);
    cluster.add('x');
    cluster.until('joins', 1_000, () =>
      [...cluster.agents.values()].every((agent) => agent.view().names.includes('x')),
    );
    cluster.agent('n4').leave();
    cluster.until('leaves', 1_000, () =>
      [...cluster.agents].every(
        ([name, agent]) => name === 'n4' || !agent.view().names.includes('n4'),
      ),
    );
  });

  it('a member that nothing reaches for 20 s, again and again, soon stays out', () => {
    const cluster = formed('flapper', 30, {}, { fallbackProbe: false });
    for (let round = 0; round < 15; round++) {
      setIngress(cluster, 'n7', false);
      cluster.run(20_000);
      setIngress(cluster, 'n7', true);
      cluster.run(20_000);
    }
    const others = [...cluster.agents].filter(([name]) => name !== 'n7');
    for (const [name, agent] of others) {
      assert.equal(agent.view().names.length, 29, name);
      assert.ok(!agent.view().names.includes('n7'), name);
    }
    cluster.kill('n7');
    assert.deepEqual(changesSeen(cluster), ['+ -n7; +n7 -; + -n7']);
  });

  it('a member that flapped is let in when it has been quiet, later after each relapse', () => {
    const cluster = formed('relapse', 12, {}, { fallbackProbe: false, silenceMs: 0 });
    const flap = (): void => {
      setIngress(cluster, 'n7', false);
      cluster.run(12_000);
      setIngress(cluster, 'n7', true);
      cluster.run(5_000);
    };
    const isIn = (): boolean =>
      [...cluster.agents.values()].every((agent) => agent.view().names.includes('n7'));
    flap();
    assert.ok(isIn());
    flap();
    assert.ok(!isIn());
    const firstMs = cluster.until('is let in', 70_000, isIn);
    flap();
    const secondMs = cluster.until('is let in', 130_000, isIn);
    assert.ok(firstMs > 50_000 && secondMs > 1.9 * firstMs, `${firstMs} ms, ${secondMs} ms`);
  });

  it('a member cut off from the most of the cluster holds its view, and doubts itself', () => {
    const cluster = formed('cut off', 10);
    const few = ['n0', 'n1', 'n2', 'n3'];
    cluster.network.split([few.map(addressOf)]);
    cluster.run(20_000);
    for (const name of few) {
      assert.deepEqual(cluster.views.get(name), [], name);
      assert.ok(cluster.agent(name).swim.counters.massSuspicions >= 1, name);
    }
    for (const name of ['n4', 'n9']) assert.equal(cluster.agent(name).view().names.length, 6);
    cluster.network.heal();
    cluster.until('heals', 15_000, () => cluster.whole());
    cluster.run(15_000);
    for (const name of few) assert.deepEqual(cluster.views.get(name), [], name);
    assert.deepEqual(cluster.agent('n4').view().names.length, 10);
  });

  it('follows a split that lasts, and its healing, in few changes', () => {
    const cluster = formed('split', 10);
    const few = ['n0', 'n1', 'n2', 'n3'];
    cluster.network.split([few.map(addressOf)]);
    cluster.run(60_000);
    assert.deepEqual(cluster.agent('n2').view().names, few);
    assert.equal(changesSeen(cluster).length, 2);
    forgetViews(cluster);
    cluster.network.heal();
    cluster.until('heals', 15_000, () => cluster.whole());
    cluster.run(1_000);
    for (const [name, agent] of cluster.agents) {
      assert.equal(agent.view().names.length, 10, name);
      assert.ok((cluster.views.get(name) as ViewChange[]).length <= 6, name);
    }
  });

  it('replays bit for bit from its seed', () => {
    const history = (): string => {
      const cluster = formed('replay', 20, { dropRate: 0.05 });
      for (const name of ['n3', 'n4', 'n5']) cluster.kill(name);
      cluster.network.isolate(addressOf('n6'));
      cluster.run(15_000);
      cluster.network.heal();
      cluster.run(15_000);
      return JSON.stringify([...cluster.views]);
    };
    assert.equal(history(), history());
  });
});
