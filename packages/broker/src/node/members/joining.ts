/**
 * Which cluster a node is of: it founds one, goes on with the one that its folder is of, or learns one
 * from the first peer that knows. And with it the settings of the cluster, and how many shards there are.
 */
import { BytesError } from '../../bytes.ts';
import {
  type ClusterSettings,
  describeDrift,
  disagreement,
  driftOf,
  type GivenSettings,
  type SettingDrift,
  settingsFrom,
} from '../../cluster-settings.ts';
import type { Timings } from '../../config-schema.ts';
import { CLOCK_AHEAD_STEP_MS, type Identity, saveIdentity } from './identity.ts';
import type { JoiningPort } from './members-port.ts';

export interface JoiningOptions {
  readonly identity: Identity;
  /** A fresh folder and no member to join: found a cluster. */
  readonly found: boolean;
  /** These and the silence are used when founding. */
  readonly shardCount: number;
  readonly replicas: number;
  readonly durability: 'disk' | 'memory';
  /** Which of them were given explicitly: a joiner is refused if the cluster has others. */
  readonly given?: GivenSettings;
  /** Why the folder cannot be believed, found before its store was opened; absent or null if it can. */
  readonly damage?: string | null;
  /** Boot epoch of the folder's last run, by what is kept beside its store; 0 or absent for none. */
  readonly lastRun?: number;
}

const DIFFERS = 'configuration differs from the cluster: settings of the cluster apply';

/** Settings that this node would found a cluster with. */
function ownSettings(options: JoiningOptions, { silenceMs }: Timings): ClusterSettings {
  const { identity, shardCount, replicas, durability } = options;
  const shards = identity.shardCount || shardCount;
  return settingsFrom({ shards, replicas, durability, consistency: 'consistent', silenceMs });
}

export class Joining {
  readonly #options: JoiningOptions;
  readonly #port: JoiningPort;
  /** Settings of the cluster; until a joiner has learned them, what it would found one with. */
  readonly cluster: ClusterSettings;
  /** Settings that this member was given explicitly and that differ in its cluster. */
  readonly drift: readonly SettingDrift[];
  identity: Identity;
  /** 0 until the shards are here. */
  shardCount = 0;
  /** What the folder holds has been read. */
  loaded = false;
  /** Told otherwise than the cluster that it joins is: the process ends. */
  #refused = false;

  /** @param port of whose parts nothing is used before {@link boot} */
  constructor(options: JoiningOptions, timings: Timings, port: JoiningPort) {
    const { found, identity, given = {} } = options;
    this.#options = options;
    this.#port = port;
    this.identity = identity;
    this.cluster = { ...(identity.settings ?? ownSettings(options, timings)) };
    this.drift = identity.settings ? driftOf(given, this.cluster) : [];
    if (found || identity.shardCount > 0)
      this.identity = { ...identity, settings: { ...this.cluster } };
  }

  /** Loads every shard; a founder writes view 1 of each. `done` when clients may soon be served. */
  boot(done: () => void): void {
    const { env, lineage, shards, batch } = this.#port;
    const { found, shardCount, damage, lastRun } = this.#options;
    if (found) {
      const clusterId = this.identity.clusterId || `c${this.identity.storeId}`;
      this.identity = { ...this.identity, shardCount, clusterId };
    }
    if (this.identity.shardCount === 0) {
      if (!lineage.onLastRun(lastRun)) return;
      this.loaded = true;
      if (damage) env.damageNoted?.(); // No copy here that it could concern.
      return done();
    }
    const differences = describeDrift(this.drift);
    if (differences !== '') env.log('warn', DIFFERS, { differences });
    // The folder is older than the record of settings: the present ones are those that it was run with.
    if (!this.#options.identity.settings && !found)
      saveIdentity(env.store, this.identity, () => {});
    this.#create(this.identity.shardCount);
    shards.load((problem) => {
      if (problem) return env.fatal(problem.code, problem.message);
      if (!lineage.onLastRun(lastRun)) return;
      this.loaded = true;
      if (damage) batch.onDurable(() => env.damageNoted?.());
      if (!found) return done();
      shards.found();
      // Only when every view is on disk does the folder say that it is of a cluster.
      batch.onDurable(() => saveIdentity(env.store, this.identity, done));
    });
  }

  #create(shardCount: number): void {
    const { views, shards, membership } = this.#port;
    this.shardCount = shardCount;
    views.resize(shardCount);
    shards.create(shardCount);
    membership.place(shardCount);
  }

  /** The cluster's settings; null while this node has not joined one. */
  get settings(): ClusterSettings | null {
    return this.identity.settings;
  }

  /**
   * A peer's settings of the cluster. A joiner takes them; if it was given others explicitly, it ends.
   *
   * @returns whether that was news: the shards are here from now on
   * @throws BytesError when members of one cluster disagree
   */
  onSettings(settings: ClusterSettings): boolean {
    if (this.settings) {
      const what = disagreement(this.settings, settings);
      if (what !== '') throw new BytesError(`settings of the cluster: ${what}`);
      return false;
    }
    if (!this.loaded || this.#refused) return false;
    const { env } = this.#port;
    const drift = driftOf(this.#options.given ?? {}, settings);
    if (drift.length > 0) {
      this.#refused = true;
      env.fatal('BROKER_ERR_JOIN_SETTINGS', describeDrift(drift));
      return false;
    }
    Object.assign(this.cluster, settings);
    env.adopted?.(settings.durability);
    this.identity = { ...this.identity, shardCount: settings.shards, settings };
    saveIdentity(env.store, this.identity, () => {});
    this.#create(settings.shards);
    return true;
  }

  /** A joiner has learned which cluster it is in. */
  onClusterId(clusterId: string): void {
    if (this.identity.clusterId !== '') return;
    this.identity = { ...this.identity, clusterId };
    saveIdentity(this.#port.env.store, this.identity, () => {});
  }

  /** A restart must not set the hybrid clock back, even if the wall clock went back. */
  keepClock(): void {
    const { aheadMs } = this.#port.clock;
    if (Math.abs(aheadMs - this.identity.clockAheadMs) < CLOCK_AHEAD_STEP_MS) return;
    this.identity = { ...this.identity, clockAheadMs: aheadMs };
    saveIdentity(this.#port.env.store, this.identity, () => {});
  }
}
