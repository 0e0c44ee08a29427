import assert from 'node:assert/strict';
import { simWorld } from '../../test/sim/world.ts';
import type { LinkHost } from './links.ts';
import type { NetworkOptions } from './network.ts';

class Host implements LinkHost {
  readonly name: string;
  readonly log: string[] = [];
  alive = true;
  paused = false;
  bootEpoch = 1;
  clusterId = 'c';
  peers: ReadonlyMap<string, number> = new Map();

  constructor(name: string) {
    this.name = name;
  }

  run(fn: () => void): void {
    if (this.alive) fn();
  }

  onLinkUp(peer: string): void {
    this.log.push(`up ${peer}`);
  }

  onNoListener(): void {}

  onLinkDown(peer: string): void {
    this.log.push(`down ${peer}`);
  }

  onReset(peer: string): void {
    this.log.push(`reset ${peer}`);
  }

  onFrame(peer: string, frame: Uint8Array): void {
    this.log.push(`${peer} ${frame[0]}`);
  }
}

function world(options: Partial<NetworkOptions> = {}) {
  const { scheduler, network, links } = simWorld(options);
  const [a, b] = [new Host('a'), new Host('b')];
  a.peers = new Map([['b', 1]]);
  b.peers = new Map([['a', 1]]);
  links.attach(a);
  links.attach(b);
  links.peersChanged(a);
  links.peersChanged(b);
  scheduler.runUntil(200);
  a.log.length = 0;
  b.log.length = 0;
  const send = (from: Host, to: string, ...numbers: number[]) => {
    for (const n of numbers) links.send(from, to, Uint8Array.of(n));
  };
  return { scheduler, network, links, a, b, send };
}

describe('simulated links', () => {
  it('come up at both ends, dialled by the smaller name', () => {
    const { links } = world();
    assert.deepEqual(links.established(), [['a', 'b']]);
  });

  it('deliver in order although every frame has a delay of its own', () => {
    const { scheduler, a, b, send } = world();
    send(a, 'b', 1, 2, 3, 4, 5, 6, 7, 8, 9);
    scheduler.runUntil(400);
    assert.deepEqual(
      b.log,
      [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `a ${n}`),
    );
  });

  it('lose what is in flight at a reset, tell both ends, and come back', () => {
    const { scheduler, links, a, b, send } = world();
    send(a, 'b', 1, 2);
    links.reset('a', 'b');
    scheduler.runUntil(1000);
    assert.deepEqual(b.log, ['down a', 'reset a', 'up a']);
    assert.deepEqual(a.log, ['down b', 'reset b', 'up b']);
    send(a, 'b', 3);
    scheduler.runUntil(1200);
    assert.deepEqual(b.log, ['down a', 'reset a', 'up a', 'a 3']);
  });

  it('hold bytes at a one-way cut and release them in order when it heals', () => {
    const { scheduler, network, a, b, send } = world();
    const cut = [{ from: 'a', to: 'b' }];
    network.cut(cut);
    send(a, 'b', 1, 2);
    send(b, 'a', 9);
    scheduler.runUntil(600);
    assert.deepEqual(b.log, []);
    assert.deepEqual(a.log, ['b 9']);
    network.heal(cut);
    send(a, 'b', 3);
    scheduler.runUntil(900);
    assert.deepEqual(b.log, ['a 1', 'a 2', 'a 3']);
  });

  it('are reset when a cut holds bytes for longer than a connection lives', () => {
    const { scheduler, network, links, a, b, send } = world();
    network.cut([
      { from: 'a', to: 'b' },
      { from: 'b', to: 'a' },
    ]);
    send(a, 'b', 1);
    scheduler.runUntil(1500);
    assert.deepEqual(b.log, ['down a', 'reset a']);
    assert.deepEqual(links.established(), []);
    network.healAll();
    scheduler.runUntil(4000);
    assert.deepEqual(b.log, ['down a', 'reset a', 'up a']);
  });

  it('are stalled without loss', () => {
    const { scheduler, links, a, b, send } = world();
    links.stall('a', 'b', 500);
    send(a, 'b', 1);
    scheduler.runUntil(499);
    assert.deepEqual(b.log, []);
    scheduler.runUntil(700);
    assert.deepEqual(b.log, ['a 1']);
  });

  it('wait until the dialler is listed at the other end', () => {
    const { scheduler, links, a, b } = world();
    b.peers = new Map();
    links.peersChanged(b);
    scheduler.runUntil(1000);
    // By its own doing, which is no reset to it.
    assert.deepEqual(b.log, ['down a']);
    b.peers = new Map([['a', 1]]);
    scheduler.runUntil(3000);
    assert.deepEqual(a.log, ['down b', 'reset b', 'up b']);
  });

  it('of a lost machine stay up at the other end until time tells', () => {
    const { scheduler, links, a, b } = world();
    a.alive = false;
    links.detach(a, true);
    scheduler.runUntil(800);
    assert.deepEqual(b.log, []);
    scheduler.runUntil(1300);
    assert.deepEqual(b.log, ['down a', 'reset a']);
  });

  it('of a dead process go down at the other end', () => {
    const { scheduler, links, a, b } = world();
    a.alive = false;
    links.detach(a, false);
    scheduler.runUntil(400);
    assert.deepEqual(b.log, ['down a', 'reset a']);
  });
});

describe('simulated datagrams', () => {
  function sendMany(options: Partial<NetworkOptions>) {
    const { scheduler, network } = world(options);
    const got: number[] = [];
    for (let n = 0; n < 200; n++) {
      network.datagram('a', 'b', Uint8Array.of(n), (bytes) => got.push(bytes[0]!));
    }
    scheduler.runUntil(5000);
    return got;
  }

  it('are dropped, duplicated and reordered as told', () => {
    assert.ok(sendMany({ datagramDrop: 0.5 }).length < 150);
    assert.ok(sendMany({ datagramDuplicate: 0.5 }).length > 250);
    const got = sendMany({ datagramReorder: 0.5, datagramReorderMs: 100 });
    assert.equal(got.length, 200);
    assert.notDeepEqual(
      got,
      [...got].sort((x, y) => x - y),
    );
  });

  it('do not pass a cut', () => {
    const { scheduler, network } = world();
    let got = 0;
    network.cut([{ from: 'a', to: 'b' }]);
    network.datagram('a', 'b', Uint8Array.of(1), () => got++);
    network.datagram('b', 'a', Uint8Array.of(1), () => (got += 10));
    scheduler.runUntil(1000);
    assert.equal(got, 10);
  });
});
