/** The value below or at which the share `p` of `values` lies (nearest rank); NaN if there is none. */
export function percentile(values: readonly number[], p: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(p * sorted.length));
  return sorted[rank - 1] as number;
}

export interface Distribution {
  readonly n: number;
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Nearest-rank percentiles, rounded to tenths; null if there is nothing to describe. */
export function distribution(values: readonly number[]): Distribution | null {
  if (values.length === 0) return null;
  const at = (p: number): number => Math.round(percentile(values, p) * 10) / 10;
  return { n: values.length, min: at(0), p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** One line a bucket: its lower bound, a bar, a count. Buckets have equal widths, `buckets` of them. */
export function histogram(values: readonly number[], buckets = 12, barMax = 40): string[] {
  if (values.length === 0) return [];
  const low = Math.min(...values);
  const width = (Math.max(...values) - low) / buckets || 1;
  const counts = new Array<number>(buckets).fill(0);
  for (const value of values) {
    const bucket = Math.min(buckets - 1, Math.floor((value - low) / width));
    counts[bucket] = (counts[bucket] as number) + 1;
  }
  const most = Math.max(...counts);
  return counts.map((count, i) => {
    const from = Math.round(low + i * width);
    const bar = '█'.repeat(Math.round((count / most) * barMax));
    return `${String(from).padStart(7)} ms │${bar} ${count || ''}`.trimEnd();
  });
}
