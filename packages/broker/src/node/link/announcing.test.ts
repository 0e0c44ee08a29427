import assert from 'node:assert/strict';
import { member } from '../../../test/samples.ts';
import { Reader, Writer } from '../../bytes.ts';
import type { CopyId } from '../../shard/view.ts';
import { Announcing } from './announcing.ts';
import type { FilterChange } from './filter-change.ts';
import { LinkMessage, type ShardRoutes } from './link-message.ts';
import type { LinkPort } from './link-port.ts';
import { Peer } from './peers.ts';
import { type ShardView, Views } from './views.ts';
import { Wire } from './wire.ts';

/** Node n1 of two shards, linked with n2 and n3. */
function setUp(shardCount = 2) {
  const told: string[] = [];
  const out = new Writer();
  const peers = [new Peer(member('n2')), new Peer(member('n3'))] as const;
  for (const peer of peers) peer.linked(1, 0);
  const views = new Views();
  views.resize(shardCount);
  const versions = new Map<number, string>();
  const filters = new Map<number, string[]>();
  const router = {
    onLeader: (shard: number) => told.push(`leader of ${shard}`),
    onRoutesKnown: (peer: string) => told.push(`routes of ${peer}`),
  };
  const port = {
    name: 'n1',
    shardCount,
    views,
    router,
    clients: { onLeader: () => {} },
    peers: { byName: new Map(peers.map((p) => [p.name, p])), to: () => out, later: () => {} },
    leases: { onLed: () => {} },
    shards: { copies: [0, 1].map(() => ({ onViewKnown: () => {} })) },
    onSettings: () => {
      Object.assign(port, { shardCount: 2 });
      views.resize(2);
      return true;
    },
    routes: {
      shardVersion: (shard: number) => versions.get(shard) ?? '0',
      setShardVersion: (shard: number, version: string) => versions.set(shard, version),
      setShard(shard: number, version: string, all: Iterable<string>) {
        versions.set(shard, version);
        filters.set(shard, [...all]);
      },
      changeShard(shard: number, filter: string, added: boolean) {
        const others = (filters.get(shard) ?? []).filter((each) => each !== filter);
        filters.set(shard, added ? [...others, filter] : others);
      },
      clearNode: (node: string) => told.push(`clear ${node}`),
      changeNode: (node: string, { filter }: FilterChange) => told.push(`${node} wants ${filter}`),
    },
  };
  const announcing = new Announcing(port as unknown as LinkPort);
  return { announcing, n2: peers[0], n3: peers[1], views, filters, told, out };
}

function view(leader: CopyId, counter: number, routeVersion = '0', shard = 0): ShardView {
  const number = { counter, leader, bootEpoch: 1 };
  const everyone = { active: [leader], voters: [leader], oldVoters: [] };
  return { shard, number, since: counter, routeVersion, ...everyone };
}

function change(from: string, to: string, ...added: string[]): ShardRoutes {
  const changes = added.map((filter) => [filter, true] as const);
  return { shard: 0, whole: false, more: false, from, to, changes };
}

function whole(to: string, more: boolean, ...filters: string[]): ShardRoutes {
  return { ...change('', to, ...filters), whole: true, more };
}

/** What was asked of peers, and which barriers were acknowledged. */
function written(out: Writer): string[] {
  const r = new Reader(out.take());
  const said: string[] = [];
  while (!r.done) {
    const kind = r.u8();
    if (kind === Wire.NeedShardRoutes) said.push(`need ${LinkMessage.NeedShardRoutes.read(r)}`);
    else if (kind === Wire.BarrierAck) said.push(`barrier ${LinkMessage.BarrierAck.read(r)}`);
    else assert.fail(`kind ${kind}`);
  }
  return said;
}

