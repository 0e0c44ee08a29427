/** Prometheus metrics of membership, read from the agent at each scrape. */
import type { SwimAgentCounters } from '@shoal/swim';
import type { MetricDefinition } from './metric-definition.ts';

/** What a scrape reads of membership. */
export interface SwimSource {
  readonly counters: Readonly<SwimAgentCounters>;
  /** Lifeguard's local health score: 0 is well. */
  readonly localHealth: number;
}

type Read = (counters: SwimSource['counters']) => number;

const counter = (name: string, help: string, read: Read): MetricDefinition<SwimSource> => ({
  name,
  type: 'counter',
  help,
  labels: [],
  read: ({ counters }) => [{ value: read(counters), labels: {} }],
});

/** One sample for each value of a label. */
const split = (
  name: string,
  help: string,
  label: string,
  reads: Readonly<Record<string, Read>>,
): MetricDefinition<SwimSource> => ({
  name,
  type: 'counter',
  help,
  labels: [label],
  read: ({ counters }) =>
    Object.entries(reads).map(([value, read]) => ({
      value: read(counters),
      labels: { [label]: value },
    })),
});

/** Every metric of membership, in the order of the reference. */
export const SWIM_METRICS: readonly MetricDefinition<SwimSource>[] = [
  {
    name: 'shoal_swim_local_health',
    type: 'gauge',
    help: 'Lifeguard’s local health score: 0 is well; probes wait score + 1 times as long.',
    labels: [],
    read: ({ localHealth }) => [{ value: localHealth, labels: {} }],
  },
  split('shoal_swim_datagrams_total', 'Datagrams of membership.', 'direction', {
    received: (c) => c.packetsIn,
    sent: (c) => c.packetsOut,
  }),
  split('shoal_swim_bytes_sent_total', 'Bytes of membership, before encryption.', 'transport', {
    udp: (c) => c.bytesOut,
    tcp: (c) => c.streamBytesOut,
  }),
  split('shoal_swim_refused_total', 'Messages of membership that were not taken.', 'reason', {
    malformed: (c) => c.malformed,
    version: (c) => c.otherVersion,
    cluster: (c) => c.otherCluster,
    former_life: (c) => c.staleSender,
    stranger: (c) => c.strangersRefused,
    not_encrypted: (c) => c.clearRefused,
    seal_malformed: (c) => c.sealMalformed,
    seal_key_unknown: (c) => c.sealKeyUnknown,
    seal_cluster: (c) => c.sealOtherCluster,
    seal_forged: (c) => c.sealForged,
    seal_replayed: (c) => c.sealReplayed,
  }),
  counter('shoal_swim_probes_total', 'Probes of other members.', (c) => c.probes),
  counter(
    'shoal_swim_probes_failed_total',
    'Probes without any answer, helpers included.',
    (c) => c.probesFailed,
  ),
  counter(
    'shoal_swim_probes_rearmed_total',
    'Verdicts put off because this process had stalled.',
    (c) => c.probesRearmed,
  ),
  counter('shoal_swim_stalls_total', 'Stalls of this process that it noticed.', (c) => c.stalls),
  counter(
    'shoal_swim_suspicions_total',
    'Suspicions of any member, heard or raised.',
    (c) => c.suspicions,
  ),
  counter(
    'shoal_swim_declared_faulty_total',
    'Members that this process itself declared faulty.',
    (c) => c.declaredFaulty,
  ),
  counter(
    'shoal_swim_refusals_total',
    'Members that this process suspected because their hosts refuse connections.',
    (c) => c.refusals,
  ),
  counter(
    'shoal_swim_names_claimed_total',
    'Times when another process wanted the name of a present member.',
    (c) => c.namesClaimed,
  ),
  counter(
    'shoal_swim_epochs_raised_total',
    'Times when this process took the boot epoch after one that the cluster knew.',
    (c) => c.epochsRaised,
  ),
  counter(
    'shoal_swim_refutes_total',
    'Accusations of this member that it refuted.',
    (c) => c.refutes,
  ),
  counter(
    'shoal_swim_mass_suspicions_total',
    'Times when most other hosts became suspect at once.',
    (c) => c.massSuspicions,
  ),
  counter('shoal_swim_view_changes_total', 'Changes of the stable view.', (c) => c.viewChanges),
  counter(
    'shoal_swim_stream_acks_total',
    'Answers over TCP of members whose datagrams, or ours, got lost.',
    (c) => c.streamAcks,
  ),
  counter(
    'shoal_swim_seeds_failed_total',
    'Attempts to join through a seed that failed.',
    (c) => c.seedsFailed,
  ),
  counter('shoal_swim_syncs_total', 'Exchanges of state begun here.', (c) => c.syncs),
  counter(
    'shoal_swim_members_refused_total',
    'Newcomers turned away and records left out, for want of room.',
    (c) => c.membersRefused,
  ),
  split('shoal_swim_events_total', 'User events.', 'outcome', {
    delivered: (c) => c.events,
    refused: (c) => c.eventsRefused,
    dropped: (c) => c.eventsDropped,
  }),
];
