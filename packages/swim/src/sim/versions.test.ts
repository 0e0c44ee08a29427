import assert from 'node:assert/strict';
import { addressOf, find, TestCluster } from './test-cluster.ts';

describe('protocol versions in a simulated cluster', () => {
  it('are upgraded member by member, and none is suspected', () => {
    const cluster = new TestCluster('upgrade');
    for (let n = 0; n < 5; n++) cluster.add(`n${n}`, { versions: { min: 1, max: 1 } });
    cluster.until('forms', 5_000, () => cluster.whole());
    for (const versions of [
      { min: 1, max: 2 },
      { min: 2, max: 3 },
    ]) {
      for (let n = 0; n < 5; n++) {
        cluster.kill(`n${n}`);
        const seeds = [0, 1, 2, 3, 4].map((m) => addressOf(`n${m}`));
        const bootEpoch = versions.max * 10;
        cluster.add(`n${n}`, { bootEpoch, clusterId: 'c', seeds, versions });
        cluster.until('takes it back', 3_000, () => cluster.whole());
        cluster.run(2_000);
      }
    }
    assert.deepEqual(
      cluster.seenNot('alive').filter((line) => !line.endsWith(' suspect')),
      [],
    );
    assert.deepEqual([...cluster.notices], []);
  });

  it('that do not overlap are refused on both sides, by name', () => {
    const cluster = new TestCluster('refused');
    for (let n = 0; n < 3; n++) cluster.add(`n${n}`);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.add('new', { versions: { min: 2, max: 3 } });
    cluster.run(5_000);
    assert.equal(find(cluster.agent('n0'), 'new'), undefined);
    assert.ok(cluster.notices.has(`new 1 SWIM_ERR_VERSION ${addressOf('n0')}`));
    assert.ok(cluster.agent('n0').swim.counters.otherVersion > 0);
  });

  it('must overlap with every present member, not only with the one asked', () => {
    const cluster = new TestCluster('between');
    cluster.add('n0', { versions: { min: 1, max: 2 } });
    cluster.add('n1', { versions: { min: 1, max: 1 } });
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.add('new', { versions: { min: 2, max: 2 } });
    cluster.run(5_000);
    assert.equal(find(cluster.agent('n0'), 'new'), undefined);
    assert.equal(cluster.agent('new').swim.clusterId, '');
  });
});

describe('a member that is unwell in a simulated cluster', () => {
  it('is seen so by all, by newcomers too, and well again; it stays alive', () => {
    const cluster = new TestCluster('unwell');
    cluster.addMany(5);
    cluster.until('forms', 5_000, () => cluster.whole());
    const unwell = () =>
      [...cluster.agents.values()].filter((agent) => find(agent, 'n3')?.unwell === true).length;
    cluster.agent('n3').setUnwell(true);
    cluster.until('hears', 1_000, () => unwell() === 5);
    cluster.add('n5');
    cluster.until('tells a newcomer', 2_000, () => unwell() === 6);
    cluster.agent('n3').setUnwell(false);
    cluster.until('hears', 1_000, () => unwell() === 0);
    assert.deepEqual(cluster.seenNot('alive'), []);
  });
});
