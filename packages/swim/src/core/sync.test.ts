import assert from 'node:assert/strict';
import { type SwimConfigInput, swimConfig } from '../config.ts';
import { TestCluster } from '../sim/test-cluster.ts';
import { decodeMessage, encodeMessage, encodeUpdate } from './codec.ts';
import type { SwimEvent } from './event.ts';
import { type Body, type MemberState, SWIM_VERSIONS } from './message.ts';
import { Swim } from './swim.ts';

function lonely(config: SwimConfigInput = {}): {
  swim: Swim;
  asks: (seeds: readonly string[], nowMs: number) => string[];
} {
  const swim = new Swim({
    config: swimConfig(config),
    name: 'me',
    bootEpoch: 1,
    clusterId: '',
    address: 'me:1',
    meta: new Uint8Array(),
    random: () => 0.5,
  });
  const asks = (seeds: readonly string[], nowMs: number): string[] =>
    swim
      .step({ type: 'seeds', seeds }, nowMs)
      .flatMap((effect) => (effect.type === 'stream-open' ? [effect.to] : []));
  return { swim, asks };
}

describe('seeds', () => {
  it('are nothing before the start', () => {
    const { asks } = lonely();
    assert.deepEqual(asks(['a:1'], 0), []);
  });

  it('are replaced: the new ones are asked at once, the own address and known ones are not', () => {
    const { swim, asks } = lonely();
    swim.step({ type: 'start', seeds: ['a:1'] }, 0);
    assert.deepEqual(asks(['a:1', 'b:1', 'b:1', 'me:1'], 1), ['b:1']);
    assert.deepEqual(asks(['a:1', 'b:1'], 2), []);
    assert.deepEqual(asks([], 3), []);
    assert.deepEqual(asks(['c:1'], 4), ['c:1']);
  });

  it('are bounded, and asked a few at once', () => {
    const { swim, asks } = lonely();
    swim.step({ type: 'start', seeds: [] }, 0);
    const many = Array.from({ length: 300 }, (_, index) => `s${index}:1`);
    assert.deepEqual(asks(many, 1), many.slice(0, 8));
    // What lies beyond the bound was never taken: it is new when it comes again.
    assert.deepEqual(asks(many.slice(250, 260), 2), many.slice(256, 260));
  });

  it('that lead nowhere are told while no other member is known: not at once, and more and more seldom', () => {
    const cluster = new TestCluster('nowhere', {}, { syncIntervalMs: 60_000 });
    const joiner = cluster.add('n1', { seeds: ['gone:1'] });
    const said = () => [...cluster.notices].filter((line) => line.includes('gone:1'));
    cluster.run(1_900);
    assert.deepEqual(said(), []);
    cluster.run(2_100);
    assert.deepEqual(said(), ['n1 1 SWIM_ERR_UNREACHABLE gone:1']);
    assert.ok(joiner.swim.counters.seedsFailed >= 2);
    const times: number[] = [];
    for (let second = 0; second < 200; second++) {
      cluster.notices.clear();
      cluster.run(1_000);
      if (said().length > 0) times.push(second);
    }
    assert.ok(times.length >= 3 && times.length <= 5, times.join());
    joiner.setSeeds([]);
    cluster.notices.clear();
    cluster.run(300_000);
    assert.deepEqual(said(), []);
  });

  it('let a joiner in once the node that they name has another address', () => {
    const cluster = new TestCluster('moved', {}, { syncIntervalMs: 60_000 });
    cluster.add('n0', { address: 'new:1' });
    const joiner = cluster.add('n1', { seeds: ['old:1'] });
    cluster.run(5_000);
    assert.equal(joiner.members().length, 1);
    joiner.setSeeds(['new:1']);
    cluster.until('joined', 2_000, () => cluster.whole());
  });

  it('of a member name islands of its cluster, which become one with it', () => {
    const cluster = new TestCluster('found islands', {}, { syncIntervalMs: 60_000 });
    cluster.add('n0');
    cluster.add('n1');
    cluster.add('m0', { clusterId: 'c', seeds: [] });
    cluster.run(5_000);
    assert.ok(!cluster.whole());
    cluster.agent('n1').setSeeds(['n0:7000', 'm0:7000']);
    cluster.until('one', 2_000, () => cluster.whole());
  });
});

