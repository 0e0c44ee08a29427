import assert from 'node:assert/strict';
import { swimConfig } from '../config.ts';
import { TestCluster } from '../sim/test-cluster.ts';
import { Swim } from './swim.ts';

function lonely(): { swim: Swim; asks: (seeds: readonly string[], nowMs: number) => string[] } {
  const swim = new Swim({
    config: swimConfig(),
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
