import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DemoCluster, waitFor } from '../../src/demo/cluster.ts';

/** The launcher of several nodes on one machine, with real processes. */
describe('a launcher of nodes', function () {
  this.timeout(120_000);
  let cluster: DemoCluster;

  beforeEach(async () => {
    cluster = new DemoCluster({ keepData: false });
    for (const name of ['node1', 'node2', 'node3']) await cluster.add(name);
    await cluster.settled(60_000);
  });
  afterEach(() => cluster.stop());

  const stateOf = async (via: string, name: string) => {
    const { members } = await cluster.status(cluster.node(via));
    return members.find((member) => member.name === name);
  };
  const wordsAbout = (name: string): number =>
    ['node1', 'node2', 'node3']
      .map((via) => readFileSync(cluster.node(via).settings.logFile, 'utf8'))
      .flatMap((log) => log.split('\n'))
      .filter(
        (line) => line.includes('a supervisor reported the end of a node') && line.includes(name),
      ).length;

  it('tells the others that a child has ended, once, before it starts it again', async () => {
    const victim = cluster.node('node3');
    victim.signal('SIGKILL');
    await victim.ended();
    for (const via of ['node1', 'node2']) {
      await waitFor(
        20_000,
        () => `${via} does not know`,
        async () => (await stateOf(via, 'node3'))?.state === 'faulty',
      );
    }
    assert.equal(wordsAbout('node3'), 1);
    await victim.start();
    await cluster.settled(60_000);
    await victim.stop(20_000);
    await waitFor(
      20_000,
      () => 'the word about the second end is missing',
      async () => wordsAbout('node3') === 2 && (await stateOf('node1', 'node3'))?.state !== 'alive',
    );
  });

  it('is refuted by a node that lives', async () => {
    const url = `http://${cluster.node('node1').settings.admin}/api/v1/nodes`;
    const say = async (name: string) =>
      (await fetch(`${url}/${name}/ended`, { method: 'POST' })).status;
    assert.equal(await say('node2'), 204);
    assert.equal(await say('nobody'), 404);
    assert.equal(await say('node1'), 400);
    // The word has to reach node2 first.
    await waitFor(
      20_000,
      () => 'node2 does not refute it',
      async () => {
        const metrics = await fetch(`http://${cluster.node('node2').settings.admin}/metrics`);
        return /^shoal_swim_refutes_total\S* [1-9]/m.test(await metrics.text());
      },
    );
    await cluster.settled(20_000);
  });
});
