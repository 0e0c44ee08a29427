import assert from 'node:assert/strict';
import { Network, type NetworkFaults } from './network.ts';
import { Prng } from './prng.ts';
import { Scheduler } from './scheduler.ts';

function setup(faults: Partial<NetworkFaults> = {}): {
  scheduler: Scheduler;
  network: Network;
  got: number[];
} {
  const scheduler = new Scheduler();
  const network = new Network({ scheduler, prng: new Prng('network'), faults });
  const got: number[] = [];
  network.attach('b', {
    onPacket: (_from, bytes) => got.push(bytes[0] ?? -1),
    onRequest: (from, bytes, reply) => reply(from === 'a' ? bytes : null),
  });
  return { scheduler, network, got };
}

describe('Network', () => {
  it('delivers everything after a delay when nothing is wrong', () => {
    const { scheduler, network, got } = setup({ delayMinMs: 2, delayMaxMs: 2 });
    network.send('a', 'b', Uint8Array.of(1));
    scheduler.runUntil(1.9);
    assert.deepEqual(got, []);
    scheduler.runUntil(2);
    assert.deepEqual(got, [1]);
  });

  it('drops, duplicates and reorders at about their rates', () => {
    const { scheduler, network, got } = setup({
      dropRate: 0.2,
      duplicateRate: 0.1,
      reorderRate: 0.3,
      reorderMs: 50,
    });
    for (let n = 0; n < 2_000; n++) {
      scheduler.runUntil(n);
      network.send('a', 'b', Uint8Array.of(n & 0xff));
    }
    scheduler.runUntil(10_000);
    const { dropped, duplicated, reordered, delivered } = network.counters;
    assert.equal(got.length, delivered);
    assert.equal(delivered, 2_000 - dropped + duplicated);
    assert.ok(dropped > 330 && dropped < 470, `${dropped}`);
    assert.ok(duplicated > 110 && duplicated < 210, `${duplicated}`);
    assert.ok(reordered > 500 && reordered < 700, `${reordered}`);
    assert.ok(got.some((value, index) => index > 0 && (got[index - 1] as number) > value));
  });

  it('cuts one way, isolates, splits and heals; what is on its way is cut too', () => {
    const { network, scheduler, got } = setup();
    const arrives = (): boolean => {
      const before = got.length;
      network.send('a', 'b', Uint8Array.of(1));
      scheduler.runUntil(scheduler.nowMs + 10);
      return got.length > before;
    };
    network.cut('b', 'a');
    assert.ok(arrives());
    network.cut('a', 'b');
    assert.ok(!arrives());
    network.heal();
    assert.ok(arrives());
    network.isolate('a');
    assert.ok(!arrives());
    network.rejoin('a');
    network.split([['a'], ['b']]);
    assert.ok(!arrives());
    network.split([['a', 'b']]);
    assert.ok(arrives());
    network.send('a', 'b', Uint8Array.of(2));
    network.isolate('b');
    scheduler.runUntil(scheduler.nowMs + 10);
    assert.ok(!got.includes(2));
  });

  it('answers streams once: echoed, refused, or timed out', () => {
    const { network, scheduler } = setup({ delayMinMs: 1, delayMaxMs: 1 });
    const results: string[] = [];
    const ask = (from: string, to: string): void =>
      network.request(from, to, Uint8Array.of(7), 100, (bytes) =>
        results.push(`${from}${to} ${bytes?.[0] ?? null} ${scheduler.nowMs}`),
      );
    ask('a', 'b');
    ask('x', 'b');
    ask('a', 'nobody');
    network.cut('b', 'c');
    ask('c', 'b');
    scheduler.runUntil(1_000);
    assert.deepEqual(results, ['anobody null 2', 'ab 7 4', 'xb null 4', 'cb null 100']);
  });

  it('sends what a stream lost again, later and later, until its time is up', () => {
    const { network, scheduler } = setup({ delayMinMs: 1, delayMaxMs: 1 });
    const results: string[] = [];
    const ask = (timeoutMs: number): void =>
      network.request('a', 'b', Uint8Array.of(7), timeoutMs, (bytes) =>
        results.push(`${bytes?.[0] ?? null} ${scheduler.nowMs}`),
      );
    network.lose('b', { into: 1 });
    ask(10_000);
    ask(2_000);
    scheduler.runUntil(2_500);
    network.heal();
    scheduler.runUntil(20_000);
    // SYNs at 0, 1 and 3 s.
    assert.deepEqual(results, ['null 2000', '7 3004']);
  });

  it('loses into and out of single addresses', () => {
    const { network, scheduler, got } = setup();
    const arrived = (from: string): number => {
      const before = got.length;
      for (let n = 0; n < 1_000; n++) network.send(from, 'b', Uint8Array.of(1));
      scheduler.runUntil(scheduler.nowMs + 10);
      return got.length - before;
    };
    network.lose('a', { outOf: 0.5 });
    assert.equal(arrived('c'), 1_000);
    assert.ok(Math.abs(arrived('a') - 500) < 60);
    network.lose('b', { into: 0.5 });
    assert.ok(Math.abs(arrived('a') - 250) < 60);
    network.heal();
    assert.equal(arrived('a'), 1_000);
  });

  it('gives up what comes while too much is under way', () => {
    const scheduler = new Scheduler();
    const network = new Network({ scheduler, prng: new Prng('network'), underWayMax: 2 });
    const got: number[] = [];
    network.attach('b', {
      onPacket: (_from, bytes) => got.push(bytes[0] ?? -1),
      onRequest: (_from, bytes, reply) => reply(bytes),
    });
    const answers: (Uint8Array | null)[] = [];
    const ask = (): void =>
      network.request('a', 'b', Uint8Array.of(9), 100, (answer) => answers.push(answer));
    assert.ok(network.send('a', 'b', Uint8Array.of(1)));
    ask();
    assert.ok(!network.send('a', 'b', Uint8Array.of(2)));
    ask();
    assert.deepEqual(answers, []);
    scheduler.runUntil(50);
    assert.deepEqual([got, answers], [[1], [null, Uint8Array.of(9)]]);
    ask();
    assert.ok(network.send('a', 'b', Uint8Array.of(3)));
    scheduler.runUntil(100);
    assert.deepEqual([got, answers.length], [[1, 3], 3]);
  });

  it('draws log-normal delays with the median asked for', () => {
    const { network, scheduler } = setup({ logNormal: { medianMs: 5, sigma: 0.5 } });
    const times: number[] = [];
    network.attach('d', { onPacket: () => times.push(scheduler.nowMs), onRequest: () => {} });
    for (let n = 0; n < 2_001; n++) network.send('a', 'd', Uint8Array.of(1));
    scheduler.runUntil(1_000);
    assert.ok(Math.abs((times[1_000] as number) - 5) < 0.3, `${times[1_000]}`);
    // 97.7 % lie below median × exp(2 sigma).
    const below = times.filter((time) => time < 5 * Math.exp(1)).length / times.length;
    assert.ok(below > 0.965 && below < 0.988, `${below}`);
  });
});
