import assert from 'node:assert/strict';
import { detection } from './detection.ts';
import { preset } from './preset.ts';
import { formatReport, type Report, type Scenario } from './report.ts';
import { chartSvg } from './svg.ts';

function run(scenario: Scenario, options: { nodes?: number; repeats?: number } = {}): Report {
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
  this.timeout(60_000);

  it('preset: a crash is known to all within 2 s up to 32 members; no false positive under loss', () => {
    assertBars(run(preset, { repeats: 25 }));
  });

  it('detection: sooner than memberlist by 30 %, with no more datagrams', () => {
    assertBars(run(detection, { repeats: 9 }));
  });

  it('replay bit for bit from their seed, and draw their charts', () => {
    const first = run(detection, { nodes: 20, repeats: 2 });
    assert.deepEqual(run(detection, { nodes: 20, repeats: 2 }), first);
    for (const chart of first.charts) {
      const svg = chartSvg(chart);
      assert.ok(svg.startsWith('<svg ') && svg.length < 50_000);
      assert.ok(!/NaN|Infinity|undefined/.test(svg), svg);
    }
  });
});
