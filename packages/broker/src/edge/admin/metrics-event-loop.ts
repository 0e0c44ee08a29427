/**
 * Lag of the event loop, under the names that prom-client gives it: how late the ticks of the process come.
 *
 * A monitor of Node.js would wake an idle process each time that it looks, records the time between two looks
 * with the lag, and says NaN and 292 years while nothing is recorded.
 */
import { createHistogram, performance } from 'node:perf_hooks';
import type { MetricDefinition } from './metric-definition.ts';

const NANOSECONDS = 1e9;

/** Since the scrape before, in seconds. */
export interface EventLoopLag {
  readonly now: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly stddev: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/** What was recorded, in nanoseconds. */
export interface DelayRecord {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly stddev: number;
  percentile(percentile: number): number;
}

/** @param nowSeconds how late something was that asked for the next turn */
export function lagOf(record: DelayRecord, nowSeconds: number): EventLoopLag {
  const none = record.count === 0;
  const lag = (nanoseconds: number) => (none ? 0 : nanoseconds / NANOSECONDS);
  return {
    now: nowSeconds,
    min: lag(record.min),
    max: lag(record.max),
    mean: lag(record.mean),
    stddev: none || Number.isNaN(record.stddev) ? 0 : record.stddev / NANOSECONDS,
    p50: lag(record.percentile(50)),
    p90: lag(record.percentile(90)),
    p99: lag(record.percentile(99)),
  };
}

export class EventLoopWatch {
  readonly #record = createHistogram();

  /** @param lateMs how late a timer ran, in milliseconds */
  record(lateMs: number): void {
    // It counts from 1.
    this.#record.record(Math.max(1, Math.round((lateMs * NANOSECONDS) / 1000)));
  }

  /** What was recorded since this was last asked. */
  async take(): Promise<EventLoopLag> {
    const askedMs = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    const lag = lagOf(this.#record, (performance.now() - askedMs) / 1000);
    this.#record.reset();
    return lag;
  }
}

const gauge = (
  name: string,
  help: string,
  read: (lag: EventLoopLag) => number,
): MetricDefinition<EventLoopLag> => ({
  name: `nodejs_eventloop_lag${name}_seconds`,
  type: 'gauge',
  help: `${help}, in seconds.`,
  labels: [],
  read: (lag) => [{ value: read(lag), labels: {} }],
});

export const EVENT_LOOP_METRICS: readonly MetricDefinition<EventLoopLag>[] = [
  { ...gauge('', '', ({ now }) => now), help: 'Lag of the event loop now, in seconds.' },
  gauge('_min', 'Least lag of the event loop since the last scrape', ({ min }) => min),
  gauge('_max', 'Longest lag of the event loop since the last scrape', ({ max }) => max),
  gauge('_mean', 'Mean lag of the event loop since the last scrape', ({ mean }) => mean),
  {
    ...gauge('_stddev', '', ({ stddev }) => stddev),
    help: 'Standard deviation of the lag of the event loop since the last scrape, in seconds.',
  },
  gauge('_p50', 'Median lag of the event loop since the last scrape', ({ p50 }) => p50),
  gauge('_p90', '90th percentile of the lag of the event loop', ({ p90 }) => p90),
  gauge('_p99', '99th percentile of the lag of the event loop', ({ p99 }) => p99),
];
