import assert from 'node:assert/strict';
import { Reader, Writer } from '../../bytes.ts';
import type { MemberInfo } from '../../ports.ts';
import type { Replica } from '../../shard/replica.ts';
import { copyId } from '../../shard/view.ts';
import { LinkMessage } from '../link/link-message.ts';
import { Peer, Peers, routeLeaseMs } from '../link/peers.ts';
import { Views } from '../link/views.ts';
import { Wire } from '../link/wire.ts';
import { CONFIRMING_MAX, Leases } from './leases.ts';

const SILENCE_MS = 500;
const NOW_MS = 10_000;
/** After this long no grant of now holds, however fast the clock of its holder is. */
const LAPSED_MS = NOW_MS + routeLeaseMs(SILENCE_MS) * 1.1 + 1;
const SELF = copyId('n1', 's1');
const [N2, N3] = [copyId('n2', 's2'), copyId('n3', 's3')];

function member(name: string): MemberInfo {
  const meta = { storeId: name.replace('n', 's'), zone: '', host: '', weight: 1, mqtt: '' };
  return {
    name,
    bootEpoch: 1,
    state: 'alive',
    unwell: false,
    address: `${name}:1`,
    meta: { ...meta, admin: '', leaving: false },
  };
}

type Fake = Pick<Replica, 'role' | 'yielded' | 'forming' | 'leaseKey' | 'witnesses'> & {
  view: { voters: string[]; oldVoters: string[] };
};

/** Node n1 with links to n2 and n3; n2 leads shard 0, and n1 may lead shard 1. */
function setUp() {
  const frames = new Writer();
  const peers = new Peers(
    'n1',
    { heartbeatMs: 100, silenceMs: SILENCE_MS },
    {
      nowMs: () => NOW_MS,
      hlc: () => 1,
      sendFrame: () => {},
      schedule: () => {},
      busy: false,
      onDrained: () => {},
    },
  );
  const [n2, n3] = [new Peer(member('n2')), new Peer(member('n3'))];
  for (const peer of [n2, n3]) {
    peers.byName.set(peer.name, peer);
    peer.linked(1, NOW_MS);
  }
  // What is written to peers, without frames around it.
  Object.assign(peers, { to: (name: string) => (peers.get(name)?.up ? frames : null) });
  const views = new Views();
  views.resize(1);
  views.update({
    shard: 0,
    number: { counter: 1, leader: N2, bootEpoch: 1 },
    since: 1,
    routeVersion: '0',
    active: [N2],
    voters: [N2],
    oldVoters: [],
  });
  const leases = new Leases(peers, views, SELF, { silenceMs: SILENCE_MS });
  const fake: Fake = {
    role: 'leader',
    yielded: false,
    forming: false,
    leaseKey: 'k',
    witnesses: new Set([SELF, N2, N3]),
    view: { voters: [SELF, N2, N3], oldVoters: [] },
  };
  return { leases, n2, n3, frames, fake, replica: fake as unknown as Replica };
}

/** Tokens of the barriers written. */
function barriers(frames: Writer): number[] {
  const r = new Reader(frames.take());
  const tokens: number[] = [];
  while (!r.done) {
    assert.equal(r.u8(), Wire.Barrier);
    tokens.push(LinkMessage.Barrier.read(r));
  }
  return tokens;
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
    leases.refresh(NOW_MS, []);
    // What it leads later is another view.
    deposed.role = 'leader';
    leases.refresh(NOW_MS, []);
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

describe('a route lease', () => {
  it('lasts as long as the grant of each node that leads a shard', () => {
    const { leases, n2 } = setUp();
    n2.leaseUntilMs = NOW_MS + 10;
    leases.refresh(NOW_MS, []);
    assert.ok(leases.routable(NOW_MS + 9));
    assert.ok(!leases.routable(NOW_MS + 10));
    assert.deepEqual(leases.lacking(NOW_MS), []);
    assert.deepEqual(leases.lacking(NOW_MS + 10), ['n2']);
  });

  it('does not count while routes of its giver are on their way', () => {
    const { leases, n2 } = setUp();
    n2.leaseUntilMs = NOW_MS + 10;
    n2.needs = 1;
    leases.refresh(NOW_MS, []);
    assert.ok(!leases.routable(NOW_MS));
    assert.equal(leases.lapsedSinceMs, NOW_MS);
    assert.deepEqual(leases.lacking(NOW_MS), ['n2']);
  });

  it('does not count while the routes of a shard are stale', () => {
    const { leases, n2 } = setUp();
    n2.leaseUntilMs = NOW_MS + 10;
    leases.markStale(0);
    leases.refresh(NOW_MS, []);
    assert.ok(!leases.routable(NOW_MS));
  });

  it('is not granted by a node whose own leader lease is over', () => {
    const { leases, n3, replica } = setUp();
    leases.refresh(NOW_MS, [replica]);
    assert.ok(!leases.grants(n3, NOW_MS));
  });
});

describe('a route barrier', () => {
  it('ends when every peer has acknowledged it, and not at a word for another one', () => {
    const { leases, n2, n3, frames } = setUp();
    let ended = 0;
    leases.barrier(NOW_MS, NOW_MS, () => ended++);
    const [token = 0] = barriers(frames);
    leases.onBarrierAck(n2, token);
    leases.onBarrierAck(n3, token + 1);
    leases.onBarrierAck(n2, token);
    assert.equal(ended, 0);
    leases.onBarrierAck(n3, token);
    leases.onBarrierAck(n3, token);
    assert.equal(ended, 1);
  });

  it('waits for a peer without a link until what it was granted has lapsed on any clock', () => {
    const { leases, n2, n3, frames } = setUp();
    let ended = false;
    n3.lost();
    n3.grantedMs = NOW_MS;
    leases.barrier(NOW_MS, 0, () => {
      ended = true;
    });
    leases.onBarrierAck(n2, barriers(frames)[0]!);
    leases.refresh(NOW_MS + routeLeaseMs(SILENCE_MS), []);
    assert.ok(!ended);
    leases.refresh(LAPSED_MS, []);
    assert.ok(ended);
  });

  it('waits for what leaders before this one may have granted', () => {
    const { leases, n2, n3, frames } = setUp();
    let ended = false;
    n3.lost();
    leases.barrier(NOW_MS, NOW_MS, () => {
      ended = true;
    });
    leases.onBarrierAck(n2, barriers(frames)[0]!);
    assert.ok(!ended);
    leases.refresh(LAPSED_MS, []);
    assert.ok(ended);
  });

  it('gives no grants to a peer that leaves it unanswered', () => {
    const { leases, n2, n3, frames } = setUp();
    leases.ownUntilMs = Number.POSITIVE_INFINITY;
    leases.barrier(NOW_MS, NOW_MS, () => {});
    leases.onBarrierAck(n2, barriers(frames)[0]!);
    const lateMs = NOW_MS + 0.8 * SILENCE_MS + 1;
    assert.ok(leases.grants(n3, lateMs - 2));
    assert.ok(!leases.grants(n3, lateMs));
    assert.ok(leases.grants(n2, lateMs));
  });
});
