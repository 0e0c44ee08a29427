/** A metric by its name, type and help, and where its numbers are read. */
import { type Counters, LatencyHistogram, type PerQos } from '../../counters.ts';

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

type Read = (counters: Counters) => number;

export const counter = (name: string, help: string, read: Read): MetricDefinition => ({
  name,
  type: 'counter',
  help,
  labels: [],
  read: (counters) => [{ value: read(counters), labels: {} }],
});

export const gauge = (name: string, help: string, read: Read): MetricDefinition => ({
  ...counter(name, help, read),
  type: 'gauge',
});

export const perQos = (
  name: string,
  help: string,
  read: (counters: Counters) => PerQos,
): MetricDefinition => ({
  name,
  type: 'counter',
  help,
  labels: ['qos'],
  read: (counters) => read(counters).map((value, qos) => ({ value, labels: { qos } })),
});

export const histogram = (
  name: string,
  help: string,
  read: (counters: Counters) => LatencyHistogram,
): MetricDefinition => ({
  name,
  type: 'histogram',
  help,
  labels: ['le'],
  read: (counters) => histogramSamples(name, read(counters)),
});

/** Prometheus counts cumulatively and in seconds. */
function histogramSamples(name: string, source: LatencyHistogram): Sample[] {
  let below = 0;
  const samples: Sample[] = LatencyHistogram.boundsMs.map((boundMs, bucket) => {
    below += source.counts[bucket] ?? 0;
    return { metricName: `${name}_bucket`, value: below, labels: { le: boundMs / 1000 } };
  });
  return [
    ...samples,
    { metricName: `${name}_bucket`, value: source.count, labels: { le: '+Inf' } },
    { metricName: `${name}_sum`, value: source.sumMs / 1000, labels: {} },
    { metricName: `${name}_count`, value: source.count, labels: {} },
  ];
}
