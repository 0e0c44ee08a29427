import assert from 'node:assert/strict';
import { entryKey } from '../../src/shard/keys.ts';
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
    const kept = shard.leader!.store.syncedView().filter(({ key }) => key[3] === 3);
    assert.ok(kept.length < 200, `${kept.length} entries on the disk`);
    shard.run(500);
    assert.equal(c.machine.count, shard.leader!.machine.count);
  });

  it('goes on with an interrupted snapshot where it was', () => {
    const shard = new TestShard(3, { checkpointEvery: 50, tailKeep: 20 });
    const copies = [A, B].map((id) => shard.add(id));
    for (const copy of copies) copy.machine.keepsAll = true;
    shard.targets = [A, B, C];
    shard.voters = [A];
    assert.ok(shard.run(5000, () => shard.leader?.replica.view.active.length === 2));
    for (let i = 0; i < 400; i++) shard.leader!.propose(20_000);
    shard.run(1000);
    const c = shard.add(C);
    c.machine.keepsAll = true;
    c.syncMs = 50;
    let sent = 0;
    shard.drop = (_from, to, m) => {
      if (to === C && m.type === 'snapshot') sent += m.entries.length;
      return false;
    };
    assert.ok(shard.run(5000, () => sent > 200));
    c.down = true;
    // Goes on being written: some is new by the time it is back.
    shard.run(1000, undefined, () => shard.leader!.propose(100));
    c.down = false;
    for (const { replica } of copies) replica.onLinkUp(C);
    const active = () => shard.leader?.replica.view.active.includes(C) === true;
    assert.ok(shard.run(20_000, active));
    shard.run(500);
    const { machine, replica } = shard.leader!;
    assert.equal(c.machine.count, machine.count);
    assert.ok(sent < machine.count + 30, `${sent} entries sent of ${machine.count}`);
    // All of them are on its disk, and nothing else.
    const kept = c.store.syncedView().filter(({ key }) => key[3] === 3);
    assert.equal(kept.length, replica.log.end);
  });

  it('begins a snapshot anew when what it noted of it is not there', () => {
    const shard = new TestShard(2, { checkpointEvery: 50, tailKeep: 0 });
    shard.add(A).machine.keepsAll = true;
    shard.targets = [A, B];
    shard.voters = [A];
    shard.run(1000);
    for (let i = 0; i < 100; i++) shard.leader!.propose(20_000);
    shard.run(500);
    const b = shard.add(B);
    b.machine.keepsAll = true;
    b.syncMs = 50;
    let parts = 0;
    shard.drop = (_from, to, m) => to === B && m.type === 'snapshot' && parts++ < 0;
    assert.ok(shard.run(5000, () => parts > 4));
    b.down = true;
    b.store.write([{ key: entryKey(0, 7), value: null }], true, () => {});
    shard.run(4000);
    b.down = false;
    assert.ok(shard.run(20_000, () => shard.leader?.replica.view.active.includes(B) === true));
    const kept = b.store.syncedView().filter(({ key }) => key[3] === 3);
    assert.equal(kept.length, shard.leader!.replica.log.end);
    assert.ok(b.phases.includes('partial-broken'));
  });

  it('holds nothing for a transfer that makes no progress', () => {
    const { shard, c, traffic } = busyShard();
    c.syncMs = 50;
    shard.run(350, undefined, traffic);
    assert.ok(shard.leader?.phases.includes('snapshot'));
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
