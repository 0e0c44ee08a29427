import assert from 'node:assert/strict';
import { LocalCluster } from '../../../../bench/src/chaos/cluster.ts';
import { type RunReport, runChaos } from '../../../../bench/src/chaos/run.ts';
import type { Scenario } from '../../../../bench/src/chaos/scenarios.ts';
import { FEW_SHARDS } from './tools.ts';

/** A short form of `npm run chaos`: the same clients, kills and checker. */
describe('black box: real nodes, SIGKILL, hopping subscribers', function () {
  this.timeout(240_000);

  const plans: {
    scenario: Scenario;
    rounds: number;
    startArgs: readonly string[];
    what: string;
  }[] = [
    {
      scenario: 'kill-any',
      rounds: 6,
      startArgs: [],
      what: 'one node at a time is killed and restarted',
    },
    {
      scenario: 'kill-all',
      rounds: 2,
      startArgs: FEW_SHARDS,
      what: 'all nodes are killed at once and restarted',
    },
    {
      scenario: 'add-remove',
      rounds: 1,
      startArgs: FEW_SHARDS,
      what: 'a node is added and one removed under load',
    },
  ];
  for (const { scenario, rounds, startArgs, what } of plans) {
    it(`loses, repeats and reorders nothing while ${what}`, async () => {
      const cluster = await LocalCluster.create({ nodes: 3, startArgs });
      try {
        const report = await runChaos({
          broker: cluster,
          scenario,
          rounds,
          publishers: 3,
          subscribers: 4,
          rate: 300,
          seed: `ci-${scenario}`,
          calmMsMax: 1_500,
          drainIdleMs: 20_000,
        });
        assert.deepEqual(report.verdict.violations, [], describe(report));
        assert.equal(report.notWhole, 0, describe(report));
        assert.equal(report.unsettled, 0, describe(report));
        assert.equal(report.rounds.length, rounds);
        assert.ok(report.verdict.figures.ackedQos1 > 100, describe(report));
        assert.ok(report.verdict.figures.ackedQos2 > 100, describe(report));
      } finally {
        await cluster.stop();
      }
    });
  }

  function describe(report: RunReport): string {
    const { verdict, rounds, notWhole, unsettled, evidence } = report;
    const events = evidence.slice(-60).map((event) => JSON.stringify(event));
    const head = JSON.stringify({ counts: verdict.counts, rounds, notWhole, unsettled }, null, 1);
    return [head, ...verdict.violations.slice(0, 5).map((v) => JSON.stringify(v)), ...events].join(
      '\n',
    );
  }
});
