import assert from 'node:assert/strict';
import { hardKey } from '../../src/shard/keys.ts';
import { decodeHard } from '../../src/shard/record.ts';
import type { View } from '../../src/shard/view.ts';
import { type TestCopy, TestShard } from './copies.ts';

const [A, B] = ['a#1', 'b#1'];

/** One copy with three entries, which is to move to another one with the only vote. */
function moving(): { shard: TestShard; a: TestCopy; b: TestCopy } {
  const shard = new TestShard(1);
  const a = shard.add(A);
  shard.targets = [A];
  shard.voters = [A];
  assert.ok(shard.run(2000, () => shard.leader === a));
  for (let i = 0; i < 3; i++) a.propose();
  const b = shard.add(B);
  shard.targets = [B];
  shard.voters = [B];
  return { shard, a, b };
}

/** The view that is on the copy's disk. */
function stored(copy: TestCopy): View | undefined {
  const key = Buffer.from(hardKey(0));
  const record = copy.store.syncedView().find((r) => key.equals(r.key));
  return record && decodeHard(record.value).view;
}

const gives = ({ voters, oldVoters }: View) => voters[0] === B && oldVoters[0] === A;

describe('a change of the only voter', () => {
  it('is taken back by its leader when the new voter never comes', () => {
    const { shard, a, b } = moving();
    shard.drop = (_from, _to, m) => m.type === 'install';
    assert.ok(shard.run(5000, () => gives(a.replica.view)));
    b.down = true;
    shard.established.length = 0;
    assert.ok(shard.run(5000, () => shard.leader === a));
    const { voters, oldVoters, active } = a.replica.view;
    assert.deepEqual({ voters, oldVoters, active }, { voters: [A], oldVoters: [], active: [A] });
    assert.equal(a.machine.count, 3);
    a.propose();
    assert.ok(shard.run(1000, () => a.replica.commit === 4));
  });

  it('goes on when the new voter comes back after that', () => {
    const { shard, a, b } = moving();
    let lost = true;
    shard.drop = (_from, _to, m) => lost && m.type === 'installed';
    assert.ok(shard.run(5000, () => gives(b.replica.view)));
    b.down = true;
    shard.established.length = 0;
    assert.ok(shard.run(5000, () => shard.leader === a));
    a.propose();
    lost = false;
    b.down = false;
    const settled = ({ voters, oldVoters }: View) => voters[0] === B && oldVoters.length === 0;
    assert.ok(shard.run(10_000, () => settled(b.replica.view) && b.machine.count === 4));
  });

  it('is not taken back while the new voter is heard', () => {
    const { shard, a } = moving();
    shard.drop = (_from, _to, m) => m.type === 'install';
    assert.ok(shard.run(5000, () => gives(a.replica.view)));
    shard.drop = (_from, to) => to === B;
    shard.established.length = 0;
    shard.run(10_000);
    assert.deepEqual(shard.established, []);
    assert.ok(!a.phases.includes('withdraw'));
  });

  it('is not taken back once the new voter may have decided alone', () => {
    const { shard, a, b } = moving();
    const alone = ({ voters, oldVoters }: View) => voters[0] === B && oldVoters.length === 0;
    assert.ok(shard.run(5000, () => alone(a.replica.view)));
    b.down = true;
    shard.run(10_000);
    assert.notEqual(shard.leader, a);
    assert.ok(!a.phases.includes('withdraw'));
  });

  it('is on the disk of the old voter before the new one learns that it votes alone', () => {
    const { shard, a } = moving();
    a.syncMs = 150;
    const kept: (number | undefined)[] = [];
    shard.drop = (_from, to, m) => {
      if (m.type !== 'install' || to !== B || m.view.oldVoters.length > 0) return false;
      if (m.view.voters[0] === B)
        kept.push((stored(a)?.number.counter ?? 0) - m.view.number.counter);
      return false;
    };
    assert.ok(shard.run(20_000, () => kept.length > 0));
    assert.deepEqual(new Set(kept), new Set([0]));
  });
});
