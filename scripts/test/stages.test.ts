import assert from 'node:assert/strict';
import { assignTests, runOrder, stages } from './stages.ts';

describe('stages of npm test', () => {
  const all = stages({ simSeed: 1, simSeeds: 2 });
  const stageOf = (file: string) => {
    const [stage] = assignTests(all, [file]).keys();
    return stage?.name;
  };

  it('sends each kind of test to its stage', () => {
    const expected = {
      'packages/broker/src/mqtt/topic.test.ts': 'unit',
      'packages/broker/test/contract/store.test.ts': 'unit',
      'packages/broker/test/house/code.test.ts': 'unit',
      'packages/broker/test/property/codec.test.ts': 'property',
      'packages/broker/test/sim/regressions.test.ts': 'simulation',
      'packages/swim/src/sim/experiments/experiments.test.ts': 'simulation',
      'packages/swim/test/integration/agent.test.ts': 'integration',
      'packages/swim/test/thread/swim-thread.test.ts': 'integration',
      'packages/cli/test/commands/config.test.ts': 'integration',
      'packages/cli/test/e2e/chaos.test.ts': 'end to end',
      'models/run.test.ts': 'models',
      'packages/a-new-folder/test/new.test.ts': 'unit',
    };
    for (const [file, stage] of Object.entries(expected)) assert.equal(stageOf(file), stage, file);
  });

  it('refuses a test file that no stage runs', () => {
    assert.throws(() => assignTests(all, ['packages/broker/test/new.spec.js']), /new\.spec\.js/);
  });

  it('runs every stage once, checks before tests, unit tests before slower ones', () => {
    const order = runOrder(all).map((stage) => stage.name);
    assert.deepEqual([...order].sort(), all.map((stage) => stage.name).sort());
    assert.ok(order.indexOf('docs') < order.indexOf('unit'));
    assert.ok(order.indexOf('unit') < order.indexOf('property'));
  });

  it('hands the seed on to the simulator', () => {
    const simulation = all.find((stage) => stage.name === 'simulation');
    const command = simulation?.checks?.[0]?.command.join(' ') ?? '';
    assert.match(command, /--seeds 2 --seed 1 --within 150$/);
  });
});
