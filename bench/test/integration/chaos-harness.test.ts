import assert from 'node:assert/strict';
import type { ViolationKind } from '../../src/chaos/checker.ts';
import { type RunReport, runChaos } from '../../src/chaos/run.ts';
import { type Bug, ToyBroker } from '../toy-broker.ts';

/** The whole harness, sockets included, against a toy broker with one bug or none. */
async function play(bug: Bug): Promise<RunReport> {
  const broker = await ToyBroker.create(bug);
  try {
    return await runChaos({
      broker,
      scenario: 'kill-any',
      rounds: 4,
      publishers: 2,
      subscribers: 4,
      rate: 600,
      seed: `toy-${bug}`,
      calmMsMax: 500,
      drainIdleMs: 1_000,
      drainEvery: 2,
    });
  } finally {
    await broker.stop();
  }
}

describe('chaos harness', function () {
  this.timeout(60_000);

  it('passes a broker that does everything right', async () => {
    const report = await play('none');
    assert.deepEqual(report.verdict.violations, []);
    assert.equal(report.ok, true);
    assert.equal(report.kills, 4);
    const { ackedQos1, ackedQos2, deliveredQos1, deliveredQos2, resumes } = report.verdict.figures;
    assert.ok(ackedQos1 > 100 && ackedQos2 > 100, 'both QoS were published');
    assert.ok(deliveredQos1 > 100 && deliveredQos2 > 100, 'both QoS were delivered');
    assert.ok(resumes > 8, 'sessions were resumed');
    assert.ok(report.killsInFlight > 0, 'some kill had writes in flight');
  });

  const bugs: [Bug, ViolationKind[]][] = [
    ['lose', ['lost-qos1', 'lost-qos2']],
    ['duplicate', ['duplicate-qos2']],
    ['reorder', ['order']],
    ['forget-session', ['session-lost']],
    ['redeliver-released', ['duplicate-qos2']],
  ];
  for (const [bug, kinds] of bugs) {
    it(`finds the planted bug: ${bug}`, async () => {
      const report = await play(bug);
      assert.equal(report.ok, false);
      const found = kinds.reduce((sum, kind) => sum + report.verdict.counts[kind], 0);
      assert.ok(found > 0, `${kinds.join(' or ')} in ${JSON.stringify(report.verdict.counts)}`);
      assert.ok(report.evidence.length > 0, 'events that led to it are in the report');
    });
  }
});
