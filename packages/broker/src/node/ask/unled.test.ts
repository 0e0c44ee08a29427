import assert from 'node:assert/strict';
import type { MemberInfo } from '../../ports.ts';
import { copyId, type View } from '../../shard/view.ts';
import { Peer } from '../link/peers.ts';
import { UnledShards } from './unled.ts';

const SILENCE_MS = 500;
const NOW_MS = 100_000;

const idOf = (name: string) => copyId(name, `store-${name}`);

function view(leader: string, voters: readonly string[], active = voters): View {
  return {
    number: { counter: 3, leader: idOf(leader), bootEpoch: 1 },
    voters: voters.map(idOf),
    oldVoters: [],
    active: active.map(idOf),
    startIndex: 0,
  };
}

/** Node n1 with links to n2 and n3, which it has just heard, and one shard of which it holds a copy. */
function setUp(announced: View | null, remembered: View = view('n2', ['n1', 'n2', 'n3'])) {
  const clock = { nowMs: NOW_MS };
  const peers = new Map<string, Peer>();
  for (const name of ['n2', 'n3']) {
    const peer = new Peer({ name, meta: { storeId: `store-${name}` } } as MemberInfo);
    peer.linked(1, NOW_MS);
    peers.set(name, peer);
  }
  const state = { announced, serving: true };
  const unled = new UnledShards({
    name: 'n1',
    bootEpoch: 1,
    identity: { storeId: 'store-n1' },
    shardCount: 1,
    cluster: { silenceMs: SILENCE_MS, minCopies: 2 },
    peers: { get: (name) => peers.get(name) },
    views: { get: () => state.announced },
    shards: { copies: [{ view: remembered }], leaders: [state] },
    nowMs: () => clock.nowMs,
  });
  /** Time passes, with a turn of the node every 100 ms; those named are heard all the while. */
  const advance = (ms: number, ...heard: readonly string[]) => {
    for (const endMs = clock.nowMs + ms; clock.nowMs < endMs; ) {
      clock.nowMs += 100;
      for (const name of heard) (peers.get(name) as Peer).heardMs = clock.nowMs;
      unled.tick(clock.nowMs);
    }
    return unled.now(clock.nowMs);
  };
  return { clock, peers, state, unled, advance };
}

const THREE = ['n1', 'n2', 'n3'];

describe('shards that no leader in reach serves', () => {
  it('are none while leader, voters and active copies answer', () => {
    const { advance } = setUp(view('n2', THREE));
    assert.equal(advance(5000, 'n2', 'n3'), null);
  });

  it('are none while one voter of three is silent', () => {
    const { advance } = setUp(view('n2', THREE));
    assert.equal(advance(5000, 'n2'), null);
  });

  it('are those whose leader is silent, since it was heard last', () => {
    const { advance } = setUp(view('n2', THREE));
    assert.equal(advance(900, 'n3'), null, 'it may be an election');
    assert.deepEqual(advance(5000, 'n3'), {
      shards: 1,
      sinceMs: NOW_MS,
      missing: [idOf('n2')],
    });
  });

  it('are those of a leader, this node too, whose other voters are silent, since the last one was heard', () => {
    const { advance } = setUp(view('n1', THREE));
    advance(3000, 'n3');
    assert.deepEqual(advance(4000), {
      shards: 1,
      sinceMs: NOW_MS + 3000,
      missing: [idOf('n2'), idOf('n3')],
    });
  });

  it('are those with fewer active copies in reach than a commit needs', () => {
    const { advance } = setUp(view('n1', THREE, ['n1', 'n2']));
    assert.deepEqual(advance(3000, 'n3')?.missing, [idOf('n2')]);
  });

  it('are those of a node that came back with another data folder, which is the copy that is missing', () => {
    const { advance, peers } = setUp(view('n1', THREE, ['n1', 'n2']));
    const n2 = peers.get('n2') as Peer;
    n2.id = copyId('n2', 'another');
    const unled = advance(3000, 'n2', 'n3');
    assert.deepEqual(unled?.missing, [idOf('n2')]);
  });

  it('are those whose leader was started anew, and nobody is missing', () => {
    const { advance, peers } = setUp(view('n2', THREE));
    (peers.get('n2') as Peer).bootEpoch = 2;
    assert.deepEqual(advance(3000, 'n2', 'n3')?.missing, []);
  });

  it('are those that this node led and leads no more', () => {
    const { advance, state } = setUp(view('n1', THREE));
    state.serving = false;
    assert.deepEqual(advance(3000, 'n2', 'n3')?.missing, []);
    state.serving = true;
    assert.equal(advance(100, 'n2', 'n3'), null);
  });

  it('are those of which no leader was heard since the start, with the voters of the copy here', () => {
    const { advance, peers } = setUp(null);
    peers.clear();
    const unled = advance(3000);
    assert.deepEqual(unled?.missing, [idOf('n2'), idOf('n3')]);
    assert.ok(unled.sinceMs > NOW_MS && unled.sinceMs <= NOW_MS + 1000);
  });

  it('are none when this node wakes that stood still, before it had a second to hear the others', () => {
    const { clock, unled, advance, peers } = setUp(view('n2', THREE));
    advance(1000, 'n2', 'n3');
    clock.nowMs += 60_000;
    assert.equal(unled.now(clock.nowMs), null);
    for (const peer of peers.values()) peer.lost();
    assert.equal(advance(900), null);
    assert.equal(advance(1000)?.sinceMs, NOW_MS + 61_000);
  });
});
