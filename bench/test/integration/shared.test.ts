import assert from 'node:assert/strict';
import { LocalCluster } from '../../src/chaos/cluster.ts';
import { runShared } from '../../src/shared/run.ts';

/** A short form of `npm run bench:shared`. */
describe('messages to the members of a group', function () {
  this.timeout(120_000);

  it('all come, to each its share, and to one that is too slow for its leaders', async () => {
    const cluster = await LocalCluster.create({ startArgs: ['--set', 'cluster.shards=16'] });
    try {
      const run = { cluster, messages: 3000, timeoutMs: 60_000 };
      const one = await runShared({ ...run, members: 1, topics: 100, name: 'one' });
      assert.equal(one.lost, 0);
      const five = await runShared({ ...run, members: 5, topics: 1, name: 'five' });
      assert.equal(five.lost, 0);
      assert.ok(five.least > 0);
    } finally {
      await cluster.stop();
    }
  });
});
