import assert from 'node:assert/strict';
import { member } from '../../../test/samples.ts';
import { DEFAULT_TIMINGS } from '../../config-schema.ts';
import { copyId, NO_NUMBER } from '../../shard/view.ts';
import { Calm } from '../calm.ts';
import { Peer, Peers } from '../link/peers.ts';
import { type ShardView, Views } from '../link/views.ts';
import { isDrained, shardsNeeding, takeBackPromises } from './drained.ts';

const id = (name: string) => copyId(name, 's');

function view(
  shard: number,
  changes: Partial<Record<'active' | 'voters' | 'oldVoters', string[]>>,
) {
  const { active = ['n2'], voters = ['n2'], oldVoters = [] } = changes;
  const number = { ...NO_NUMBER, counter: 1, leader: id('n2') };
  const ids = { active: active.map(id), voters: voters.map(id), oldVoters: oldVoters.map(id) };
  return { shard, number, since: 0, routeVersion: '', ...ids } satisfies ShardView;
}

function node(...known: ShardView[]) {
  const views = new Views();
  views.resize(2);
  for (const each of known) views.update(each);
  const peers = new Peers('n1', DEFAULT_TIMINGS, {
    nowMs: () => 0,
    hlc: () => 0,
    sendFrame() {},
    schedule() {},
    calm: new Calm(() => {}),
    grants: () => false,
    busy: false,
    onDrained() {},
  });
  const n2 = new Peer(member('n2'));
  n2.up = true;
  peers.byName.set('n2', n2);
  const refused: string[] = [];
  const copies = [0, 1].map((shard) => ({
    shard,
    promised: NO_NUMBER,
    view: { number: NO_NUMBER },
    refuse: (leader: string, { counter }: { counter: number }) => {
      refused.push(`${shard} to ${leader} ${counter}`);
    },
  }));
  const shards = { led: new Set<unknown>(), copies };
  const draining = { done: true };
  return { name: 'n1', shardCount: 2, views, peers, shards, draining, n2, refused };
}

describe('isDrained', () => {
  it('is true once no view names the node', () => {
    assert.ok(isDrained(node(view(0, {}), view(1, {}))));
  });

  for (const role of ['active', 'voters', 'oldVoters'] as const) {
    it(`is false while the node is among ${role}`, () => {
      const needed = node(view(0, {}), view(1, { [role]: ['n1', 'n2'] }));
      assert.equal(shardsNeeding(needed.views, 'n1'), 1);
      assert.ok(!isDrained(needed));
    });
  }

  it('is false while a shard has no leader that is known and within reach, or the node leads', () => {
    assert.ok(!isDrained(node(view(0, {}))));
    const cut = node(view(0, {}), view(1, {}));
    cut.n2.up = false;
    assert.ok(!isDrained(cut));
    const leads = node(view(0, {}), view(1, {}));
    leads.shards.led.add({});
    assert.ok(!isDrained(leads));
  });

  it('is false while clients are connected', () => {
    const serves = node(view(0, {}), view(1, {}));
    serves.draining.done = false;
    assert.ok(!isDrained(serves));
  });

  it('is false while it has promised a view that nobody announced, and the leader is told', () => {
    const promised = node(view(0, {}), view(1, {}));
    promised.shards.copies[1]!.promised = { counter: 2, leader: id('n2'), bootEpoch: 0 };
    assert.ok(!isDrained(promised));
    takeBackPromises(promised);
    assert.deepEqual(promised.refused, [`1 to ${id('n2')} 1`]);
  });
});
