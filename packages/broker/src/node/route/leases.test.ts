import assert from 'node:assert/strict';
import { member } from '../../../test/samples.ts';
import type { Replica } from '../../shard/replica.ts';
import { copyId } from '../../shard/view.ts';
import { Peer } from '../link/peers.ts';
import { CONFIRMING_MAX, Leases } from './leases.ts';

const SILENCE_MS = 500;
const NOW_MS = 10_000;
const SELF = copyId('n1', 's1');
const [N2, N3] = [copyId('n2', 's2'), copyId('n3', 's3')];

type Fake = Pick<Replica, 'role' | 'yielded' | 'forming' | 'leaseKey' | 'witnesses'> & {
  view: { voters: string[]; oldVoters: string[] };
};

/** Node n1 with links to n2 and n3; it may lead a shard. */
function setUp() {
  const n2 = new Peer(member('n2', { meta: { storeId: 's2' } }));
  const n3 = new Peer(member('n3', { meta: { storeId: 's3' } }));
  for (const peer of [n2, n3]) peer.linked(1, NOW_MS);
  const get = (name: string) => [n2, n3].find((peer) => peer.name === name);
  const fake: Fake = {
    role: 'leader',
    yielded: false,
    forming: false,
    leaseKey: 'k',
    witnesses: new Set([SELF, N2, N3]),
    view: { voters: [SELF, N2, N3], oldVoters: [] },
  };
  const replica = fake as unknown as Replica;
  const leases = new Leases({ get }, SELF, { silenceMs: SILENCE_MS }, () => [replica]);
  return { leases, n2, fake, replica };
}

describe('a leader lease', () => {
  it('lasts 0.8 silences from the heartbeat that a majority of the voters had heard', () => {
    const { leases, n2, replica } = setUp();
    n2.ackedMs = NOW_MS;
    assert.equal(leases.leaderUntil(replica), NOW_MS + 0.8 * SILENCE_MS);
  });

  it('is not extended by a voter that has not recorded the view', () => {
    const { leases, n2, fake, replica } = setUp();
    n2.ackedMs = NOW_MS;
    Object.assign(fake, { witnesses: new Set([SELF, N3]) });
    assert.equal(leases.leaderUntil(replica), Number.NEGATIVE_INFINITY);
  });

  it('needs a majority of the voters before, too, while voters change', () => {
    const { leases, n2, fake, replica } = setUp();
    n2.ackedMs = NOW_MS;
    fake.view = { voters: [SELF, N2], oldVoters: [N3] };
    assert.equal(leases.leaderUntil(replica), Number.NEGATIVE_INFINITY);
  });

  it('does not count a process that has the name of a voter and another folder', () => {
    const { leases, n2, replica } = setUp();
    n2.ackedMs = NOW_MS;
    n2.id = copyId('n2', 'other');
    assert.equal(leases.leaderUntil(replica), Number.NEGATIVE_INFINITY);
  });

  it('does not count a voter whose link is gone: it may find that this node refuses connections', () => {
    const { leases, n2, replica } = setUp();
    n2.ackedMs = NOW_MS;
    n2.lost();
    assert.equal(leases.leaderUntil(replica), Number.NEGATIVE_INFINITY);
  });

  it('of all shards led here lasts as long as the shortest, and is reckoned anew', () => {
    const { leases, n2, replica } = setUp();
    assert.equal(leases.confirmed(NOW_MS, null), false);
    n2.ackedMs = NOW_MS;
    assert.equal(leases.confirmed(NOW_MS + 19, null), false);
    assert.equal(leases.confirmed(NOW_MS + 20, null), true);
    assert.equal(leases.confirmed(NOW_MS + 20, [replica]), true);
    const elsewhere = { ...replica, role: 'follower' } as unknown as Replica;
    assert.equal(leases.confirmed(NOW_MS + 20, [elsewhere]), true, 'its reader is told so');
    n2.lost();
    leases.onLed();
    assert.equal(leases.confirmed(NOW_MS + 21, null), false);
  });

  it('ends when the leader hands over', () => {
    const { leases, n2, fake, replica } = setUp();
    n2.ackedMs = NOW_MS;
    Object.assign(fake, { yielded: true });
    assert.equal(leases.leaderUntil(replica), Number.NEGATIVE_INFINITY);
  });

  it('confirms what waited for it, and nothing of a leader that was deposed meanwhile', () => {
    const { leases, n2, fake, replica } = setUp();
    const done: string[] = [];
    const deposed: { role: Fake['role'] } = { ...fake, role: 'follower' };
    assert.ok(leases.confirm(replica, NOW_MS, () => done.push('led')));
    assert.ok(leases.confirm(deposed as unknown as Replica, NOW_MS, () => done.push('deposed')));
    assert.deepEqual(done, []);
    n2.ackedMs = NOW_MS;
    leases.tick(NOW_MS);
    // What it leads later is another view.
    deposed.role = 'leader';
    leases.tick(NOW_MS);
    assert.deepEqual(done, ['led']);
  });

  it('takes no more to confirm than its bound', () => {
    const { leases, replica } = setUp();
    for (let n = 0; n < CONFIRMING_MAX; n++) leases.confirm(replica, NOW_MS, () => {});
    assert.equal(
      leases.confirm(replica, NOW_MS, () => {}),
      false,
    );
  });
});
