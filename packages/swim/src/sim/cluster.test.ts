import assert from 'node:assert/strict';
import { addressOf, find, stateOf, TestCluster } from './test-cluster.ts';

const DEFAULTS = { protocolPeriodMs: 400 };

describe('simulated cluster', function () {
  this.timeout(60_000);

  for (const [size, medianMs, worstMs] of [
    [2, 1_500, 2_000],
    [3, 1_500, 2_000],
    [10, 1_500, 2_000],
    [32, 1_600, 2_000],
    [64, 1_900, 2_500],
  ] as const) {
    it(`of ${size} forms without suspicion, and all know of a crash in ${medianMs} ms (median)`, () => {
      const times: number[] = [];
      for (let seed = 0; seed < 5; seed++) {
        const cluster = new TestCluster(`crash ${size} ${seed}`);
        cluster.addMany(size);
        cluster.until('forms', 5_000, () => cluster.whole());
        cluster.run(3_000 + seed * 130);
        assert.deepEqual(cluster.seenNot('alive'), []);
        cluster.kill('n1');
        times.push(cluster.until('detects', 10_000, () => cluster.allSee('faulty', ['n1'])));
        cluster.run(2_000);
        assert.ok(cluster.whole(), cluster.describe());
      }
      times.sort((x, y) => x - y);
      assert.ok((times[2] as number) <= medianMs, `median of ${times}`);
      assert.ok((times[4] as number) <= worstMs, `worst of ${times}`);
    });
  }

  it('knows everywhere of a dead member that an operator removed; it may come back', () => {
    const cluster = new TestCluster('removed');
    cluster.addMany(5);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.kill('n1');
    cluster.until('detects', 10_000, () => cluster.allSee('faulty', ['n1']));
    cluster.agent('n2').forceLeave('n1');
    cluster.until('hears', 1_000, () => cluster.allSee('left', ['n1']));
    cluster.add('n5');
    cluster.until('tells a newcomer', 2_000, () => cluster.allSee('left', ['n1']));
    cluster.add('n1', { bootEpoch: 2, clusterId: 'c' });
    cluster.until('returns', 5_000, () => cluster.whole());
  });

  it('takes a removed member back that was only cut off', () => {
    const cluster = new TestCluster('cut off');
    cluster.addMany(5);
    cluster.until('forms', 5_000, () => cluster.whole());
    const [left, right] = [['n0', 'n2', 'n3'].map(addressOf), ['n1', 'n4'].map(addressOf)];
    cluster.network.split([left, right]);
    cluster.until('splits', 10_000, () => stateOf(cluster.agent('n2'), 'n1') === 'faulty');
    cluster.agent('n2').forceLeave('n1');
    cluster.until('hears', 1_000, () => stateOf(cluster.agent('n0'), 'n1') === 'left');
    cluster.network.heal();
    cluster.until('heals', 15_000, () => cluster.whole());
    // Who saw it alive all the time never held it to have left.
    assert.ok(!cluster.seen.has('n4 n1 left'));
  });

  it('heals when both halves of a split have removed each other', () => {
    const cluster = new TestCluster('both');
    cluster.addMany(4);
    cluster.until('forms', 5_000, () => cluster.whole());
    const halves = [
      ['n0', 'n1'],
      ['n2', 'n3'],
    ] as const;
    const [left, right] = halves;
    cluster.network.split([left.map(addressOf), right.map(addressOf)]);
    const sees = (observers: readonly string[], state: string, names: readonly string[]) =>
      observers.every((observer) =>
        names.every((name) => stateOf(cluster.agent(observer), name) === state),
      );
    const each = (state: string) => sees(left, state, right) && sees(right, state, left);
    cluster.until('splits', 10_000, () => each('faulty'));
    for (const name of right) cluster.agent('n0').forceLeave(name);
    for (const name of left) cluster.agent('n2').forceLeave(name);
    cluster.until('hears', 1_000, () => each('left'));
    cluster.network.heal();
    cluster.until('heals', 5_000, () => cluster.whole());
  });

  it('knows of a crash sooner when a reset connection hints at it', () => {
    const cluster = new TestCluster('hint');
    cluster.addMany(5);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.run(3_000);
    cluster.kill('n1');
    for (const agent of cluster.agents.values()) agent.probeNow('n1');
    const tookMs = cluster.until('detects', 5_000, () => cluster.allSee('faulty', ['n1']));
    assert.ok(tookMs <= 1_750, `${tookMs} ms`);
  });

  it('takes a hint for no evidence: a member that answers stays alive', () => {
    const cluster = new TestCluster('hint, but well');
    cluster.addMany(5);
    cluster.until('forms', 5_000, () => cluster.whole());
    for (const agent of cluster.agents.values()) agent.probeNow('n1');
    cluster.run(3_000);
    assert.deepEqual(cluster.seenNot('alive'), []);
  });

  for (const fallbackProbe of [true, false]) {
    it(`calls no member faulty at 5 % loss (streams ${fallbackProbe ? 'help' : 'do not help'})`, () => {
      const faults = {
        dropRate: 0.05,
        duplicateRate: 0.02,
        reorderRate: 0.05,
        reorderMs: 50,
        delayMaxMs: 5,
      };
      for (const size of [3, 8, 32]) {
        const cluster = new TestCluster(`loss ${size}`, faults, { ...DEFAULTS, fallbackProbe });
        cluster.addMany(size);
        cluster.until('forms', 10_000, () => cluster.whole());
        cluster.run(120_000);
        assert.deepEqual(
          cluster.seenNot('alive').filter((line) => !line.endsWith(' suspect')),
          [],
        );
        cluster.kill('n2');
        cluster.until('detects', 8_000, () => cluster.allSee('faulty', ['n2']));
      }
    });
  }

  it('survives the cut of one direction between two members without accusing for good', () => {
    const cluster = new TestCluster('one-way', {}, { ...DEFAULTS, fallbackProbe: false });
    cluster.addMany(6);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.network.cut(addressOf('n1'), addressOf('n2'));
    cluster.run(60_000);
    assert.deepEqual(
      cluster.seenNot('alive').filter((line) => line.endsWith(' faulty')),
      [],
    );
  });

  for (const [size, cutMs] of [
    [4, 10_000],
    [10, 60_000],
    [32, 600_000],
  ] as const) {
    it(`of ${size}: both halves of a split of ${cutMs} ms find each other and refute`, () => {
      const cluster = new TestCluster(`split ${size}`);
      cluster.addMany(size);
      cluster.until('forms', 5_000, () => cluster.whole());
      const names = [...cluster.agents.keys()];
      const left = names.filter((_, n) => n % 2 === 0);
      const right = names.filter((_, n) => n % 2 === 1);
      cluster.network.split([left.map(addressOf), right.map(addressOf)]);
      cluster.until('splits', 20_000, () =>
        [...cluster.agents].every(([name, agent]) => {
          const lost = left.includes(name) ? right : left;
          return lost.every((other) => stateOf(agent, other) === 'faulty');
        }),
      );
      cluster.run(cutMs);
      cluster.seen.clear();
      cluster.network.heal();
      cluster.until('heals', 5_000, () => cluster.whole());
      cluster.run(20_000);
      assert.ok(cluster.whole(), cluster.describe());
      // The word of the other side makes no member faulty that was not.
      const sides = cluster
        .seenNot('alive')
        .filter((line) => line.endsWith(' faulty'))
        .filter((line) => {
          const [observer = '', name = ''] = line.split(' ');
          return left.includes(observer) === left.includes(name);
        });
      assert.deepEqual(sides, []);
    });
  }

  it('takes back a member that was isolated for minutes, though all called it faulty', () => {
    const cluster = new TestCluster('isolated');
    cluster.addMany(5);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.network.isolate(addressOf('n3'));
    cluster.run(300_000);
    assert.equal(stateOf(cluster.agent('n0'), 'n3'), 'faulty');
    cluster.network.rejoin(addressOf('n3'));
    cluster.until('takes back', 5_000, () => cluster.whole());
  });

  it('tells left from faulty, and forgets neither at once', () => {
    const cluster = new TestCluster('leave');
    cluster.addMany(8);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.agent('n4').leave();
    const tookMs = cluster.until('knows', 1_500, () => cluster.allSee('left', ['n4']));
    assert.ok(tookMs <= 500, `${tookMs} ms`);
    cluster.until('left', 1_500, () => cluster.left.has('n4'));
    cluster.kill('n4');
    cluster.run(60_000);
    assert.ok(cluster.allSee('left', ['n4']), cluster.describe());
  });

  it('forgets the dead alike after their time, and no member brings them back', () => {
    const cluster = new TestCluster('forget', {}, { ...DEFAULTS, forgetAfterMs: 120_000 });
    cluster.addMany(6);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.kill('n1');
    cluster.agent('n2').leave();
    cluster.run(2_000);
    cluster.kill('n2');
    cluster.run(100_000);
    assert.ok(cluster.allSee('faulty', ['n1']), cluster.describe());
    cluster.run(40_000);
    for (const agent of cluster.agents.values()) {
      assert.equal(agent.members().length, 4, cluster.describe());
    }
    cluster.run(300_000);
    for (const agent of cluster.agents.values()) assert.equal(agent.members().length, 4);
  });

  it('takes a rebirth under a newer boot epoch at once, without any member being faulty', () => {
    const cluster = new TestCluster('rebirth');
    cluster.addMany(6);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.kill('n3');
    cluster.add('n3', { bootEpoch: 2, clusterId: 'c' });
    const tookMs = cluster.until('takes', 2_000, () =>
      [...cluster.agents.values()].every((agent) => {
        const reborn = find(agent, 'n3');
        return reborn?.bootEpoch === 2 && reborn.state === 'alive';
      }),
    );
    assert.ok(tookMs <= 500, `${tookMs} ms`);
    cluster.run(20_000);
    assert.ok(cluster.whole());
    assert.deepEqual(cluster.seenNot('alive'), []);
  });

  it('takes a rebirth even if no member was told: probes of the old life reach the new one', () => {
    const cluster = new TestCluster('rebirth, no seeds');
    cluster.addMany(4);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.kill('n3');
    cluster.add('n3', { bootEpoch: 2, clusterId: 'c', seeds: [] });
    cluster.until('takes', 5_000, () =>
      [...cluster.agents.values()].every((agent) => find(agent, 'n3')?.bootEpoch === 2),
    );
    cluster.until('whole', 2_000, () => cluster.whole());
  });

  it('drops a ghost whose address answers under another name', () => {
    const cluster = new TestCluster('ghost');
    cluster.addMany(5);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.kill('n3');
    cluster.add('x', { address: addressOf('n3') });
    const tookMs = cluster.until('drops', 3_000, () => cluster.allSee('faulty', ['n3']));
    assert.ok(tookMs <= 1_500, `${tookMs} ms`);
    cluster.run(20_000);
    assert.ok(cluster.allSee('alive', ['x', 'n0', 'n1', 'n2', 'n4']), cluster.describe());
  });

  it('without datagrams: all stay alive, and it is said; a crash is found all the same', () => {
    const cluster = new TestCluster('no datagrams');
    cluster.addMany(6);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.run(5_000);
    const saysSo = () => [...cluster.notices].filter((line) => line.includes('DATAGRAMS_LOST'));
    assert.deepEqual(saysSo(), []);
    cluster.network.passDatagrams(false);
    cluster.run(10_000);
    assert.ok(cluster.whole(), cluster.describe());
    const sayers = new Set(saysSo().map((line) => line.slice(0, 2)));
    assert.equal(sayers.size, 6, saysSo().join());
    cluster.kill('n5');
    cluster.until('finds', 10_000, () => cluster.allSee('faulty', ['n5']));
    cluster.network.passDatagrams(true);
    cluster.notices.clear();
    cluster.run(20_000);
    assert.deepEqual(saysSo(), []);
    assert.ok(cluster.whole(), cluster.describe());
  });

  it('tells the older of two processes of one name, and ends without a fight', () => {
    const cluster = new TestCluster('twins');
    cluster.addMany(4);
    cluster.until('forms', 5_000, () => cluster.whole());
    const older = cluster.agent('n3');
    cluster.network.isolate(older.address);
    cluster.add('n3', { bootEpoch: 9, clusterId: 'c', address: 'elsewhere:7000' });
    cluster.until('takes over', 10_000, () =>
      ['n0', 'n1', 'n2'].every((name) => find(cluster.agent(name), 'n3')?.bootEpoch === 9),
    );
    cluster.network.rejoin(older.address);
    cluster.until('tells', 30_000, () =>
      cluster.notices.has('n3 1 SWIM_ERR_NAME_CONFLICT elsewhere:7000'),
    );
    cluster.run(10_000);
    assert.equal(older.swim.counters.refutes, 0);
    for (const agent of cluster.agents.values()) assert.equal(find(agent, 'n3')?.bootEpoch, 9);
  });

  it('keeps a process out that has the name of a live member, whichever member it asks', () => {
    const cluster = new TestCluster('namesake');
    cluster.addMany(4);
    cluster.until('forms', 5_000, () => cluster.whole());
    const living = cluster.agent('n3');
    for (const seed of ['n0', 'n3']) {
      const options = { bootEpoch: 9, address: `${seed}-namesake:7000`, seeds: [addressOf(seed)] };
      const namesake = cluster.add('n3', options);
      cluster.run(10_000);
      assert.ok(cluster.notices.has(`n3 9 SWIM_ERR_NAME_TAKEN ${addressOf(seed)}`));
      assert.equal(namesake.swim.clusterId, '');
      namesake.stop();
      cluster.agents.set('n3', living);
    }
    cluster.run(5_000);
    assert.ok(cluster.whole());
    for (const agent of cluster.agents.values()) assert.equal(find(agent, 'n3')?.bootEpoch, 1);
    assert.deepEqual(
      cluster.seenNot('alive').filter((line) => !line.endsWith(' suspect')),
      [],
    );
  });

  it('a stalled member accuses no other when it wakes, and lives on if it wakes in time', () => {
    const cluster = new TestCluster('stall', {}, { ...DEFAULTS, fallbackProbe: false });
    cluster.addMany(5);
    cluster.until('forms', 5_000, () => cluster.whole());
    for (let round = 0; round < 20; round++) {
      cluster.agent('n2').pause();
      cluster.run(600);
      cluster.agent('n2').resume();
      cluster.run(3_000);
    }
    const accused = cluster.seenNot('alive').filter((line) => !line.includes(' n2 '));
    assert.deepEqual(accused, []);
    assert.ok(!cluster.seenNot('alive').some((line) => line.endsWith('faulty')));
    assert.ok(cluster.agent('n2').swim.counters.stalls > 0);
    assert.ok(cluster.whole(), cluster.describe());
  });

  it('comes back by itself after a stall so long that all called it faulty', () => {
    const cluster = new TestCluster('long stall');
    cluster.addMany(5);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.agent('n2').pause();
    cluster.run(30_000);
    assert.equal(stateOf(cluster.agent('n0'), 'n2'), 'faulty');
    cluster.seen.clear();
    cluster.agent('n2').resume();
    cluster.until('whole', 5_000, () => cluster.whole());
    cluster.run(10_000);
    const accused = cluster.seenNot('alive').filter((line) => line.endsWith(' faulty'));
    assert.deepEqual(
      accused.filter((line) => !line.includes(' n2 ')),
      [],
    );
  });

  it('starts in any order: joiners wait for their seeds', () => {
    const cluster = new TestCluster('order');
    cluster.add('n1');
    cluster.add('n2', { seeds: [addressOf('n1'), addressOf('n2')] });
    cluster.run(30_000);
    assert.equal(cluster.agent('n1').swim.clusterId, '');
    assert.equal(cluster.agent('n2').members().length, 1);
    cluster.add('n0');
    cluster.until('forms', 3_000, () => cluster.whole());
    assert.equal(cluster.agent('n2').swim.clusterId, 'c');
  });

  it('never merges two clusters, from whichever side the attempt comes', () => {
    const cluster = new TestCluster('two clusters');
    cluster.add('n0');
    cluster.add('n1');
    cluster.add('m0', { clusterId: 'd', seeds: [addressOf('n0')] });
    cluster.add('m1', { seeds: [addressOf('m0')] });
    cluster.run(3_000);
    let error: string | undefined;
    cluster.agent('n1').join(addressOf('m1'), (code) => {
      error = code;
    });
    cluster.run(20_000);
    assert.equal(error, 'SWIM_ERR_OTHER_CLUSTER');
    assert.ok(cluster.notices.has(`m0 1 SWIM_ERR_OTHER_CLUSTER ${addressOf('n0')}`));
    for (const [mine, count] of [
      ['n0', 2],
      ['m0', 2],
      ['m1', 2],
    ] as const) {
      assert.equal(cluster.agent(mine).members().length, count, cluster.describe());
    }
  });

  it('makes two islands of one cluster one, if a seed names the other', () => {
    const cluster = new TestCluster('islands', {}, { ...DEFAULTS, syncIntervalMs: 2_000 });
    cluster.add('n0');
    cluster.add('n1');
    cluster.add('m0', { clusterId: 'c', seeds: [] });
    cluster.add('m1', { clusterId: 'c', seeds: [addressOf('m0'), addressOf('n1')] });
    cluster.until('one', 5_000, () => cluster.whole());
  });

  it('replays bit for bit from its seed', () => {
    const history = (): string => {
      const cluster = new TestCluster('replay', { dropRate: 0.1, duplicateRate: 0.05 });
      cluster.addMany(8);
      cluster.run(5_000);
      cluster.kill('n5');
      cluster.run(10_000);
      return `${JSON.stringify(cluster.network.counters)}\n${cluster.describe()}`;
    };
    assert.equal(history(), history());
  });

  it('keeps quiet once all is told: two datagrams a period and member', () => {
    const cluster = new TestCluster('quiet');
    cluster.addMany(10);
    cluster.until('forms', 5_000, () => cluster.whole());
    cluster.run(10_000);
    const before = cluster.network.counters.sent;
    cluster.run(12_500);
    const perPeriod = (cluster.network.counters.sent - before) / 10 / 100;
    assert.ok(perPeriod <= 2.1, `${perPeriod}`);
  });
});
