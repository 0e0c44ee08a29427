/** From raw measurements of all rounds to the rows of the table. Pure. */
import type { BrokerName } from './brokers/broker.ts';
import type { IdleStep, Measurement } from './load/result.ts';
import type { ScenarioName, Step } from './plan.ts';
import { median, slope, spread } from './stats.ts';

/** Above this share of one core the load generator, not the broker, is what was measured. */
export const LOAD_BOUND_SHARE = 0.9;

/** Above this share of one core, others disturbed the run. */
export const DISTURBED_SHARE = 0.1;

/** What one step gave. */
export interface StepResult extends Step {
  readonly measurements?: readonly Measurement[];
  readonly idle?: readonly IdleStep[];
  readonly error?: string;
}

/** One scenario, window and broker over all rounds; medians. */
export interface TrafficRow {
  readonly scenario: ScenarioName;
  readonly window: string;
  readonly broker: BrokerName;
  readonly rounds: number;
  readonly deliveredPerSecond: number | null;
  readonly latencyP50Ms: number | null;
  readonly latencyP99Ms: number | null;
  readonly cpuUsPerMessage: number | null;
  /** (largest − smallest) / median of the CPU per message over the rounds. */
  readonly cpuSpread: number | null;
  /** Share of one core. */
  readonly brokerCpuShare: number | null;
  readonly loadCpuShare: number | null;
  /** What others used of the two cores, as a share of one. */
  readonly foreignCpuShare: number | null;
  readonly missing: number;
  readonly loadBound: boolean;
}

export interface IdleRow {
  readonly broker: BrokerName;
  readonly rounds: number;
  /** Slope of private memory over the steps. */
  readonly bytesPerConnection: number | null;
  readonly connectCpuUs: number | null;
  /** Private memory at the first step less what its connections take: the broker without clients. */
  readonly baseBytes: number | null;
  readonly settled: boolean;
}

export function trafficRows(results: readonly StepResult[]): TrafficRow[] {
  const groups = new Map<string, { step: StepResult; measurements: Measurement[] }>();
  for (const step of results) {
    for (const measurement of step.measurements ?? []) {
      const key = `${step.scenario} ${measurement.name} ${step.broker}`;
      const group = groups.get(key) ?? { step, measurements: [] };
      group.measurements.push(measurement);
      groups.set(key, group);
    }
  }
  return [...groups.values()].map(({ step, measurements }) => trafficRow(step, measurements));
}

function trafficRow(step: StepResult, measurements: readonly Measurement[]): TrafficRow {
  const over = (value: (m: Measurement) => number | null) =>
    median(measurements.map(value).filter((v) => v !== null));
  const cpu = measurements.filter((m) => m.delivered > 0).map((m) => m.brokerCpuUs / m.delivered);
  const loadCpuShare = over((m) => m.loadCpuUs / 1e6 / m.seconds);
  return {
    scenario: step.scenario,
    window: measurements[0]?.name ?? '',
    broker: step.broker,
    rounds: measurements.length,
    deliveredPerSecond: over((m) => m.delivered / m.seconds),
    latencyP50Ms: inMs(over((m) => m.latencyP50Us)),
    latencyP99Ms: inMs(over((m) => m.latencyP99Us)),
    cpuUsPerMessage: median(cpu),
    cpuSpread: spread(cpu),
    brokerCpuShare: over((m) => m.brokerCpuUs / 1e6 / m.seconds),
    loadCpuShare,
    foreignCpuShare: over((m) => m.foreignCpuUs / 1e6 / m.seconds),
    missing: measurements.reduce((sum, m) => sum + m.missing, 0),
    loadBound: loadCpuShare !== null && loadCpuShare >= LOAD_BOUND_SHARE,
  };
}

export function idleRows(results: readonly StepResult[]): IdleRow[] {
  const brokers = [...new Set(results.filter((r) => r.idle).map((r) => r.broker))];
  return brokers.map((broker) => {
    const runs = results.flatMap((r) => (r.broker === broker && r.idle ? [r.idle] : []));
    const slopes = runs.map((run) =>
      slope(run.map((s) => ({ x: s.connections, y: s.privateBytes }))),
    );
    const bytesPerConnection = median(slopes.filter((s) => s !== null));
    const bases = runs.flatMap((run, i) => {
      const first = run[0];
      const perConnection = slopes[i];
      if (first === undefined || perConnection === null || perConnection === undefined) return [];
      return [first.privateBytes - perConnection * first.connections];
    });
    return {
      broker,
      rounds: runs.length,
      bytesPerConnection,
      connectCpuUs: median(runs.flatMap((run) => run.map((s) => s.connectCpuUs))),
      baseBytes: median(bases),
      settled: runs.every((run) => run.every((s) => s.settled)),
    };
  });
}

function inMs(us: number | null): number | null {
  return us === null ? null : us / 1000;
}
