import assert from 'node:assert/strict';
import { encodeMessage, encodeUpdate } from '../core/codec.ts';
import { SWIM_VERSIONS } from '../core/message.ts';
import { addressOf, find, stateOf, TestCluster } from './test-cluster.ts';

/** A cluster that has formed. */
function formed(seed: string, size: number): TestCluster {
  const cluster = new TestCluster(seed);
  cluster.addMany(size);
  cluster.until('forms', 5_000, () => cluster.whole());
  cluster.run(3_000);
  return cluster;
}

describe('identity in a simulated cluster', function () {
  this.timeout(60_000);

  it('the same name on a new address: all follow within a second, and nobody is faulty', () => {
    const cluster = formed('moved', 6);
    cluster.kill('n3');
    cluster.add('n3', { bootEpoch: 2, clusterId: 'c', address: 'moved:7000' });
    const tookMs = cluster.until('follows', 2_000, () =>
      [...cluster.agents.values()].every((agent) => find(agent, 'n3')?.address === 'moved:7000'),
    );
    assert.ok(tookMs <= 1_000, `${tookMs} ms`);
    cluster.run(20_000);
    assert.ok(cluster.whole(), cluster.describe());
    const seen = cluster.seenNot('alive').filter((line) => !line.endsWith(' suspect'));
    assert.deepEqual(seen, []);
  });

  it('a new name on an old address: the old name is dropped at once, the new one stays', () => {
    const cluster = formed('renamed', 6);
    cluster.kill('n3');
    cluster.add('x', { address: addressOf('n3') });
    const tookMs = cluster.until('drops', 3_000, () => cluster.allSee('faulty', ['n3']));
    assert.ok(tookMs <= 1_500, `${tookMs} ms`);
    cluster.run(60_000);
    assert.ok(cluster.allSee('alive', ['x', 'n0', 'n1', 'n2', 'n4', 'n5']), cluster.describe());
    assert.ok(cluster.allSee('faulty', ['n3']), cluster.describe());
    assert.ok(!cluster.seenNot('alive').some((line) => line.endsWith(' x faulty')));
  });

  it('two members that have swapped their addresses are both found', () => {
    const cluster = formed('swapped', 6);
    for (const name of ['n3', 'n4']) cluster.kill(name);
    cluster.add('n3', { bootEpoch: 2, clusterId: 'c', address: addressOf('n4') });
    cluster.add('n4', { bootEpoch: 2, clusterId: 'c', address: addressOf('n3') });
    cluster.until('finds both', 5_000, () =>
      [...cluster.agents.values()].every(
        (agent) =>
          find(agent, 'n3')?.address === addressOf('n4') &&
          find(agent, 'n4')?.address === addressOf('n3'),
      ),
    );
    cluster.run(20_000);
    assert.ok(cluster.whole(), cluster.describe());
  });

  it('a ghost after a restart: what its former life said is believed by nobody', () => {
    const cluster = formed('ghost', 5);
    cluster.kill('n3');
    cluster.add('n3', { bootEpoch: 2, clusterId: 'c' });
    cluster.until('takes', 2_000, () => cluster.whole());
    const said = encodeUpdate({
      name: 'n3',
      bootEpoch: 1,
      incarnation: 50,
      state: 'left',
      address: 'elsewhere:7000',
      meta: new Uint8Array(),
      unwell: false,
      versions: SWIM_VERSIONS,
      ageS: 0,
      accuser: '',
    });
    const header = { version: 1, clusterId: 'c', name: 'n3', bootEpoch: 1 };
    const late = encodeMessage(header, { type: 'gossip' }, [said]);
    const hearsay = encodeMessage({ ...header, name: 'n1' }, { type: 'gossip' }, [said]);
    for (const name of cluster.agents.keys()) {
      cluster.network.send(addressOf('n3'), addressOf(name), late);
      cluster.network.send(addressOf('n1'), addressOf(name), hearsay);
    }
    cluster.run(10_000);
    assert.ok(cluster.whole(), cluster.describe());
    for (const agent of cluster.agents.values()) {
      assert.equal(find(agent, 'n3')?.bootEpoch, 2);
      assert.equal(find(agent, 'n3')?.address, addressOf('n3'));
    }
    assert.equal(cluster.agent('n0').swim.counters.staleSender, 1);
  });

  it('two clusters that meet by reuse of an address: neither takes a member of the other', () => {
    const cluster = formed('reuse', 4);
    cluster.add('m0', { clusterId: 'd', seeds: [] });
    for (const name of ['m1', 'm2']) cluster.add(name, { seeds: [addressOf('m0')] });
    cluster.run(5_000);
    cluster.kill('n3');
    // A member of the other cluster starts where one of the first has been.
    cluster.add('m3', { address: addressOf('n3'), seeds: [addressOf('m0')] });
    cluster.run(60_000);
    const namesOf = (name: string): string[] =>
      cluster
        .agent(name)
        .members()
        .map((member) => `${member.name} ${member.state}`);
    for (const name of ['n0', 'n1', 'n2']) {
      assert.deepEqual(namesOf(name), ['n0 alive', 'n1 alive', 'n2 alive', 'n3 faulty']);
    }
    for (const name of ['m0', 'm1', 'm2', 'm3']) {
      assert.deepEqual(namesOf(name), ['m0 alive', 'm1 alive', 'm2 alive', 'm3 alive']);
    }
    assert.ok(cluster.agent('m3').swim.counters.otherCluster > 0);
  });

  it('a forged highest incarnation silences a member no longer than to its restart', () => {
    const cluster = formed('forged', 5);
    const victim = find(cluster.agent('n0'), 'n3');
    assert.ok(victim !== undefined);
    const said = encodeUpdate({
      ...victim,
      versions: SWIM_VERSIONS,
      incarnation: 0xffff_ffff,
      state: 'suspect',
      ageS: 0,
      accuser: 'n1',
    });
    const header = { version: 1, clusterId: 'c', name: 'n1', bootEpoch: 1 };
    const forged = encodeMessage(header, { type: 'gossip' }, [said]);
    cluster.network.send(addressOf('n1'), addressOf('n2'), forged);
    cluster.until('believes', 10_000, () => stateOf(cluster.agent('n2'), 'n3') === 'faulty');
    cluster.until('tells the operator', 5_000, () =>
      cluster.notices.has(`n3 1 SWIM_ERR_INCARNATION ${addressOf('n3')}`),
    );
    cluster.kill('n3');
    cluster.add('n3', { bootEpoch: 2, clusterId: 'c' });
    const tookMs = cluster.until('takes back', 2_000, () => cluster.whole());
    assert.ok(tookMs <= 500, `${tookMs} ms`);
  });
});
