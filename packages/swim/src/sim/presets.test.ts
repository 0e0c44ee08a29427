import assert from 'node:assert/strict';
import { SWIM_PRESETS, type SwimPreset } from '../config.ts';
import { TestCluster } from './test-cluster.ts';

/** The network that each is for, and the time in which all know of a crash there. */
const PROMISES: Readonly<Record<SwimPreset, { faults: object; knownMs: number }>> = {
  lan: { faults: { dropRate: 0.01 }, knownMs: 2_000 },
  wan: { faults: { dropRate: 0.02, delayMinMs: 20, delayMaxMs: 150 }, knownMs: 40_000 },
  local: { faults: { delayMinMs: 0.05, delayMaxMs: 5 }, knownMs: 6_000 },
  test: { faults: {}, knownMs: 2_500 },
};

describe('presets', function () {
  this.timeout(30_000);

  for (const preset of Object.keys(SWIM_PRESETS) as SwimPreset[]) {
    it(`${preset}: ten members call none faulty in ten minutes, and know of a crash in time`, () => {
      const { faults, knownMs } = PROMISES[preset];
      const cluster = new TestCluster(`preset ${preset}`, faults, SWIM_PRESETS[preset]);
      cluster.addMany(10);
      cluster.until('forms', 60_000, () => cluster.whole());
      cluster.run(600_000);
      assert.deepEqual(
        cluster.seenNot('alive').filter((line) => !line.endsWith(' suspect')),
        [],
      );
      cluster.kill('n4');
      cluster.until('knows', knownMs, () => cluster.allSee('faulty', ['n4']));
    });
  }
});
