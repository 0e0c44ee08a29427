import assert from 'node:assert/strict';
import { TestShard } from './copies.ts';

const [A, B] = ['a#1', 'b#1'];
const ENTRY_BYTES = 100_000;

describe('an active copy that is behind', () => {
  it('is sent the rest from disk at its pace, holds no memory and stays active', () => {
    const shard = new TestShard(2);
    const [a, b] = [shard.add(A), shard.add(B)];
    shard.targets = [A, B];
    shard.voters = [A, B];
    assert.ok(shard.run(10_000, () => shard.leader?.replica.view.active.length === 2));
    shard.run(1000);
    shard.established.length = 0;
    assert.equal(shard.leader, a);
    let room = false;
    shard.full = (_, to) => to === B && !room;
    for (let i = 0; i < 50; i++) {
      a.propose(ENTRY_BYTES);
      shard.run(10);
    }
    const { log } = a.replica;
    assert.ok(a.replica.commit < log.end - 40);
    assert.ok(log.memBytes <= 2 * ENTRY_BYTES, `${log.memBytes}`);
    // Entries of 1 MB go at a time, as the way drains.
    let appends = 0;
    shard.drop = (_, to, { type }) => {
      if (to === B && type === 'append') appends++;
      return false;
    };
    for (let i = 0; i < 40 && a.replica.commit < log.end; i++) {
      room = true;
      a.replica.onDrained(B);
      room = false;
      shard.run(20);
      room = true;
      shard.run(20);
    }
    assert.equal(a.replica.commit, log.end);
    assert.equal(b.replica.log.end, log.end);
    assert.ok(appends >= 5, `${appends}`);
    assert.deepEqual(shard.established, [], 'no view is formed');
  });
});
