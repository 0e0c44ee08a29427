import assert from 'node:assert/strict';
import { member } from '../../../test/samples.ts';
import { Reader, Writer } from '../../bytes.ts';
import type { MemberInfo } from '../../ports.ts';
import { copyId, NO_NUMBER } from '../../shard/view.ts';
import { LinkMessage } from '../link/link-message.ts';
import { grantMs, Peer } from '../link/peers.ts';
import type { ShardView } from '../link/views.ts';
import { Wire } from '../link/wire.ts';
import { Grants } from './grants.ts';

const SILENCE_MS = 500;
const NOW_MS = 100_000;
/** After this long no grant of now holds, however fast the clock of its holder is. */
const LAPSED_MS = NOW_MS + grantMs(SILENCE_MS) * 1.1 + 1;

/** Node n1 with links to n2 and n3, which have granted for long. */
function setUp(bootedMs = 0) {
  const frames = new Writer();
  const [n2, n3] = [new Peer(member('n2')), new Peer(member('n3'))];
  const byName = new Map([n2, n3].map((peer) => [peer.name, peer]));
  const views = {
    complete: true,
    leaders: new Map<string, number>(),
    known: new Map<number, ShardView>(),
  };
  for (const peer of byName.values()) {
    peer.linked(1, NOW_MS);
    peer.granting = true;
    peer.grantEpoch = 1;
    peer.grantUntilMs = NOW_MS + 1500;
  }
  const grants = new Grants({
    peers: {
      byName,
      get: (name) => byName.get(name),
      to: (name) => (byName.get(name)?.up ? frames : null),
    },
    get complete() {
      return views.complete;
    },
    views: {
      leads: (name, bootEpoch) => views.leaders.get(name) === bootEpoch,
      get: (shard) => views.known.get(shard) ?? null,
    },
    cluster: { silenceMs: SILENCE_MS },
    bootedMs,
  });
  /** Looks again and again, as a node does, up to a time. */
  let lookedMs = NOW_MS;
  const until = (endMs: number) => {
    for (; lookedMs < endMs; lookedMs += 100) grants.refresh(lookedMs);
    grants.refresh(endMs);
  };
  grants.refresh(NOW_MS);
  return { grants, n2, n3, frames, views, until };
}

const changed = (peer: Peer, change: Partial<MemberInfo>) =>
  Object.assign(peer, { member: { ...peer.member, ...change } });

/** A shard that n2 has lost. */
const lost = (agoMs: number, shard = 7) => ({ shard, number: viewOf(3, 'n2').number, agoMs });

