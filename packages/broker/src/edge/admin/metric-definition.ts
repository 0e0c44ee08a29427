/** A metric by its name, type and help, and where its numbers are read. */
import type { Counters } from '../../counters.ts';

export interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

export interface MetricDefinition<Source = Counters> {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (source: Source) => readonly Sample[];
}
