import assert from 'node:assert/strict';
import { threeCopies } from './copies.ts';

const [A, B, C, D] = ['a#1', 'b#1', 'c#1', 'd#1'] as const;

describe('forming views: planned changes', () => {
  it('keeps a copy whose disk takes 150 ms, and forms no view for its sake', () => {
    const { shard, c } = threeCopies([A, B, C]);
    c.syncMs = 150;
    shard.run(20_000, undefined, () => {
      if (shard.leader && shard.nowMs % 100 === 0) shard.leader.propose();
    });
    assert.deepEqual(shard.established, []);
    assert.equal(shard.leader?.replica.view.active.length, 3);
  });

  it('adds a copy whose disk takes 150 ms, in one view, without dropping another before', () => {
    const { shard } = threeCopies([A, B, C]);
    shard.add(D).syncMs = 150;
    shard.targets = [A, B, D];
    shard.voters = [A, B, D];
    const moved = () => {
      const view = shard.leader?.replica.view;
      return view?.active.includes(D) === true && !view.active.includes(C);
    };
    assert.ok(shard.run(10_000, moved));
    for (const { active } of shard.established) assert.ok(active.length >= 3, active.join());
    assert.ok(shard.run(5000, () => shard.leader?.replica.view.oldVoters.length === 0));
    const views = shard.established.length;
    shard.run(20_000);
    assert.equal(shard.established.length, views);
  });

  it('keeps the old copy while the new one misses its promise', () => {
    const { shard } = threeCopies([A, B, C]);
    shard.add(D);
    shard.drop = (_from, to, m) => to === D && m.type === 'prepare';
    shard.targets = [A, B, D];
    shard.voters = [A, B, D];
    shard.run(20_000);
    for (const { active } of shard.established) assert.deepEqual([...active].sort(), [A, B, C]);
    // Doubling pauses: a view after about 1, 3, 7 and 15 s.
    assert.ok(shard.established.length <= 6, `${shard.established.length} views`);
    assert.ok(shard.leader?.slow.includes(D));
    shard.drop = () => false;
    assert.ok(shard.run(35_000, () => shard.leader?.replica.view.active.includes(D) === true));
  });

  it('tells of a copy that is too slow and does not try it three times a second', () => {
    const { shard } = threeCopies([A, B, C]);
    shard.add(D).syncMs = 5000;
    shard.targets = [A, B, D];
    shard.run(20_000);
    assert.ok(shard.established.length <= 5, `${shard.established.length} views`);
    assert.ok(shard.leader?.slow.includes(D));
    assert.equal(shard.leader?.replica.view.active.length, 3);
  });

  it('drops a copy that is silent, and takes it back', () => {
    const { shard, a, c } = threeCopies([A, B, C]);
    c.down = true;
    assert.ok(shard.run(2000, () => shard.leader?.replica.view.active.length === 2));
    c.down = false;
    assert.ok(shard.run(5000, () => shard.leader?.replica.view.active.length === 3));
    assert.equal(shard.leader, a);
  });

  it('does not hand a shard back and forth between nodes that disagree on who is to lead', () => {
    const { shard, a, b } = threeCopies([A, B, C]);
    shard.handovers = true;
    a.targets = [B, A, C];
    b.targets = [A, B, C];
    shard.run(60_000);
    const { length } = shard.established;
    assert.ok(length >= 2 && length <= 8, `${length} views in 60 s`);
    a.targets = null;
    b.targets = null;
    assert.ok(shard.run(200_000, () => shard.leader === a));
  });

  it('hands a shard back at once when its node is to hold no copy any more', () => {
    const { shard, a, b } = threeCopies([A, B, C]);
    shard.handovers = true;
    a.targets = [B, A, C];
    assert.ok(shard.run(5000, () => shard.leader === b));
    a.targets = null;
    shard.targets = [A, C];
    assert.ok(shard.run(3000, () => shard.leader === a));
  });

  it('asks those again that refused or were not ready, instead of going on without', () => {
    const { shard, c } = threeCopies([A, B, C]);
    let dropped = 0;
    shard.drop = (_from, to, m) => to === C && m.type === 'prepare' && dropped++ === 0;
    shard.add(D);
    shard.targets = [A, B, C, D];
    assert.ok(shard.run(5000, () => shard.leader?.replica.view.active.includes(D) === true));
    assert.equal(dropped > 1, true);
    assert.ok(shard.established[0]?.active.includes(C));
    assert.equal(c.replica.valid, true);
  });
});
