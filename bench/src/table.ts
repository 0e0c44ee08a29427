/** The report for people: plain text tables. Pure. */
import {
  DISTURBED_SHARE,
  type IdleRow,
  LOAD_BOUND_SHARE,
  type StepResult,
  type TrafficRow,
} from './summary.ts';

/** Columns padded to their widest cell; the first `left` columns to the left, the rest to the right. */
export function formatTable(rows: readonly (readonly string[])[], left: number): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i < left ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function trafficTable(rows: readonly TrafficRow[]): string {
  const head = ['scenario', 'window', 'broker'];
  const figures = ['msg/s', 'p50 ms', 'p99 ms', 'CPU µs/msg', '±', 'broker', 'load', ''];
  const lines = [...rows]
    .sort(byScenario(rows))
    .map((row) => [
      row.scenario,
      row.window,
      row.broker,
      decimal(row.deliveredPerSecond, 0),
      decimal(row.latencyP50Ms, 2),
      decimal(row.latencyP99Ms, 2),
      decimal(row.cpuUsPerMessage, 1),
      row.rounds > 1 ? percent(row.cpuSpread === null ? null : row.cpuSpread / 2) : '',
      percent(row.brokerCpuShare),
      percent(row.loadCpuShare),
      remarks(row),
    ]);
  return formatTable([[...head, ...figures], ...lines], 3);
}

/** Windows of one scenario together, brokers side by side, in the order of first appearance. */
function byScenario(rows: readonly TrafficRow[]): (a: TrafficRow, b: TrafficRow) => number {
  const order = (key: (row: TrafficRow) => string) => [...new Set(rows.map(key))];
  const scenarios = order((row) => row.scenario);
  const windows = order((row) => row.window);
  const brokers = order((row) => row.broker)
    .sort()
    .reverse();
  const rank = (row: TrafficRow) =>
    (scenarios.indexOf(row.scenario) * 100 + windows.indexOf(row.window)) * 100 +
    brokers.indexOf(row.broker);
  return (a, b) => rank(a) - rank(b);
}

function remarks(row: TrafficRow): string {
  const texts: string[] = [];
  if (row.loadBound) {
    const alsoBroker = (row.brokerCpuShare ?? 0) >= LOAD_BOUND_SHARE;
    texts.push(
      alsoBroker ? 'load generator at its limit too' : 'load generator was the bottleneck',
    );
  }
  const foreign = row.foreignCpuShare ?? 0;
  if (foreign >= DISTURBED_SHARE) texts.push(`others used ${percent(foreign)} of a core`);
  if (row.missing > 0) texts.push(`${row.missing} missing`);
  return texts.join(', ');
}

export function idleTable(rows: readonly IdleRow[]): string {
  const head = ['broker', 'bytes/connection', 'without clients MiB', 'CPU µs/connect', ''];
  const lines = rows.map((row) => [
    row.broker,
    decimal(row.bytesPerConnection, 0),
    decimal(row.baseBytes === null ? null : row.baseBytes / 2 ** 20, 1),
    decimal(row.connectCpuUs, 0),
    row.settled ? '' : 'memory had not come to rest',
  ]);
  return formatTable([head, ...lines], 1);
}

export function failures(results: readonly StepResult[]): string {
  return results
    .filter((r) => r.error !== undefined)
    .map((r) => `FAILED ${r.scenario} ${r.broker} round ${r.round + 1}: ${r.error}`)
    .join('\n');
}

function decimal(value: number | null, digits: number): string {
  return value === null ? '-' : value.toFixed(digits);
}

function percent(value: number | null): string {
  return value === null ? '-' : `${Math.round(value * 100)}%`;
}