describe('announcements of other nodes', () => {
  it('change routes from the version that is here', () => {
    const { announcing, n2, filters, out } = setUp();
    announcing.onViews(n2, [view(n2.id, 1)]);
    announcing.onShardRoutes(n2, change('0', '1', 'a'));
    announcing.onShardRoutes(n2, change('1', '2', 'b'));
    assert.deepEqual(filters.get(0), ['a', 'b']);
    assert.deepEqual(written(out), []);
  });

  it('after one that was missed are not taken: the whole is asked for, and nothing routed', () => {
    const { announcing, n2, filters, out } = setUp();
    announcing.onViews(n2, [view(n2.id, 1)]);
    announcing.onShardRoutes(n2, change('1', '2', 'b'));
    assert.equal(filters.get(0), undefined);
    assert.deepEqual(written(out), ['need 0']);
    assert.equal(n2.needs, 1);
    announcing.onShardRoutes(n2, whole('2', true, 'a'));
    assert.equal(n2.needs, 1, 'the first of two pages is not the whole');
    announcing.onShardRoutes(n2, whole('2', false, 'b'));
    assert.deepEqual(filters.get(0), ['a', 'b']);
    assert.equal(n2.needs, 0);
  });

  it('of routes by a leader that was replaced do not count', () => {
    const { announcing, n2, n3, filters, out } = setUp();
    announcing.onViews(n2, [view(n2.id, 1)]);
    announcing.onViews(n3, [view(n3.id, 2)]);
    announcing.onShardRoutes(n2, change('0', '1', 'a'));
    announcing.onShardRoutes(n2, whole('1', false, 'a'));
    assert.equal(filters.get(0), undefined);
    assert.deepEqual(written(out), []);
  });

  it('of a view count from its leader alone', () => {
    const { announcing, n2, n3, views } = setUp();
    announcing.onViews(n3, [view(n2.id, 1)]);
    assert.equal(views.leader(0), '');
    announcing.onViews(n2, [view(n2.id, 1)]);
    assert.equal(views.leader(0), 'n2');
  });

  it('of an older view change nothing, and tell nobody of a leader', () => {
    const { announcing, n2, n3, views, told } = setUp();
    announcing.onViews(n3, [view(n3.id, 2)]);
    announcing.onViews(n2, [view(n2.id, 1, '7')]);
    assert.equal(views.leader(0), 'n3');
    assert.deepEqual(told, ['leader of 0']);
  });

  it('of a known view ask anew for routes that never came over the last link', () => {
    const { announcing, n2, out } = setUp();
    announcing.onViews(n2, [view(n2.id, 1, '1')]);
    n2.lost();
    n2.linked(1, 0);
    announcing.onViews(n2, [view(n2.id, 1, '1')]);
    assert.deepEqual(written(out), ['need 0', 'need 0']);
    assert.equal(n2.needs, 1);
  });

  it('of views wait at a joiner for the number of shards, and go with their link', () => {
    const { announcing, n2, n3, views } = setUp(0);
    announcing.onViews(n2, [view(n2.id, 1, '0', 0)]);
    announcing.onViews(n3, [view(n3.id, 1, '0', 1)]);
    n3.lost();
    announcing.onHello({} as never);
    assert.deepEqual([views.leader(0), views.leader(1)], ['n2', '']);
  });

  it('of all that a node wants replace what it wanted before', () => {
    const { announcing, n2, told } = setUp();
    const wants = (filter: string) => [{ filter }] as unknown as FilterChange[];
    announcing.onRoutes(n2, true, wants('a'));
    announcing.onRoutes(n2, false, wants('b'));
    assert.deepEqual(told, ['clear n2', 'n2 wants a', 'routes of n2', 'n2 wants b']);
  });
});

describe('a barrier of another node', () => {
  it('is acknowledged at once where its routes are here', () => {
    const { announcing, n2, out } = setUp();
    announcing.onBarrier(n2, 5);
    assert.deepEqual(written(out), ['barrier 5']);
  });

  it('is acknowledged when the last of the routes asked of that node is here, and no other', () => {
    const { announcing, n2, n3, out } = setUp();
    announcing.onViews(n2, [view(n2.id, 1, '1')]);
    announcing.onViews(n3, [view(n3.id, 1, '1', 1)]);
    announcing.onBarrier(n2, 5);
    announcing.onBarrier(n3, 6);
    assert.deepEqual(written(out), ['need 0', 'need 1']);
    announcing.onShardRoutes(n2, whole('1', true, 'a'));
    assert.deepEqual(written(out), []);
    announcing.onShardRoutes(n2, whole('1', false, 'b'));
    assert.deepEqual(written(out), ['barrier 5']);
  });
});
