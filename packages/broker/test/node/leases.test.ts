import assert from 'node:assert/strict';
import type { Peers } from '../../src/node/link/peers.ts';
import { Leases } from '../../src/node/route/leases.ts';
import { nameOf } from '../../src/shard/view.ts';
import { type TestCopy, TestShard } from './copies.ts';

const [A, B] = ['a#1', 'b#1'];

/** Two copies; `b` leads, and `a` has the only vote. */
function twoCopies(): { shard: TestShard; a: TestCopy; b: TestCopy } {
  const shard = new TestShard(2);
  const a = shard.add(A);
  const b = shard.add(B);
  shard.targets = [B, A];
  shard.voters = [A];
  shard.handovers = true;
  assert.ok(shard.run(5000, () => shard.leader === b && b.replica.view.active.length === 2));
  shard.established.length = 0;
  return { shard, a, b };
}

/** The leases of a node whose peers have answered a heartbeat of now. */
function leasesOf(shard: TestShard, copy: TestCopy): Leases {
  const ids = [...shard.copies.keys()];
  const get = (name: string) => {
    const id = ids.find((other) => nameOf(other) === name);
    return id && { id, up: true, ackedMs: shard.nowMs };
  };
  const cluster = { silenceMs: 500, replicas: 2, minCopies: 1 };
  return new Leases({ get } as unknown as Peers, copy.id, cluster as never, () => []);
}

describe('leader leases', () => {
  it('hold a restarted copy with the only vote back while another leads', () => {
    const { shard, a, b } = twoCopies();
    b.down = true;
    a.justBooted = true;
    shard.run(2000);
    assert.deepEqual(shard.established, []);
    a.justBooted = false;
    assert.ok(shard.run(2000, () => shard.leader === a));
  });

  it('do not hold the only voter back that led itself', () => {
    const shard = new TestShard(1);
    const a = shard.add(A);
    shard.targets = [A];
    shard.voters = [A];
    a.justBooted = true;
    assert.ok(shard.run(500, () => shard.leader === a));
  });

  it('end when another copy is asked to lead, before any voter has promised', () => {
    const { shard, a, b } = twoCopies();
    const leases = leasesOf(shard, b);
    assert.ok(leases.leaderUntil(b.replica) > shard.nowMs);
    shard.drop = (_from, _to, m) => m.type === 'handover';
    shard.targets = [A, B];
    assert.ok(shard.run(10_000, () => b.replica.yielded));
    assert.equal(leases.leaderUntil(b.replica), Number.NEGATIVE_INFINITY);
    // The hand-over came to nothing: only a view in which no voter may promise for its sake has a lease.
    assert.ok(shard.run(3000, () => shard.established.length > 0));
    assert.equal(shard.leader, b);
    assert.ok(leasesOf(shard, b).leaderUntil(b.replica) > shard.nowMs);
    assert.equal(a.replica.role, 'follower');
  });
});
