import assert from 'node:assert/strict';
import { Calm } from '../../src/node/calm.ts';
import { Lane } from '../../src/node/link/lanes.ts';
import { Peer, Peers } from '../../src/node/link/peers.ts';
import type { MemberInfo } from '../../src/ports.ts';

const NOW_MS = 10_000;

function linked(): { peers: Peers; peer: Peer } {
  const host = {
    nowMs: () => NOW_MS,
    hlc: () => 1,
    sendFrame: () => {},
    schedule: () => {},
    calm: new Calm(() => {}),
    grants: () => true,
    busy: false,
    onDrained: () => {},
  };
  const peers = new Peers('n1', { heartbeatMs: 100, silenceMs: 500 }, host);
  const peer = new Peer({ name: 'n2', meta: { storeId: 's' } } as MemberInfo);
  peer.linked(1, NOW_MS);
  peer.synced = true;
  return { peers, peer };
}

/** An answer to the heartbeat of now: a grant that follows so many announcements. */
function granted(peers: Peers, peer: Peer, after: number): void {
  peers.onHeartbeatAck(peer, { sentMs: NOW_MS, grants: true, after });
}

/** An announcement of the peer has come and been read. */
function announced(peers: Peers, peer: Peer): void {
  peer.in.read(Uint8Array.of(Lane.Announce));
  peers.onAnnounced(peer);
}

describe('a route grant', () => {
  it('counts at once when nothing was announced before it', () => {
    const { peers, peer } = linked();
    granted(peers, peer, 0);
    assert.ok(peer.grantUntilMs > NOW_MS);
  });

  it('overtakes announcements on its lane, and counts when they have been read', () => {
    const { peers, peer } = linked();
    granted(peers, peer, 2);
    announced(peers, peer);
    assert.equal(peer.grantUntilMs, Number.NEGATIVE_INFINITY);
    announced(peers, peer);
    assert.ok(peer.grantUntilMs > NOW_MS);
  });

  it('runs on when the link is gone, and not when the process is another one', () => {
    const { peers, peer } = linked();
    granted(peers, peer, 0);
    peer.lost();
    peer.linked(1, NOW_MS);
    assert.ok(peer.grantUntilMs > NOW_MS);
    peer.lost();
    peer.linked(2, NOW_MS);
    assert.equal(peer.grantUntilMs, Number.NEGATIVE_INFINITY);
  });

  it('is over with the link, as long as it had not counted', () => {
    const { peers, peer } = linked();
    granted(peers, peer, 1);
    peer.lost();
    peer.linked(1, NOW_MS);
    peer.synced = true;
    announced(peers, peer);
    assert.equal(peer.grantUntilMs, Number.NEGATIVE_INFINITY);
  });
});