/** A view of shard 7 with this number. */
function viewOf(counter: number, leader: string): ShardView {
  const number = { ...NO_NUMBER, counter, leader: copyId(leader, 's') };
  const none = { active: [], voters: [], oldVoters: [] };
  return { shard: 7, number, since: 0, routeVersion: '', ...none };
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

describe('what route grants allow', () => {
  it('lasts as long as the shortest of those of members that are alive', () => {
    const { grants, n2, until } = setUp();
    n2.grantUntilMs = NOW_MS + 300;
    until(NOW_MS + 200);
    assert.ok(grants.routable(NOW_MS + 299));
    assert.ok(!grants.routable(NOW_MS + 300));
    assert.deepEqual(grants.lacking(NOW_MS + 299), []);
    assert.deepEqual(grants.lacking(NOW_MS + 300), [{ name: 'n2', what: 'grant' }]);
  });

  for (const [why, change] of [
    ['is suspected', { state: 'suspect' }],
    ['has a disk that hangs', { unwell: true }],
  ] as const)
    it(`needs none of a member that ${why}`, () => {
      const { grants, n2, until } = setUp();
      changed(n2, change);
      n2.grantUntilMs = NOW_MS;
      until(NOW_MS + 100);
      assert.ok(grants.routable(NOW_MS + 100));
    });

  it('needs none of a process that has said that it stops, or that was replaced', () => {
    const { grants, n2, n3, until } = setUp();
    n2.stoppedEpoch = 1;
    n2.grantUntilMs = NOW_MS;
    changed(n3, { bootEpoch: 2 });
    n3.replaced();
    until(NOW_MS + 100);
    assert.ok(grants.routable(NOW_MS + 100));
  });

  it('needs one of a process that has granted none and leads a shard', () => {
    const { grants, n3, views, until } = setUp();
    n3.replaced();
    views.leaders.set('n3', 1);
    until(NOW_MS + 100);
    assert.ok(!grants.routable(NOW_MS + 100));
    assert.equal(grants.lapsedSinceMs, NOW_MS);
  });

  it('is nothing while routes of a member that leads are on their way', () => {
    const { grants, n2, until } = setUp();
    n2.needs = 1;
    until(NOW_MS + 100);
    assert.deepEqual(grants.lacking(NOW_MS + 100), [{ name: 'n2', what: 'routes' }]);
    assert.ok(!grants.routable(NOW_MS + 100));
  });

  it('is nothing before every shard has had a leader that is known', () => {
    const { grants, views, until } = setUp();
    views.complete = false;
    until(NOW_MS + 100);
    assert.ok(!grants.routable(NOW_MS + 100));
  });

  it('is nothing for a node that starts before it has had a link to each member, for 3 s', () => {
    const { grants, n3, views, until } = setUp(NOW_MS);
    // Nothing was routed yet.
    const fresh = new Grants({
      peers: { byName: new Map([['n3', n3]]), get: () => n3, to: () => null },
      views: { leads: () => false, get: () => null },
      complete: true,
      cluster: { silenceMs: SILENCE_MS },
      bootedMs: NOW_MS,
    });
    n3.replaced();
    fresh.refresh(NOW_MS + 2900);
    assert.ok(!fresh.routable(NOW_MS + 2900));
    fresh.refresh(NOW_MS + 3000);
    assert.ok(fresh.routable(NOW_MS + 3000));
    // One that has routed asks nothing of a member that is new.
    until(NOW_MS + 100);
    assert.ok(views.complete && grants.routable(NOW_MS + 100));
  });

  it('waits for the successors of a member that was gone on without, for 3 s', () => {
    const { grants, n2, n3, views, until } = setUp();
    n3.grantUntilMs = Number.POSITIVE_INFINITY;
    views.leaders.set('n2', 1);
    until(NOW_MS + 1600);
    assert.ok(!grants.routable(NOW_MS + 1600));
    changed(n2, { state: 'suspect' });
    until(NOW_MS + 1700);
    assert.ok(!grants.routable(NOW_MS + 1700));
    // Whoever leads by now: the successor that is known may have had a successor.
    views.leaders.clear();
    until(NOW_MS + 4500);
    assert.ok(!grants.routable(NOW_MS + 4500));
    until(NOW_MS + 4700);
    assert.ok(grants.routable(NOW_MS + 4700));
  });

  it('waits likewise for those of one whose routes were on their way, also on an earlier link', () => {
    const { grants, n2, n3, until } = setUp();
    n2.grantUntilMs = n3.grantUntilMs = Number.POSITIVE_INFINITY;
    n2.needs = 1;
    until(NOW_MS + 100);
    n2.lost();
    n2.linked(1, NOW_MS + 100);
    assert.ok(!grants.routable(NOW_MS + 100));
    changed(n2, { state: 'suspect' });
    until(NOW_MS + 200);
    assert.ok(
      !grants.routable(NOW_MS + 200),
      'a suspect that is linked and whose routes are to come',
    );
    n2.lost();
    until(NOW_MS + 3100);
    assert.ok(!grants.routable(NOW_MS + 3100));
    until(NOW_MS + 3400);
    assert.ok(grants.routable(NOW_MS + 3400));
  });

  describe('waits for the successors of one that lost a shard, and met this node again after its grant,', () => {
    /** n2 comes back by a new link after its grant had run out, and has lost the shards. */
    function back(...shards: ReturnType<typeof lost>[]) {
      const node = setUp();
      node.n3.grantUntilMs = Number.POSITIVE_INFINITY;
      node.n3.synced = true;
      node.n2.grantUntilMs = NOW_MS + 100;
      node.until(NOW_MS + 200);
      node.n2.lost();
      node.n2.linked(1, NOW_MS + 200);
      node.grants.onSynced(node.n2, shards, NOW_MS + 200);
      node.n2.grantUntilMs = Number.POSITIVE_INFINITY;
      const routable = (afterMs: number) => {
        node.until(NOW_MS + 200 + afterMs);
        return node.grants.routable(NOW_MS + 200 + afterMs);
      };
      return { ...node, routable };
    }

    it('for a while, if none is heard of', () => {
      const { routable } = back(lost(150));
      assert.ok(!routable(2900));
      assert.ok(routable(3000));
    });

    it('unless that was before its last grant, or never', () => {
      for (const shards of [[lost(10_000)], []]) assert.ok(back(...shards).routable(100));
    });

    it('though it tells a time a little before that: clocks may differ', () => {
      // Granted 2 s before it ran out, and lost 2.05 s before that by a clock that is slow.
      assert.ok(!back(lost(2150)).routable(100));
    });

    it('until a later leader of it is known, with its routes', () => {
      const { routable, views, n3 } = back(lost(150));
      views.known.set(7, viewOf(3, 'n2'));
      assert.ok(!routable(100), 'its own view');
      views.known.set(7, viewOf(2, 'n3'));
      assert.ok(!routable(200), 'an earlier leader');
      n3.needs = 1;
      views.known.set(7, viewOf(4, 'n3'));
      assert.ok(!routable(300), 'routes that are to come');
      n3.needs = 0;
      assert.ok(routable(400));
    });

    it('and for no other node if it is led here now', () => {
      const { routable, views } = back(lost(150));
      views.known.set(7, viewOf(4, 'n1'));
      assert.ok(routable(100));
    });

    it('for each of them, but what a grant has vouched for', () => {
      const { routable, views } = back(lost(150), lost(150, 8), lost(10_000, 9));
      views.known.set(7, viewOf(4, 'n1'));
      assert.ok(!routable(100));
      views.known.set(8, viewOf(4, 'n1'));
      assert.ok(routable(200));
    });

    it('not for one that says no more than that by its new link', () => {
      const { routable, views, n3 } = back(lost(150));
      n3.lost();
      n3.linked(1, NOW_MS + 200);
      views.known.set(7, viewOf(4, 'n3'));
      assert.ok(!routable(100), 'what n3 announces is on its way');
      n3.onSynced();
      assert.ok(routable(200));
    });
  });

  it('waits for those of one that died while this node stood still', () => {
    const { grants, n2, n3, until } = setUp();
    until(NOW_MS + 100);
    changed(n2, { state: 'suspect' });
    const wokeMs = NOW_MS + 2000;
    grants.refresh(wokeMs);
    n3.grantUntilMs = Number.POSITIVE_INFINITY;
    grants.refresh(wokeMs + 100);
    assert.ok(!grants.routable(wokeMs + 100));
    for (let ms = wokeMs + 200; ms <= wokeMs + 3000; ms += 100) grants.refresh(ms);
    assert.ok(grants.routable(wokeMs + 3000));
  });

  it('says for which of that it waits, and for how long it has, all in all', () => {
    const { grants, n2, n3, until } = setUp();
    n3.grantUntilMs = Number.POSITIVE_INFINITY;
    until(NOW_MS + 1400);
    assert.deepEqual([grants.lapsedMs, grants.oldestMs(NOW_MS + 1400)], [0, 1900]);
    until(NOW_MS + 2500);
    assert.deepEqual(grants.lacking(NOW_MS + 2500), [{ name: 'n2', what: 'grant' }]);
    assert.deepEqual([grants.lapsedMs, grants.oldestMs(NOW_MS + 2500)], [1000, 3000]);
    changed(n2, { state: 'suspect' });
    until(NOW_MS + 2600);
    assert.deepEqual(grants.lacking(NOW_MS + 2600), [{ name: 'n2', what: 'successors' }]);
    assert.equal(grants.oldestMs(NOW_MS + 2600), 0, 'its grant is not needed any more');
    until(NOW_MS + 7000);
    assert.deepEqual(grants.lacking(NOW_MS + 7000), []);
    assert.equal(grants.lapsedMs, 4000, '1 s for the grant, 3 s for successors');
  });

  it('counts no wait of a node that has routed nothing yet', () => {
    const { n3 } = setUp();
    const fresh = new Grants({
      peers: { byName: new Map([['n3', n3]]), get: () => n3, to: () => null },
      views: { leads: () => false, get: () => null },
      complete: false,
      cluster: { silenceMs: SILENCE_MS },
      bootedMs: NOW_MS,
    });
    for (const afterMs of [100, 200, 300]) fresh.refresh(NOW_MS + afterMs);
    assert.equal(fresh.lapsedMs, 0);
  });

  it('begins anew when the event loop stood still', () => {
    const { grants, n2 } = setUp();
    assert.ok(!grants.routable(NOW_MS + SILENCE_MS + 1));
    grants.refresh(NOW_MS + SILENCE_MS + 1);
    assert.ok(!grants.routable(NOW_MS + SILENCE_MS + 1));
    assert.equal(n2.grantUntilMs, Number.NEGATIVE_INFINITY);
  });
});

describe('a route barrier', () => {
  it('ends when every peer has acknowledged it, and not at a word for another one', () => {
    const { grants, n2, n3, frames } = setUp();
    let ended = 0;
    grants.barrier(NOW_MS, () => ended++);
    const [token = 0] = barriers(frames);
    grants.onBarrierAck(n2, token, NOW_MS);
    grants.onBarrierAck(n3, token + 1, NOW_MS);
    grants.onBarrierAck(n2, token, NOW_MS);
    assert.equal(ended, 0);
    grants.onBarrierAck(n3, token, NOW_MS);
    grants.onBarrierAck(n3, token, NOW_MS);
    assert.equal(ended, 1);
  });

  it('waits for a peer without a link until what it was granted has lapsed on any clock', () => {
    const { grants, n2, n3, frames, until } = setUp();
    let ended = false;
    n3.lost();
    changed(n3, { state: 'suspect' });
    n3.grantedMs = NOW_MS;
    n2.grantUntilMs = Number.POSITIVE_INFINITY;
    grants.barrier(NOW_MS, () => {
      ended = true;
    });
    grants.onBarrierAck(n2, barriers(frames)[0]!, NOW_MS);
    until(NOW_MS + grantMs(SILENCE_MS));
    assert.ok(!ended);
    until(LAPSED_MS);
    assert.ok(ended);
  });

  it('waits for what an earlier process of this node may have granted', () => {
    const { grants, n2, n3, frames, until } = setUp(NOW_MS);
    let ended = false;
    n3.lost();
    changed(n3, { state: 'suspect' });
    n2.grantUntilMs = Number.POSITIVE_INFINITY;
    grants.barrier(NOW_MS, () => {
      ended = true;
    });
    grants.onBarrierAck(n2, barriers(frames)[0]!, NOW_MS);
    assert.ok(!ended);
    until(LAPSED_MS);
    assert.ok(ended);
  });

  it('is asked anew of a peer with a new link', () => {
    const { grants, n2, n3, frames } = setUp();
    let ended = false;
    n3.lost();
    n3.grantedMs = NOW_MS;
    grants.barrier(NOW_MS, () => {
      ended = true;
    });
    const [token = 0] = barriers(frames);
    grants.onBarrierAck(n2, token, NOW_MS);
    n3.linked(1, NOW_MS);
    grants.onLinkUp(n3);
    assert.deepEqual(barriers(frames), [token]);
    grants.onBarrierAck(n3, token, NOW_MS);
    assert.ok(ended);
  });

  it('does not end at a node that may not route itself', () => {
    const { grants, n2, n3, frames, until } = setUp();
    let ended = false;
    n2.grantUntilMs = n3.grantUntilMs = NOW_MS + 100;
    until(NOW_MS + 200);
    grants.barrier(NOW_MS + 200, () => {
      ended = true;
    });
    const [token = 0] = barriers(frames);
    for (const peer of [n2, n3]) grants.onBarrierAck(peer, token, NOW_MS + 200);
    assert.ok(!ended);
    n2.grantUntilMs = n3.grantUntilMs = NOW_MS + 2000;
    until(NOW_MS + 300);
    assert.ok(ended);
  });

  it('gives no grants to a peer that leaves it unanswered', () => {
    const { grants, n2, n3, frames } = setUp();
    grants.barrier(NOW_MS, () => {});
    grants.onBarrierAck(n2, barriers(frames)[0]!, NOW_MS);
    const lateMs = NOW_MS + 0.8 * SILENCE_MS + 1;
    assert.ok(grants.grants(n3, lateMs - 2));
    assert.ok(!grants.grants(n3, lateMs));
    assert.ok(grants.grants(n2, lateMs));
  });
});
