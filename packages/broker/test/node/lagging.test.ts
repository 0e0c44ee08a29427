import assert from 'node:assert/strict';
import { TestShard, threeCopies } from './copies.ts';

const [A, B, C] = ['a#1', 'b#1', 'c#1'] as const;
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
      a.replica.appending.onDrained(B);
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

  it('gets what it lacks of a starting log in pages, each as there is room', () => {
    const { shard, a, b, c } = threeCopies([A, B, C]);
    shard.full = (_, to) => to === B;
    for (let i = 0; i < 40; i++) {
      a.propose(ENTRY_BYTES);
      shard.run(10);
    }
    const { end } = a.replica.log;
    assert.ok(b.replica.log.end < end - 30);
    const pages: number[] = [];
    let room = 0;
    shard.full = (_, to) => to === B && --room < 0;
    shard.drop = (_, to, message) => {
      if (to === B && message.type === 'install')
        pages.push(message.entries.reduce((sum, { length }) => sum + length, 0));
      return false;
    };
    a.down = true;
    const formed = () => c.replica.role === 'leader' && c.replica.isActive(B);
    assert.ok(shard.run(10_000, formed, () => (room = 2)));
    assert.equal(b.replica.log.end, c.replica.log.end);
    assert.ok(c.replica.commit >= end);
    assert.ok(pages.length >= 4, pages.join());
    for (const bytes of pages) assert.ok(bytes <= 1.2 * 1024 * 1024, pages.join());
  });
});
