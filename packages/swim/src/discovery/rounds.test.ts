import assert from 'node:assert/strict';
import { deferred } from '../deferred.ts';
import type { Transport } from '../transport.ts';
import type { Discovery, DiscoveryHost } from './discovery.ts';
import { Hello } from './hello.ts';
import { DiscoveryRounds, type RoundsOptions } from './rounds.ts';
import { staticSeeds } from './static.ts';

const transport: Pick<Transport, 'address' | 'send' | 'request'> = {
  address: '10.0.0.1:1',
  send: () => {},
  request: () => {},
};

const host: DiscoveryHost = {
  address: 'me:1',
  transport,
  presentCount: () => 1,
  hello: new Hello({ address: 'me:1', clusterId: () => 'c', nowMs: () => 0 }),
  wrap: { wrap: (bytes) => bytes, unwrap: (_from, bytes) => bytes },
};

/** A discovery that answers by hand. */
class Hand implements Discovery {
  readonly describes: string;
  readonly rounds: { found: (seed: string) => void; end: (error?: Error) => void }[] = [];
  opened = 0;
  closed = 0;
  refusals = 0;
  keepsOpen = false;
  #asked = deferred<void>();

  constructor(describes: string) {
    this.describes = describes;
  }

  async open(): Promise<Awaited<ReturnType<Discovery['open']>>> {
    if (this.refusals > 0) {
      this.refusals--;
      throw new Error('no such interface');
    }
    this.opened++;
    return {
      search: async (found, signal) => {
        const ended = deferred<void>();
        signal.addEventListener('abort', () => ended.resolve());
        const end = (error?: Error): void => {
          if (error === undefined) ended.resolve();
          else ended.reject(error);
        };
        this.rounds.push({ found, end });
        this.#asked.resolve();
        await ended.promise;
      },
      close: async () => {
        this.closed++;
        if (this.keepsOpen) throw new Error('it stays open');
      },
    };
  }

  /** The next round, once it has begun. */
  async next(): Promise<{ found: (seed: string) => void; end: (error?: Error) => void }> {
    await this.#asked.promise;
    this.#asked = deferred<void>();
    const round = this.rounds.at(-1);
    assert.ok(round !== undefined);
    return round;
  }
}

class Watch {
  readonly told: string[] = [];
  readonly pauses: number[] = [];
  readonly complaints: unknown[] = [];
  present = 1;
  readonly rounds: DiscoveryRounds;
  #waiting: (() => void)[] = [];
  #paused = deferred<void>();

  constructor(discoveries: readonly Discovery[], options: Partial<RoundsOptions> = {}) {
    this.rounds = new DiscoveryRounds({
      discoveries,
      host: { ...host, presentCount: () => this.present },
      seeds: [],
      intervalMs: 30_000,
      lonelyIntervalMs: 1_000,
      onSeeds: (seeds) => this.told.push(seeds.join(' ')),
      log: (_level, _message, fields) => this.complaints.push(fields?.['reason']),
      wait: async (ms, signal) => {
        this.pauses.push(ms);
        const { promise, resolve } = deferred<void>();
        signal.addEventListener('abort', () => resolve());
        this.#waiting.push(resolve);
        this.#paused.resolve();
        await promise;
      },
      ...options,
    });
  }

  /** Resolves once a discovery pauses. */
  async pause(): Promise<void> {
    await this.#paused.promise;
    this.#paused = deferred<void>();
  }

  wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

describe('DiscoveryRounds', () => {
  it('tells of a seed as soon as it is found, and forgets it a whole round later', async () => {
    const hand = new Hand('hand');
    const watch = new Watch([hand], { seeds: ['s:1'] });
    const first = await hand.next();
    first.found('a:1');
    first.found('b:1');
    first.found('a:1');
    assert.deepEqual(watch.told, ['s:1 a:1', 's:1 a:1 b:1']);
    first.end();
    await watch.pause();
    watch.wake();
    const second = await hand.next();
    second.found('b:1');
    second.found('c:1');
    assert.equal(watch.told.at(-1), 's:1 a:1 b:1 c:1');
    second.end();
    await watch.pause();
    assert.equal(watch.told.at(-1), 's:1 b:1 c:1');
    await watch.rounds.stop();
    assert.equal(hand.closed, 1);
  });

  it('keeps what a failing one named, complains once, and goes on with the others', async () => {
    const [failing, well] = [new Hand('failing'), new Hand('well')];
    const watch = new Watch([failing, well]);
    const round = await failing.next();
    round.found('a:1');
    round.end();
    await watch.pause();
    for (let n = 0; n < 3; n++) {
      watch.wake();
      (await failing.next()).end(new Error('the server is down'));
      await watch.pause();
    }
    assert.deepEqual(watch.complaints, ['the server is down']);
    (await well.next()).found('b:1');
    assert.equal(watch.told.at(-1), 'a:1 b:1');
    await watch.rounds.stop();
  });

  it('tries again to open what could not be opened', async () => {
    const hand = new Hand('hand');
    hand.refusals = 2;
    const watch = new Watch([hand]);
    await watch.pause();
    watch.wake();
    await watch.pause();
    watch.wake();
    (await hand.next()).found('a:1');
    assert.deepEqual(watch.told, ['a:1']);
    assert.deepEqual(watch.complaints, ['no such interface']);
    await watch.rounds.stop();
    assert.deepEqual([hand.opened, hand.closed], [1, 1]);
  });

  it('stops though one cannot be closed, and says so', async () => {
    const [bad, good] = [new Hand('bad'), new Hand('good')];
    bad.keepsOpen = true;
    const watch = new Watch([bad, good]);
    await Promise.all([bad.next(), good.next()]);
    await watch.rounds.stop();
    assert.deepEqual([bad.closed, good.closed], [1, 1]);
    assert.deepEqual(watch.complaints, ['Error: it stays open']);
  });

  it('asks often while alone, and together at most eight times an interval', async () => {
    const watch = new Watch([staticSeeds(['a:1'])]);
    await watch.pause();
    for (const present of [2, 8, 9, 100]) {
      watch.present = present;
      watch.wake();
      await watch.pause();
    }
    assert.deepEqual(watch.pauses, [1_000, 30_000, 30_000, 60_000, 390_000]);
    await watch.rounds.stop();
  });

  it('leaves out ourselves, what is no address, and the other family; bounds the rest', async () => {
    const hand = new Hand('hand');
    const watch = new Watch([hand]);
    const round = await hand.next();
    for (const seed of ['me:1', 'nonsense', '[::1]:5', '10.0.0.2:0']) round.found(seed);
    assert.equal(watch.told.length, 0);
    for (let n = 0; n < 300; n++) round.found(`h${n}:1`);
    assert.equal(watch.told.at(-1)?.split(' ').length, 256);
    await watch.rounds.stop();
    round.found('late:1');
    assert.equal(watch.told.length, 256);
  });
});