/** A message of member a, who knows these to be alive. */
function fromA(body: Body, names: readonly string[]): Uint8Array {
  const state: MemberState = 'alive';
  const updates = names.map((name) =>
    encodeUpdate({
      name,
      bootEpoch: 1,
      incarnation: 0,
      state,
      unwell: false,
      versions: SWIM_VERSIONS,
      ageS: 0,
      accuser: '',
      address: `${name}:1`,
      meta: new Uint8Array(),
    }),
  );
  return encodeMessage({ version: 1, clusterId: 'c', name: 'a', bootEpoch: 1 }, body, updates);
}

/** How often a newcomer tells of whom, that was told of these when it joined. */
function toldByNewcomer(names: readonly string[]): Map<string, number> {
  const { swim } = lonely({ protocolPeriodMs: 60_000, gossipFanout: 1 });
  const told = new Map<string, number>();
  let timers: { token: number; dueMs: number }[] = [];
  const step = (event: SwimEvent, nowMs: number): void => {
    for (const effect of swim.step(event, nowMs)) {
      if (effect.type === 'timer') {
        timers.push({ token: effect.token, dueMs: nowMs + effect.afterMs });
      } else if (effect.type === 'stream-open') {
        const bytes = fromA({ type: 'sync-ack' }, names);
        step({ type: 'stream-response', requestId: effect.requestId, bytes }, nowMs);
      } else if (effect.type === 'send') {
        const message = decodeMessage(effect.bytes);
        assert.ok(typeof message !== 'string');
        for (const { name } of message.updates) told.set(name, (told.get(name) ?? 0) + 1);
      }
    }
  };
  step({ type: 'start', seeds: ['a:1'] }, 0);
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 10) {
    const due = timers.filter(({ dueMs }) => dueMs <= nowMs);
    timers = timers.filter(({ dueMs }) => dueMs > nowMs);
    for (const { token } of due) step({ type: 'timer', token }, nowMs);
  }
  return told;
}

describe('what an exchange brought', () => {
  it('is told by a newcomer as any news, and by one of many twice; of itself it tells always', () => {
    const few = toldByNewcomer(['a', 'b', 'd']);
    assert.deepEqual(Object.fromEntries(few), { me: 4, a: 4, b: 4, d: 4 });
    const names = ['a', ...Array.from({ length: 300 }, (_, n) => `x${n}`)];
    const many = toldByNewcomer(names);
    assert.equal(many.get('me'), 12);
    for (const name of names) assert.equal(many.get(name), 2, name);
  });

  it('comes also while there is more to tell than gossip carries', () => {
    for (const [gossipIntervalMs, exchanges] of [
      [10_000, 1],
      [50, 0],
    ] as const) {
      const swim = new Swim({
        config: swimConfig({ gossipIntervalMs }),
        name: 'me',
        bootEpoch: 1,
        clusterId: 'c',
        address: 'me:1',
        meta: new Uint8Array(),
        random: () => 0.5,
      });
      swim.step({ type: 'start', seeds: [] }, 0);
      const others = Array.from({ length: 10 }, (_, n) => `x${n}`);
      swim.step({ type: 'packet', from: 'a:1', bytes: fromA({ type: 'gossip' }, ['a']) }, 1);
      swim.step({ type: 'packet', from: 'a:1', bytes: fromA({ type: 'gossip' }, others) }, 2);
      const target = { target: 'me', targetBootEpoch: 1, targetIncarnation: 0 };
      const bytes = fromA({ type: 'ping', seq: 1, digest: 1, ...target }, []);
      const effects = swim.step({ type: 'packet', from: 'a:1', bytes }, 3);
      const opened = effects.filter(({ type }) => type === 'stream-open');
      assert.equal(opened.length, exchanges);
    }
  });
});
