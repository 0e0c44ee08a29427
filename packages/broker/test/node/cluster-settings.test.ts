import assert from 'node:assert/strict';
import { Writer } from '../../src/bytes.ts';
import { type ClusterSettings, settingsFrom, writeSettings } from '../../src/cluster-settings.ts';
import { Lane } from '../../src/node/link/lanes.ts';
import { Wire } from '../../src/node/link/wire.ts';
import { TestNodes } from './nodes.ts';

const FOUNDED = {
  revision: 1,
  shards: 16,
  replicas: 3,
  durability: 'disk',
  consistency: 'consistent',
  minCopies: 2,
  silenceMs: 700,
} as const;

function founded(): TestNodes {
  const nodes = new TestNodes();
  nodes.add('n1', { replicas: 3, timings: { silenceMs: 700 } });
  return nodes;
}

function hello(settings: ClusterSettings): Uint8Array {
  const w = new Writer();
  w.u8(Lane.Announce);
  w.f64(1);
  w.u8(Wire.Hello);
  w.bool(true);
  writeSettings(w, settings);
  return w.take();
}

describe('settings of the cluster', () => {
  it('are taken over by a joiner that was told none, silence and durability included', () => {
    const nodes = founded();
    const n2 = nodes.add('n2', { replicas: 1, durability: 'memory' });
    assert.deepEqual(n2.joining.settings, FOUNDED);
    assert.deepEqual(n2.cluster, FOUNDED);
    assert.deepEqual(n2.drift, []);
    nodes.advance(3000);
    // By its own one copy, half of the shards would have been left with one.
    for (const copy of n2.shards.led) assert.equal(copy.view.active.length, 2);
    assert.ok(n2.shards.led.size > 0);
    assert.ok(n2.ready);
  });

  for (const [given, text] of [
    [{ replicas: 1 }, 'cluster.replicas is 1 here and 3 in the cluster'],
    [{ durability: 'memory' }, 'data.durability is memory here and disk in the cluster'],
    [{ shards: 32 }, 'cluster.shards is 32 here and 16 in the cluster'],
    [{ silenceMs: 500 }, 'timings.silenceMs is 500 here and 700 in the cluster'],
    [
      { shards: 64, replicas: 5 },
      'cluster.shards is 64 here and 16 in the cluster, cluster.replicas is 5 here and 3 in the cluster',
    ],
  ] as const) {
    it(`end a joiner that was told ${JSON.stringify(given)}`, () => {
      const nodes = founded();
      nodes.mayEnd = true;
      const n2 = nodes.add('n2', { given });
      assert.equal(nodes.ended.get('n2'), `BROKER_ERR_JOIN_SETTINGS ${text}`);
      assert.equal(n2.joining.settings, null);
      assert.equal(n2.shardCount, 0);
    });
  }

  it('let a joiner in that was told the same', () => {
    const nodes = founded();
    const n2 = nodes.add('n2', { given: { shards: 16, replicas: 3, silenceMs: 700 } });
    assert.deepEqual(n2.joining.settings, FOUNDED);
  });

  it('are followed by a member that is told others later, which says so once', () => {
    const nodes = founded();
    nodes.add('n2');
    nodes.add('n3');
    nodes.advance(3000);
    nodes.kill('n2');
    nodes.advance(1000);
    const n2 = nodes.add('n2', {
      replicas: 1,
      durability: 'memory',
      given: { replicas: 1, durability: 'memory', shards: 16 },
    });
    nodes.advance(3000);
    assert.deepEqual(n2.cluster, FOUNDED);
    assert.deepEqual(n2.drift, [
      { key: 'cluster.replicas', configured: 1, cluster: 3 },
      { key: 'data.durability', configured: 'memory', cluster: 'disk' },
    ]);
    assert.deepEqual(n2.asking.totals().drift, n2.drift);
    const warnings = nodes.warnings.filter((text) => text.startsWith('configuration differs'));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /cluster\.replicas is 1 here and 3 in the cluster/);
    assert.ok(n2.ready);
  });

  it('that contradict those of a member cost the link', () => {
    const nodes = founded();
    const n1 = nodes.add('n2');
    n1.links.onFrame('n1', hello({ ...FOUNDED, durability: 'memory' }));
    assert.match(nodes.errors.join(), /frame refused .*durability memory, here disk/);
  });

  for (const wrong of [
    { shards: 2 ** 40 },
    { shards: 15 },
    { replicas: 8 },
    { minCopies: 4 },
    { silenceMs: 0 },
  ]) {
    it(`of ${JSON.stringify(wrong)} cost the link, and are not taken`, () => {
      const nodes = new TestNodes();
      nodes.add('n1');
      const settings = settingsFrom({ ...FOUNDED, shards: 16 });
      nodes.errors.length = 0;
      nodes.add('n2').links.onFrame('n1', hello({ ...settings, ...wrong }));
      assert.match(nodes.errors.join(), /frame refused .*out of range/);
    });
  }

  it('of a later format cost the link', () => {
    const nodes = founded();
    const bytes = hello(FOUNDED);
    bytes[11] = 2;
    nodes.add('n2').links.onFrame('n1', bytes);
    assert.match(nodes.errors.join(), /settings of format 2/);
  });
});
