import assert from 'node:assert/strict';
import { encodeMessage, encodeUpdate } from '../core/codec.ts';
import { SWIM_VERSIONS, type Update } from '../core/message.ts';
import { addressOf, find, stateOf, TestCluster } from './test-cluster.ts';

/** A cluster that has formed. */
function formed(seed: string, size: number): TestCluster {
  const cluster = new TestCluster(seed);
  cluster.addMany(size);
  cluster.until('forms', 5_000, () => cluster.whole());
  cluster.run(3_000);
  return cluster;
}

/** What a process says of itself at its start. */
function wordOf(name: string, bootEpoch: number): Update {
  return {
    name,
    bootEpoch,
    incarnation: 0,
    state: 'alive',
    address: addressOf(name),
    meta: new Uint8Array(),
    unwell: false,
    versions: SWIM_VERSIONS,
    ageS: 0,
    accuser: '',
  };
}

describe('identity in a simulated cluster', function () {
  this.timeout(60_000);

  it('the same name on a new address: all follow once the old one is found dead, in two seconds', () => {
    const cluster = formed('moved', 6);
    cluster.kill('n3');
    cluster.add('n3', { bootEpoch: 2, clusterId: 'c', address: 'moved:7000' });
    const tookMs = cluster.until('follows', 5_000, () =>
      [...cluster.agents.values()].every((agent) => find(agent, 'n3')?.address === 'moved:7000'),
    );
    assert.ok(tookMs <= 2_500, `${tookMs} ms`);
    cluster.run(20_000);
    assert.ok(cluster.whole(), cluster.describe());
    const seen = cluster.seenNot('alive').filter((line) => !line.endsWith(' suspect'));
    assert.ok(
      seen.every((line) => line.endsWith(' n3 faulty')),
      seen.join(),
    );
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

  it('a restart with the clock back: takes the epoch after its former life, alive to all', () => {
    for (const [seed, downMs] of [
      ['clock-0', 0],
      ['clock-1', 20_000],
    ] as const) {
      const cluster = formed(seed, 6);
      cluster.kill('n3');
      cluster.add('n3', { bootEpoch: 7, clusterId: 'c' });
      cluster.until('takes', 5_000, () => cluster.whole());
      cluster.kill('n3');
      cluster.run(downMs);
      const again = cluster.add('n3', { bootEpoch: 2, clusterId: 'c' });
      const isBack = () =>
        [...cluster.agents.values()].every((agent) => {
          const { state, bootEpoch } = find(agent, 'n3') ?? {};
          return state === 'alive' && bootEpoch === 8;
        });
      cluster.until('is back', 6_000, isBack);
      assert.equal(again.swim.counters.epochsRaised, 1);
      assert.ok(cluster.notices.has(`n3 2 SWIM_ERR_BOOT_EPOCH ${addressOf('n3')}`));
      cluster.run(20_000);
      assert.ok(isBack() && cluster.whole(), cluster.describe());
    }
  });

  it('a former life on another address, found dead: the restart with the clock back follows it', () => {
    const cluster = formed('clock-moved', 6);
    cluster.kill('n3');
    cluster.run(20_000);
    assert.ok(cluster.allSee('faulty', ['n3']), cluster.describe());
    cluster.add('n3', { bootEpoch: 0, clusterId: 'c', address: 'moved:7000' });
    cluster.until('is back', 6_000, () => cluster.whole());
    for (const agent of cluster.agents.values()) assert.equal(find(agent, 'n3')?.bootEpoch, 2);
  });

  it('what has a later life is answered by nothing: it sees no other member alive', () => {
    const cluster = formed('zombie', 4);
    const zombie = cluster.agent('n3');
    cluster.network.isolate(zombie.address);
    cluster.add('n3', { bootEpoch: 9, clusterId: 'c', address: 'elsewhere:7000' });
    cluster.until('takes over', 20_000, () =>
      ['n0', 'n1', 'n2'].every((name) => find(cluster.agent(name), 'n3')?.bootEpoch === 9),
    );
    cluster.network.rejoin(zombie.address);
    cluster.run(20_000);
    for (const name of ['n0', 'n1', 'n2']) assert.equal(stateOf(zombie, name), 'faulty', name);
  });

  it('a process that takes the name of a member gets it by no pause of that member', () => {
    for (const pauseMs of [500, 950]) {
      const cluster = formed(`clone-${pauseMs}`, 4);
      const first = cluster.agent('n3');
      // By joining again and again, and by gossip of members that have let it in.
      cluster.add('n3', { bootEpoch: 9, address: 'clone:7000' });
      const clone = encodeUpdate({ ...wordOf('n3', 9), address: 'clone:7000' });
      const header = { version: 1, clusterId: 'c', name: 'n3', bootEpoch: 9 };
      const gossip = encodeMessage(header, { type: 'gossip' }, [clone]);
      for (let tellMs = 0; tellMs < pauseMs + 4_000; tellMs += 50) {
        if (tellMs === 1_000) first.pause();
        if (tellMs === 1_000 + pauseMs) first.resume();
        for (const name of tellMs % 250 === 0 ? ['n0', 'n1', 'n2'] : []) {
          cluster.network.send('clone:7000', addressOf(name), gossip);
        }
        cluster.run(50);
      }
      for (const name of ['n0', 'n1', 'n2']) {
        const { address, state, bootEpoch } = find(cluster.agent(name), 'n3') ?? {};
        const line = `${address} ${state} ${bootEpoch}`;
        assert.equal(line, `${addressOf('n3')} alive 1`, `${name} after ${pauseMs}`);
      }
      assert.ok(cluster.notices.has('n0 1 SWIM_ERR_NAME_CLAIMED clone:7000'));
      // Those that are in are not told that their own names are taken: owners end for that.
      const ended = [...cluster.notices].filter((line) => /^n\d 1 .*(TAKEN|CONFLICT)/.test(line));
      assert.deepEqual(ended, []);
    }
  });

  it('two processes of one name and one boot epoch: the second stays out, and is told', () => {
    const cluster = formed('equals', 4);
    for (const seed of ['n0', 'n3']) {
      const first = cluster.agent('n3');
      const twin = cluster.add('n3', {
        bootEpoch: 1,
        clusterId: 'c',
        address: `twin-of-${seed}:7000`,
        seeds: [addressOf(seed)],
      });
      cluster.run(5_000);
      twin.setMeta(new Uint8Array(3));
      cluster.run(5_000);
      assert.ok(cluster.notices.has(`n3 1 SWIM_ERR_NAME_TAKEN ${addressOf(seed)}`));
      twin.stop();
      cluster.agents.set('n3', first);
      for (const agent of cluster.agents.values()) {
        assert.equal(find(agent, 'n3')?.address, addressOf('n3'));
      }
    }
  });

  it('a ghost after a restart: what its former life said is not believed', () => {
    const cluster = formed('ghost', 5);
    cluster.kill('n3');
    cluster.add('n3', { bootEpoch: 2, clusterId: 'c' });
    cluster.until('takes', 2_000, () => cluster.whole());
    const said = encodeUpdate({
      ...wordOf('n3', 1),
      incarnation: 50,
      state: 'left',
      address: 'elsewhere:7000',
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
