import assert from 'node:assert/strict';
import type { Measurement } from '../src/load/result.ts';
import { parseOptions } from '../src/options.ts';
import { FULL, interleave, QUICK } from '../src/plan.ts';
import { idleRows, type StepResult, trafficRows } from '../src/summary.ts';
import { idleTable, trafficTable } from '../src/table.ts';

const measurement = (change: Partial<Measurement>): Measurement => ({
  name: 'singles',
  seconds: 2,
  published: 1_000,
  delivered: 1_000,
  missing: 0,
  brokerCpuUs: 20_000,
  loadCpuUs: 1_000_000,
  foreignCpuUs: 0,
  latencyP50Us: 100,
  latencyP99Us: 900,
  latencyMaxUs: 1_000,
  ...change,
});

const traffic = (round: number, change: Partial<Measurement>): StepResult => ({
  round,
  scenario: 'pair-qos0',
  broker: 'shoal',
  measurements: [measurement(change)],
});

describe('benchmark plan', () => {
  it('visits every broker in every scenario and round, side by side', () => {
    const steps = interleave(3, ['pair-qos0', 'idle'], ['shoal', 'mosquitto', 'aedes'], 5);
    assert.equal(steps.length, 18);
    for (let at = 0; at < steps.length; at += 3) {
      const turn = steps.slice(at, at + 3);
      assert.equal(new Set(turn.map((s) => s.broker)).size, 3);
      assert.equal(new Set(turn.map((s) => `${s.round} ${s.scenario}`)).size, 1);
    }
    const firsts = [0, 1, 2].map((r) => steps.find((s) => s.round === r)?.broker);
    assert.equal(new Set(firsts).size, 3, 'each round begins with another broker');
  });

  it('orders by the seed alone', () => {
    const order = (seed: number) => interleave(2, ['idle'], ['shoal', 'aedes'], seed);
    assert.deepEqual(order(9), order(9));
  });
});

describe('benchmark options', () => {
  it('has defaults for everything', () => {
    const options = parseOptions([], 77);
    assert.deepEqual(options.brokers, ['shoal', 'mosquitto', 'aedes']);
    assert.deepEqual(options.sizes, FULL);
    assert.equal(options.seed, 77);
    assert.equal(options.pin, true);
  });

  it('takes each option, with --quick as the base of sizes', () => {
    const argv = ['--quick', '--brokers', 'aedes,shoal', '--seconds', '2.5', '--idle', '10,20'];
    const options = parseOptions([...argv, '--seed', '3', '--rounds', '2', '--no-pin'], 0);
    assert.deepEqual(options.brokers, ['shoal', 'aedes']);
    assert.deepEqual(options.sizes, { ...QUICK, seconds: 2.5, rounds: 2, idleSteps: [10, 20] });
    assert.equal(options.seed, 3);
    assert.equal(options.pin, false);
  });

  it('refuses what is out of bounds, naming it', () => {
    assert.throws(() => parseOptions(['--seconds', '100'], 0), /--seconds 100: .*0\.5 to 60/);
    assert.throws(() => parseOptions(['--rounds', 'many'], 0), /--rounds many/);
    assert.throws(() => parseOptions(['--brokers', 'shoal,emqx'], 0), /'emqx' is none of/);
    assert.throws(() => parseOptions(['--idle', '5000,19000'], 0), /up to 18000/);
    assert.throws(() => parseOptions(['--idle', '20,10'], 0), /growing/);
    assert.throws(() => parseOptions(['--speed', '1'], 0), /speed/);
  });
});

describe('benchmark summary', () => {
  it('takes medians over rounds and CPU per delivered message', () => {
    const [row] = trafficRows([
      traffic(0, { brokerCpuUs: 10_000 }),
      traffic(1, { brokerCpuUs: 30_000, delivered: 2_000 }),
      traffic(2, { brokerCpuUs: 20_000, missing: 4 }),
    ]);
    assert.equal(row?.rounds, 3);
    assert.equal(row?.cpuUsPerMessage, 15);
    assert.equal(row?.deliveredPerSecond, 500);
    assert.equal(row?.latencyP99Ms, 0.9);
    assert.equal(row?.missing, 4);
    assert.equal(row?.loadBound, false);
  });

  it('says when the load generator was the bottleneck, and when messages are missing', () => {
    const rows = trafficRows([traffic(0, { loadCpuUs: 1_900_000, missing: 2 })]);
    assert.equal(rows[0]?.loadBound, true);
    assert.match(trafficTable(rows), /load generator was the bottleneck, 2 missing/);
    const both = trafficRows([traffic(0, { loadCpuUs: 1_900_000, brokerCpuUs: 1_990_000 })]);
    assert.match(trafficTable(both), /load generator at its limit too/);
  });

  it('says when others disturbed the run', () => {
    const rows = trafficRows([traffic(0, { foreignCpuUs: 500_000 })]);
    assert.match(trafficTable(rows), /others used 25% of a core/);
    assert.doesNotMatch(trafficTable(trafficRows([traffic(0, {})])), /others/);
  });

  it('gives no CPU per message if nothing was delivered', () => {
    const [row] = trafficRows([traffic(0, { delivered: 0, latencyP50Us: null })]);
    assert.equal(row?.cpuUsPerMessage, null);
    assert.equal(row?.latencyP50Ms, null);
  });

  it('reads memory per connection from the slope, not from the total', () => {
    const idle = [
      { connections: 5_000, privateBytes: 60e6, settled: true, connectCpuUs: 40 },
      { connections: 15_000, privateBytes: 90e6, settled: true, connectCpuUs: 50 },
    ];
    const [row] = idleRows([{ round: 0, scenario: 'idle', broker: 'aedes', idle }]);
    assert.equal(row?.bytesPerConnection, 3_000);
    assert.equal(row?.baseBytes, 45e6);
    assert.equal(row?.connectCpuUs, 45);
    assert.match(idleTable(row === undefined ? [] : [row]), /aedes +3000 +42\.9 +45/);
  });

  it('counts a failed step as no measurement', () => {
    const failed: StepResult = { round: 0, scenario: 'idle', broker: 'shoal', error: 'gone' };
    assert.deepEqual(trafficRows([failed]), []);
    assert.deepEqual(idleRows([failed]), []);
  });
});
