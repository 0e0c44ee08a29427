import assert from 'node:assert/strict';
import { runAnomaly } from './anomaly.ts';
import { bootstrap } from './bootstrap.ts';
import { detection } from './detection.ts';
import { growth } from './growth.ts';
import { load } from './load.ts';
import { preset } from './preset.ts';
import { rapid } from './rapid.ts';
import { refusal } from './refusal.ts';
import { formatReport, type Report, type Scenario } from './report.ts';
import { split } from './split.ts';
import { chartSvg } from './svg.ts';
import { ALL_PARTS, memberlist, NO_PARTS, oursAtOneSecond } from './variant.ts';

async function run(
  scenario: Scenario,
  options: { nodes?: number; repeats?: number } = {},
): Promise<Report> {
  const { nodes, repeats } = options;
  return scenario.run({ seed: 'test', nodes, repeats, full: false, progress: () => {} });
}

function assertBars(report: Report): void {
  assert.ok(report.bars.length > 0);
  assert.ok(
    report.bars.every(({ ok }) => ok),
    formatReport(report),
  );
}

describe('experiments', function () {
  this.timeout(300_000);

  it('preset: a killed process is known to all in 1.5 s at the median, up to 32 members; no false positive under loss', async () => {
    assertBars(await run(preset, { repeats: 25 }));
  });

  it('refusal: owners hear of a killed process at once after a hint, and of no pause', async () => {
    assertBars(await run(refusal, { repeats: 10 }));
  });

  it('detection: sooner than memberlist by 30 %, with no more datagrams', async () => {
    assertBars(await run(detection, { repeats: 4 }));
  });

  it('lifeguard: members that block accuse no other, where those of SWIM do', async () => {
    const anomaly = {
      concurrent: 8,
      durationMs: 16_384,
      intervalMs: 1,
      blocks: 'process',
    } as const;
    const falsePositives = [memberlist(40, { alpha: 5, parts: NO_PARTS }), oursAtOneSecond()].map(
      (variant) => runAnomaly({ variant, size: 40, seed: 'test', anomaly }).falsePositives,
    );
    assert.ok((falsePositives[0] as number) > 0);
    assert.equal(falsePositives[1], 0);
  });

  it('lifeguard: where sends and receives block, its parts help as in the paper', () => {
    const blocks = { durationMs: 16_384, intervalMs: 64, blocks: 'messages' } as const;
    const anomaly = { ...blocks, concurrent: 8 };
    const [none, suspicion, all] = [NO_PARTS, { ...NO_PARTS, suspicion: true }, ALL_PARTS].map(
      (parts) => {
        const variant = memberlist(40, { alpha: 5, parts });
        return runAnomaly({ variant, size: 40, seed: 'test', anomaly }).falsePositives;
      },
    ) as [number, number, number];
    assert.ok(none > 100, `${none}`);
    assert.ok(suspicion < none * 0.1 && all < none * 0.1, `${none} ${suspicion} ${all}`);
  });

  it('growth: at most logarithmic', async () => {
    assertBars(await run(growth, { nodes: 300, repeats: 6 }));
  });

  it('load: two datagrams a period at any size; 17 joiners are held at 10 % loss', async () => {
    assertBars(await run(load, { nodes: 100 }));
  });

  it('rapid: exactly the failed ones leave the view, whatever they do', async () => {
    assertBars(await run(rapid, { nodes: 50 }));
  });

  it('bootstrap: all know all, not later than with memberlist', async () => {
    assertBars(await run(bootstrap, { nodes: 400 }));
  });

  it('split: one view soon after the healing; a full outage revives no member that was gone', async () => {
    assertBars(await run(split, { nodes: 20 }));
  });

  it('replay bit for bit from their seed, and draw their charts', async () => {
    const first = await run(detection, { nodes: 20, repeats: 2 });
    assert.deepEqual(await run(detection, { nodes: 20, repeats: 2 }), first);
    for (const chart of first.charts) {
      const svg = chartSvg(chart);
      assert.ok(svg.startsWith('<svg ') && svg.length < 50_000);
      assert.ok(!/NaN|Infinity|undefined/.test(svg), svg);
    }
  });
});
