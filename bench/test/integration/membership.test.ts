import assert from 'node:assert/strict';
import { Observations } from '../../src/membership/observations.ts';
import { predict } from '../../src/membership/prediction.ts';
import { ProcessCluster } from '../../src/membership/processes.ts';

describe('members in processes of their own', function () {
  this.timeout(60_000);

  it('know of a killed one, take a paused one back, and call no other faulty', async () => {
    const cluster = new ProcessCluster();
    const { observations } = cluster;
    try {
      await cluster.form(6, 'lan', () => {});
      const survivors = ['n0', 'n3', 'n4', 'n5'];
      const killMs = performance.timeOrigin + performance.now();
      cluster.signal('n1', 'SIGKILL');
      await cluster.until('known', 30_000, () => observations.allSee('faulty', survivors, ['n1']));
      cluster.signal('n2', 'SIGSTOP');
      await cluster.until('known', 30_000, () => observations.allSee('faulty', survivors, ['n2']));
      cluster.signal('n2', 'SIGCONT');
      await cluster.until('whole', 30_000, () => observations.allSee('alive', cluster.names));
      const paused = [{ name: 'n2', durationMs: 0 }];
      const schedule = { killed: ['n1'], killMs, paused, pauseMs: killMs };
      const figures = observations.figures(schedule, survivors);
      assert.equal(figures.falsePositives, 0);
      assert.ok(figures.kills[0]?.allMs);
      assert.equal(figures.pauses[0]?.faultyBy, 4);
    } finally {
      cluster.stop();
    }
  });

  it('have the same figures in virtual time, from the same plan', () => {
    const plan = { agents: 10, kills: 2, pausesMs: [100, 20_000], preset: 'lan' } as const;
    const figures = predict(plan, 1);
    assert.deepEqual(predict(plan, 1), figures);
    assert.ok(figures.kills.every(({ firstMs, allMs }) => firstMs !== null && allMs !== null));
    assert.deepEqual(
      figures.pauses.map(({ faultyBy }) => faultyBy),
      [0, 6],
    );
    assert.equal(figures.falsePositives, 0);
  });

  it('are counted by what was seen: a planted false accusation shows', () => {
    const observations = new Observations();
    const see = (observer: string, name: string, state: 'alive' | 'faulty', atMs: number) =>
      observations.record({ observer, name, state, atMs });
    see('a', 'b', 'faulty', 5);
    see('a', 'x', 'faulty', 12);
    see('b', 'x', 'faulty', 15);
    const schedule = { killed: ['x'], killMs: 10, paused: [], pauseMs: 10 };
    const figures = observations.figures(schedule, ['a', 'b']);
    assert.deepEqual(figures.kills, [{ firstMs: 2, allMs: 5 }]);
    assert.equal(figures.falsePositives, 1);
  });
});
