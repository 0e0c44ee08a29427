/**
 * Settings of the whole cluster: written by its founder, told in HELLO, kept in every data folder.
 *
 * Nodes that act by different ones break each other's promises (a lease outlives the silence that another
 * counts, a copy in memory is acknowledged as one on disk), so a node's own configuration serves to found
 * a cluster and for nothing else: a joiner takes the cluster's settings, or is refused where it was told
 * others in words; a member follows the cluster and shows how its configuration differs.
 */
import { BytesError, crc32c, Reader, Writer } from './bytes.ts';

/** Of the record in the data folder and of what HELLO carries. */
const FORMAT = 1;
/** Shards of a cluster: their numbers are two bytes in the store's keys. */
export const SHARDS_MAX = 16_384;
/** Copies of a shard. */
export const REPLICAS_MAX = 7;
/** Milliseconds of silence that a cluster may tolerate. */
export const SILENCE_MS_MAX = 60_000;

const DURABILITIES = ['disk', 'memory'] as const;
const CONSISTENCIES = ['consistent', 'available'] as const;

export interface ClusterSettings {
  /** Counts changes; 1 is what the founder wrote. */
  readonly revision: number;
  /** S, fixed for life. */
  readonly shards: number;
  /** Copies of every shard (R). */
  readonly replicas: number;
  readonly durability: (typeof DURABILITIES)[number];
  readonly consistency: (typeof CONSISTENCIES)[number];
  /** Active copies without which nothing commits, once more than one voter decides. */
  readonly minCopies: number;
  /** Silence after which a copy is dropped or a leader replaced; leases are measured by it. */
  readonly silenceMs: number;
}

/** Settings of the cluster that a configuration has a key for. */
export type SettingName = 'shards' | 'replicas' | 'durability' | 'consistency' | 'silenceMs';

/** Keys of the configuration, by the setting that they found a cluster with. */
export const SETTING_KEYS: Readonly<Record<SettingName, string>> = {
  shards: 'cluster.shards',
  replicas: 'cluster.replicas',
  durability: 'data.durability',
  consistency: 'cluster.consistency',
  silenceMs: 'timings.silenceMs',
};

/** What a node was told in words: by a flag, the environment or a file, not by a default. */
export type GivenSettings = Partial<Pick<ClusterSettings, SettingName>>;

/** A setting that a node is configured otherwise than its cluster. */
export interface SettingDrift {
  /** Dotted key of the configuration. */
  readonly key: string;
  readonly configured: string | number;
  readonly cluster: string | number;
}

export function settingsFrom(own: Pick<ClusterSettings, SettingName>): ClusterSettings {
  return { revision: 1, ...own, minCopies: Math.max(1, own.replicas - 1) };
}

export function driftOf(given: GivenSettings, cluster: ClusterSettings): SettingDrift[] {
  const drift: SettingDrift[] = [];
  for (const [name, key] of Object.entries(SETTING_KEYS) as [SettingName, string][]) {
    const configured = given[name];
    if (configured !== undefined && configured !== cluster[name])
      drift.push({ key, configured, cluster: cluster[name] });
  }
  return drift;
}

/** `cluster.replicas is 1 here and 3 in the cluster`, for people. */
export function describeDrift(drift: readonly SettingDrift[]): string {
  return drift
    .map(
      ({ key, configured, cluster }) =>
        `${key} is ${configured} here and ${cluster} in the cluster`,
    )
    .join(', ');
}

/** What nodes of one cluster disagree about; '' for nothing. */
export function disagreement(own: ClusterSettings, other: ClusterSettings): string {
  const names = Object.keys(own) as (keyof ClusterSettings)[];
  return names
    .filter((name) => own[name] !== other[name])
    .map((name) => `${name} ${other[name]}, here ${own[name]}`)
    .join(', ');
}

export function writeSettings(w: Writer, s: ClusterSettings): void {
  w.u8(FORMAT);
  w.varint(s.revision);
  w.varint(s.shards);
  w.varint(s.replicas);
  w.u8(DURABILITIES.indexOf(s.durability));
  w.u8(CONSISTENCIES.indexOf(s.consistency));
  w.varint(s.minCopies);
  w.varint(s.silenceMs);
}

/** @throws BytesError also for a later format, and for what this version cannot do */
export function readSettings(r: Reader): ClusterSettings {
  const format = r.u8();
  if (format !== FORMAT)
    throw new BytesError(`cluster settings of format ${format}, here ${FORMAT}`);
  const settings = {
    revision: r.varint(),
    shards: r.varint(),
    replicas: r.varint(),
    durability: choice(DURABILITIES, r.u8()),
    consistency: choice(CONSISTENCIES, r.u8()),
    minCopies: r.varint(),
    silenceMs: r.varint(),
  };
  const { shards, replicas, minCopies, silenceMs } = settings;
  const inRange = (n: number, max: number) => n >= 1 && n <= max;
  if (
    !inRange(shards, SHARDS_MAX) ||
    !Number.isInteger(Math.log2(shards)) ||
    !inRange(replicas, REPLICAS_MAX) ||
    !inRange(minCopies, replicas) ||
    !inRange(silenceMs, SILENCE_MS_MAX)
  )
    throw new BytesError('cluster settings out of range');
  return settings;
}

function choice<T>(of: readonly T[], index: number): T {
  const chosen = of[index];
  if (chosen === undefined) throw new BytesError(`cluster setting ${index} is not known`);
  return chosen;
}

export function encodeSettings(s: ClusterSettings): Uint8Array {
  const w = new Writer(32);
  writeSettings(w, s);
  w.u32(crc32c(w.peek()));
  return w.take();
}

/** @returns the format of a later version, or the settings. @throws BytesError when it is damaged */
export function decodeSettings(bytes: Uint8Array): ClusterSettings | { readonly format: number } {
  const [format = 0] = bytes;
  if (format > FORMAT) return { format };
  const r = new Reader(bytes);
  const settings = readSettings(r);
  const end = r.position;
  if (r.u32() !== crc32c(bytes, 0, end)) throw new BytesError('checksum differs');
  return settings;
}
