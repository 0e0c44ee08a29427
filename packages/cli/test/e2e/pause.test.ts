import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { DemoCluster } from '../../src/demo/cluster.ts';

const NODES = ['node1', 'node2', 'node3', 'node4'];
const PAUSE_MS = 5_000;

/** A pause is not a death: real nodes at default settings, three copies on four nodes. */
describe('a node without CPU for 5 s', function () {
  this.timeout(180_000);
  let cluster: DemoCluster;

  beforeEach(async () => {
    cluster = new DemoCluster({ keepData: false });
    for (const name of NODES) await cluster.add(name);
    await cluster.settled(90_000);
  });
  afterEach(async () => {
    for (const node of cluster.nodes) node.signal('SIGCONT');
    await cluster.stop();
  });

  /** Where placement wants the sessions of some clients. */
  const placement = async (via: string): Promise<(readonly string[])[]> =>
    await Promise.all(
      Array.from({ length: 32 }, async (_, n) => {
        const { preferenceList } = await cluster.explain(cluster.node(via), `client-${n}`);
        return preferenceList;
      }),
    );

  it('is called faulty by nobody, and placement does not move', async () => {
    const before = await placement('node1');
    assert.ok(before.some((list) => list.includes('node4')));
    cluster.node('node4').signal('SIGSTOP');
    // The pause itself. Nobody is asked meanwhile: an answer waits for the paused node, too.
    await delay(PAUSE_MS);
    cluster.node('node4').signal('SIGCONT');
    await cluster.settled(60_000);
    const nodesOf = (lists: (readonly string[])[]) => lists.map((list) => [...list].sort());
    let after = await placement('node1');
    assert.deepEqual(nodesOf(after), nodesOf(before));
    // A node that has hung is unwell for some seconds, and stands last where it would have led.
    for (const endMs = Date.now() + 30_000; Date.now() < endMs; after = await placement('node1'))
      if (isDeepStrictEqual(after, before)) break;
    assert.deepEqual(after, before);
    for (const { name, settings } of cluster.nodes) {
      const log = readFileSync(settings.logFile, 'utf8');
      assert.doesNotMatch(log, /is faulty|out of the view/, name);
    }
  });
});
