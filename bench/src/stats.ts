/** Arithmetic of the benchmark: percentiles, medians, slopes. Pure, and bounded in memory. */
import { createHistogram } from 'node:perf_hooks';

/** 12 days; what takes longer counts as this. */
const LONGEST_US = 2 ** 40;

/**
 * Durations of which percentiles are wanted, to three significant figures: the HdrHistogram of Node.js.
 *
 * The broker counts its latencies otherwise (`LatencyHistogram`): a core has no `node:*`, and Prometheus wants
 * the exact number below fixed bounds.
 */
export class Latencies {
  readonly #histogram = createHistogram({ lowest: 1, highest: LONGEST_US, figures: 3 });

  get total(): number {
    return this.#histogram.count;
  }

  /** Largest recorded value in microseconds, 0 if there is none. */
  get maxUs(): number {
    return this.#histogram.max;
  }

  /** @param valueUs microseconds; less than one counts as one */
  record(valueUs: number): void {
    this.#histogram.record(Math.min(LONGEST_US, Math.max(1, Math.round(valueUs))));
  }

  reset(): void {
    this.#histogram.reset();
  }

  /**
   * The value at a rank, which is rounded to the nearest.
   *
   * @param percent 0 < percent ≤ 100
   * @returns microseconds, or null if nothing was recorded
   */
  percentileUs(percent: number): number | null {
    return this.total === 0 ? null : this.#histogram.percentile(percent);
  }
}

/** Median; the mean of the middle two for an even count. Null for an empty list. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** Largest minus smallest, as a share of the median; null if there is no median or it is 0. */
export function spread(values: readonly number[]): number | null {
  const middle = median(values);
  if (middle === null || middle === 0) return null;
  return (Math.max(...values) - Math.min(...values)) / middle;
}

/**
 * Slope of the least-squares line through `points`; with two points, the quotient of differences.
 *
 * @returns null with fewer than two different x
 */
export function slope(
  points: readonly { readonly x: number; readonly y: number }[],
): number | null {
  const n = points.length;
  const meanX = points.reduce((sum, p) => sum + p.x, 0) / n;
  const meanY = points.reduce((sum, p) => sum + p.y, 0) / n;
  let covariance = 0;
  let variance = 0;
  for (const { x, y } of points) {
    covariance += (x - meanX) * (y - meanY);
    variance += (x - meanX) ** 2;
  }
  return n < 2 || variance === 0 ? null : covariance / variance;
}
