/** What membership means for shards: targets, members that are gone, copies that may be dropped. */

import type { ClusterSettings } from '../../cluster-settings.ts';
import { type Placement, place } from '../../placement/placement.ts';
import type { MemberInfo } from '../../ports.ts';
import { type CopyId, copyId, nameOf, type ViewNumber } from '../../shard/view.ts';

/** Names that membership does not know, remembered together; beyond it all begin anew. */
const UNKNOWN_MAX = 1024;
/** A gateway unknown for so long is no more: its process is none of the cluster's. */
const GATEWAY_UNKNOWN_MS = 10_000;

/** A member that was unwell is preferred as leader again after so long. */
const WELL_AFTER_MS = 5_000;

const NOBODY: readonly CopyId[] = [];

/** A member that runs as far as membership knows: a suspect one may object. */
export function isPresent({ state }: { readonly state: string }): boolean {
  return state === 'alive' || state === 'suspect';
}

export class Membership {
  readonly #self: CopyId;
  readonly #bootEpoch: number;
  readonly #cluster: Pick<ClusterSettings, 'replicas'>;
  readonly #replaceVoterAfterMs: number;
  #members = new Map<string, MemberInfo>();
  readonly #faultySinceMs = new Map<string, number>();
  /** By name: since when this process has known no such member. */
  readonly #unknownSinceMs = new Map<string, number>();
  #targets: (readonly CopyId[])[] = [];
  #voters: (readonly CopyId[])[] = [];
  /** Members whose main loop or disk hangs (Infinity) or hung lately: until when each counts as unwell. */
  readonly #unwellUntilMs = new Map<string, number>();
  #key = '';

  /** @param replaceVoterAfterMs a voter dead or unknown for so long is replaced */
  constructor(
    self: CopyId,
    bootEpoch: number,
    cluster: Pick<ClusterSettings, 'replicas'>,
    replaceVoterAfterMs: number,
  ) {
    this.#self = self;
    this.#bootEpoch = bootEpoch;
    this.#cluster = cluster;
    this.#replaceVoterAfterMs = replaceVoterAfterMs;
  }

  get members(): IterableIterator<MemberInfo> {
    return this.#members.values();
  }

  get(name: string): MemberInfo | undefined {
    return this.#members.get(name);
  }

  update(members: readonly MemberInfo[], shardCount: number, nowMs: number): void {
    this.#members = new Map(members.map((m) => [m.name, m]));
    for (const name of this.#unwellUntilMs.keys())
      if (!this.#members.has(name)) this.#unwellUntilMs.delete(name);
    for (const m of members) {
      if (m.unwell) this.#unwellUntilMs.set(m.name, Number.POSITIVE_INFINITY);
      else if (this.#unwellUntilMs.get(m.name) === Number.POSITIVE_INFINITY)
        this.#unwellUntilMs.set(m.name, nowMs + WELL_AFTER_MS);
      if (m.state !== 'faulty') this.#faultySinceMs.delete(m.name);
      else if (!this.#faultySinceMs.has(m.name)) this.#faultySinceMs.set(m.name, nowMs);
    }
    for (const name of this.#unknownSinceMs.keys())
      if (this.#members.has(name)) this.#unknownSinceMs.delete(name);
    this.place(shardCount);
  }

  /** Computes the table anew when who may hold shards has changed. */
  place(shardCount: number): void {
    const usable = [...this.#members.values()].filter(
      (m) => (m.inStableView ?? isPresent(m)) && !m.meta.leaving,
    );
    const key = usable
      .map((m) => [m.name, m.meta.storeId, m.meta.zone, m.meta.host, m.meta.weight].join('|'))
      .sort()
      .join();
    if (`${shardCount}:${key}` === this.#key) return;
    this.#key = `${shardCount}:${key}`;
    if (usable.length === 0 || shardCount === 0) {
      this.#targets = [];
      this.#voters = [];
      return;
    }
    const table: Placement = place(
      usable.map((m) => ({
        name: m.name,
        zone: m.meta.zone,
        host: m.meta.host,
        weight: m.meta.weight,
      })),
      shardCount,
      this.#cluster.replicas,
    );
    const ids = new Map(usable.map((m) => [m.name, copyId(m.name, m.meta.storeId)]));
    const named = (names: readonly string[]) => names.map((name) => ids.get(name)!);
    this.#targets = [];
    this.#voters = [];
    for (let shard = 0; shard < shardCount; shard++) {
      this.#targets.push(named(table.targets(shard)));
      this.#voters.push(named(table.voters(shard)));
    }
  }

  /**
   * Members wanted for a shard, preferred leader first; those that are unwell come last, and stay there for
   * a while: leadership is not to go back and forth with a disk that hangs again and again.
   */
  targets(shard: number, nowMs: number): readonly CopyId[] {
    const targets = this.#targets[shard] ?? NOBODY;
    for (const [name, untilMs] of this.#unwellUntilMs)
      if (untilMs <= nowMs) this.#unwellUntilMs.delete(name);
    if (this.#unwellUntilMs.size === 0) return targets;
    const isUnwell = (id: CopyId) => this.#unwellUntilMs.has(nameOf(id));
    return [...targets.filter((id) => !isUnwell(id)), ...targets.filter(isUnwell)];
  }

  voters(shard: number): readonly CopyId[] {
    return this.#voters[shard] ?? NOBODY;
  }

  /**
   * The process that led this view has ended: its name runs under a newer epoch or another folder.
   *
   * That a member left is no proof: an operator may have said so of one that was only cut off.
   */
  ended(number: ViewNumber): boolean {
    if (number.leader === this.#self) return number.bootEpoch !== this.#bootEpoch;
    const m = this.#members.get(nameOf(number.leader));
    if (!m) return false;
    if (copyId(m.name, m.meta.storeId) !== number.leader) return true;
    return m.bootEpoch > number.bootEpoch;
  }

  /**
   * Whether a copy may lose its vote: 'replace' only for another one. Membership may not know yet of a
   * member that is well, and has forgotten one that died long ago.
   */
  removable(id: CopyId, nowMs: number): 'yes' | 'replace' | 'no' {
    const m = this.#members.get(nameOf(id));
    if (!m) return this.#ripe(this.#unknownSince(nameOf(id), nowMs), nowMs);
    if (copyId(m.name, m.meta.storeId) !== id) return 'replace';
    if (m.state === 'left' || m.meta.leaving) return 'yes';
    if (m.state !== 'faulty') return 'yes';
    return this.#ripe(this.#faultySinceMs.get(m.name) ?? nowMs, nowMs);
  }

  #ripe(sinceMs: number, nowMs: number): 'replace' | 'no' {
    return nowMs - sinceMs >= this.#replaceVoterAfterMs ? 'replace' : 'no';
  }

  #unknownSince(name: string, nowMs: number): number {
    const sinceMs = this.#unknownSinceMs.get(name);
    if (sinceMs !== undefined) return sinceMs;
    if (this.#unknownSinceMs.size >= UNKNOWN_MAX) this.#unknownSinceMs.clear();
    this.#unknownSinceMs.set(name, nowMs);
    return nowMs;
  }

  /** The process of a gateway is certainly not there any more, or membership gave it up. */
  gone(name: string, bootEpoch: number, nowMs: number): boolean {
    const m = this.#members.get(name);
    if (!m) return nowMs - this.#unknownSince(name, nowMs) >= GATEWAY_UNKNOWN_MS;
    return m.bootEpoch > bootEpoch || m.state === 'left' || m.state === 'faulty';
  }
}
