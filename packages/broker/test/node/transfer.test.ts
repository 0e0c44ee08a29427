import assert from 'node:assert/strict';
import { type TestCopy, TestShard } from './copies.ts';

const [A, B, C] = ['a#1', 'b#1', 'c#1'];

/** Two active copies with traffic and large states; the third has to be brought up by a snapshot. */
function busyShard(): { shard: TestShard; c: TestCopy; traffic: () => void } {
  const shard = new TestShard(3, { checkpointEvery: 50, tailKeep: 20 });
  for (const id of [A, B]) shard.add(id).machine.size = 1_500_000;
  shard.targets = [A, B, C];
  shard.voters = [A];
  assert.ok(shard.run(5000, () => shard.leader?.replica.view.active.length === 2));
  const traffic = () => {
    const { leader } = shard;
    if (leader?.replica.canPropose) leader.propose(100);
  };
  shard.run(2000, undefined, traffic);
  const c = shard.add(C);
  c.machine.size = 1_500_000;
  return { shard, c, traffic };
}

describe('bringing a copy up to date', () => {
  it('gets through by a snapshot while checkpoints go on, and then lets the tail go', () => {
    const { shard, c, traffic } = busyShard();
    c.syncMs = 50;
    const whole = () => shard.leader?.replica.view.active.includes(C) === true;
    assert.ok(shard.run(10_000, whole, traffic), 'the copy is active');
    shard.run(2000, undefined, traffic);
    const { replica } = shard.leader!;
    assert.ok(replica.log.end - replica.log.tailStart < 200, 'the tail is let go');
    assert.ok(replica.kept.length < 200);
    shard.run(500);
    assert.equal(c.machine.count, shard.leader!.machine.count);
  });

  it('holds nothing for a transfer that makes no progress', () => {
    const { shard, c, traffic } = busyShard();
    c.syncMs = 50;
    shard.run(350, undefined, traffic);
    assert.ok(shard.leader?.replica.syncs.get(C)?.snapshot);
    c.syncMs = 1e9;
    shard.run(6000, undefined, traffic);
    const { replica } = shard.leader!;
    assert.ok(replica.log.end - replica.log.tailStart < 800, 'the tail is let go');
  });

  it('finds a learner too slow before a view waits for it', () => {
    const shard = new TestShard(3);
    for (const id of [A, B]) shard.add(id);
    shard.targets = [A, B, C];
    shard.voters = [A];
    shard.run(5000);
    const views = shard.established.length;
    shard.add(C).syncMs = 2000;
    shard.run(30_000);
    assert.equal(shard.established.length, views);
    const { slow } = shard.leader!;
    assert.ok(slow.length >= 3 && slow.length <= 6, `told ${slow.length} times`);
  });
});
