import assert from 'node:assert/strict';
import { Reader } from '../../src/bytes.ts';
import { Calm } from '../../src/node/calm.ts';
import { LinkMessage } from '../../src/node/link/link-message.ts';
import { Peer, Peers } from '../../src/node/link/peers.ts';
import { Wire } from '../../src/node/link/wire.ts';
import type { MemberInfo } from '../../src/ports.ts';

const HEARTBEAT_MS = 100;

/** A node with a link to n2, and what it says by it. */
class Bench {
  nowMs = 10_000;
  readonly calm = new Calm(() => {});
  readonly peer = new Peer({ name: 'n2', state: 'alive', meta: { storeId: 's' } } as MemberInfo);
  readonly peers: Peers;
  #said: string[] = [];

  constructor() {
    this.peers = new Peers(
      'n1',
      { heartbeatMs: HEARTBEAT_MS, silenceMs: 500 },
      {
        nowMs: () => this.nowMs,
        hlc: () => 1,
        sendFrame: (_, frame) => this.#read(frame),
        schedule: () => {},
        calm: this.calm,
        grants: () => true,
        busy: false,
        onDrained: () => {},
      },
    );
    this.peers.byName.set('n2', this.peer);
    this.peer.linked(1, this.nowMs);
  }

  beCalm(): void {
    this.calm.tick(this.nowMs, false);
    this.nowMs += 1000;
    this.calm.tick(this.nowMs, false);
    assert.equal(this.calm.now, true);
  }

  /** What leaves at the end of this turn. */
  said(): string[] {
    this.peers.flush();
    return this.#said.splice(0);
  }

  #read(frame: Uint8Array): void {
    const r = new Reader(frame, 1);
    r.f64();
    while (!r.done) {
      const kind = r.u8();
      if (kind === Wire.Heartbeat) {
        const { sentMs, calm } = LinkMessage.Heartbeat.read(r);
        this.#said.push(`heartbeat ${sentMs}${calm ? ' calm' : ''}`);
      } else if (kind === Wire.HeartbeatAck) {
        this.#said.push(`answer ${LinkMessage.HeartbeatAck.read(r).sentMs}`);
      } else throw new Error(`kind ${kind}`);
    }
  }
}

describe('the answer to a heartbeat', () => {
  it('leaves at once while this node has something under way', () => {
    const bench = new Bench();
    bench.peers.onHeartbeat(bench.peer, { sentMs: 7, calm: true }, bench.nowMs);
    assert.deepEqual(bench.said(), ['answer 7']);
  });

  it('leaves at once for a node that waits for it', () => {
    const bench = new Bench();
    bench.beCalm();
    bench.peers.onHeartbeat(bench.peer, { sentMs: 7, calm: false }, bench.nowMs);
    assert.deepEqual(bench.said(), ['answer 7']);
  });

  it('comes with the next heartbeat when both nodes are calm', () => {
    const bench = new Bench();
    bench.beCalm();
    bench.peers.heartbeat(bench.nowMs);
    assert.deepEqual(bench.said(), [`heartbeat ${bench.nowMs} calm`]);
    bench.peers.onHeartbeat(bench.peer, { sentMs: 7, calm: true }, bench.nowMs);
    assert.deepEqual(bench.said(), []);
    bench.nowMs += HEARTBEAT_MS;
    bench.peers.heartbeat(bench.nowMs);
    assert.deepEqual(bench.said(), ['answer 7', `heartbeat ${bench.nowMs} calm`]);
    assert.equal(bench.peer.grantedMs, bench.nowMs);
  });

  it('leaves in the next tick of a node that is calm no more', () => {
    const bench = new Bench();
    bench.beCalm();
    bench.peers.heartbeat(bench.nowMs);
    bench.said();
    bench.peers.onHeartbeat(bench.peer, { sentMs: 7, calm: true }, bench.nowMs);
    bench.calm.stir();
    bench.nowMs += 20;
    bench.peers.heartbeat(bench.nowMs);
    assert.deepEqual(bench.said(), ['answer 7']);
  });

  it('is not owed on another link', () => {
    const bench = new Bench();
    bench.beCalm();
    bench.peers.onHeartbeat(bench.peer, { sentMs: 7, calm: true }, bench.nowMs);
    bench.peer.lost();
    bench.peer.linked(1, bench.nowMs);
    bench.nowMs += HEARTBEAT_MS;
    bench.peers.heartbeat(bench.nowMs);
    assert.deepEqual(bench.said(), [`heartbeat ${bench.nowMs} calm`]);
  });
});

describe('a member that is late', () => {
  it('has no link, or three heartbeats or answers have not come', () => {
    const bench = new Bench();
    const { peer, peers } = bench;
    peers.onHeartbeatAck(peer, { sentMs: bench.nowMs, grants: false, after: 0 });
    assert.equal(peers.someoneIsLate(bench.nowMs + 3 * HEARTBEAT_MS), false);
    assert.equal(peers.someoneIsLate(bench.nowMs + 3 * HEARTBEAT_MS + 1), true);
    peer.heardMs = bench.nowMs + 1000;
    assert.equal(peers.someoneIsLate(bench.nowMs + 1000), true);
    peer.ackedMs = bench.nowMs + 1000;
    assert.equal(peers.someoneIsLate(bench.nowMs + 1000), false);
    peer.lost();
    assert.equal(peers.someoneIsLate(bench.nowMs + 1000), true);
    peer.member = { ...peer.member, state: 'faulty' };
    assert.equal(peers.someoneIsLate(bench.nowMs + 1000), false);
  });
});
