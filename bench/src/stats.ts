/** Arithmetic of the benchmark: percentiles, medians, slopes. Pure, and bounded in memory. */

/** Sub-buckets per power of two: a relative error of at most 1/64 (1.6 %). */
const SUB_BUCKETS = 64;
/** Values up to 2^40 µs (12 days); larger ones count in the last bucket. */
const OCTAVES = 34;

/**
 * Counts durations in a fixed number of log-linear buckets (the idea of HdrHistogram).
 *
 * Below 64 µs each microsecond has its own bucket; above, each power of two is divided in 64. The
 * reported value is the middle of the bucket, so it is within 0.8 % of the true one.
 */
export class LatencyHistogram {
  readonly #counts = new Float64Array(SUB_BUCKETS * (OCTAVES + 1));
  #total = 0;
  #max = 0;

  get total(): number {
    return this.#total;
  }

  /** Largest recorded value, exact, in microseconds. */
  get maxUs(): number {
    return this.#max;
  }

  /** @param valueUs microseconds; negative values (clock granularity) count as 0 */
  record(valueUs: number): void {
    const value = valueUs > 0 ? valueUs : 0;
    const index = bucketOf(value);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total++;
    if (value > this.#max) this.#max = value;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#total = 0;
    this.#max = 0;
  }

  /**
   * Nearest-rank percentile.
   *
   * @param percent 0 < percent ≤ 100
   * @returns microseconds, or null if nothing was recorded
   */
  percentileUs(percent: number): number | null {
    if (this.#total === 0) return null;
    const rank = Math.max(1, Math.ceil((percent / 100) * this.#total));
    let seen = 0;
    for (let index = 0; index < this.#counts.length; index++) {
      seen += this.#counts[index] ?? 0;
      if (seen >= rank) return Math.min(middleOf(index), this.#max);
    }
    return this.#max;
  }
}

function bucketOf(valueUs: number): number {
  const whole = Math.floor(valueUs);
  if (whole < SUB_BUCKETS) return whole;
  // Shifted right by `octave`, the value is in [32, 64): two sub-buckets for each unit.
  const octave = Math.floor(Math.log2(whole)) - 5;
  if (octave > OCTAVES) return SUB_BUCKETS * (OCTAVES + 1) - 1;
  return octave * SUB_BUCKETS + Math.floor((whole / 2 ** octave - SUB_BUCKETS / 2) * 2);
}

function middleOf(index: number): number {
  if (index < SUB_BUCKETS) return index;
  const octave = Math.floor(index / SUB_BUCKETS);
  const sub = index % SUB_BUCKETS;
  return (SUB_BUCKETS / 2 + (sub + 0.5) / 2) * 2 ** octave;
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
