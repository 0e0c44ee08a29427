import type { SwimConfig } from '../config.ts';
import type { Random } from '../ports.ts';
import { newCounters, type SwimCounters } from './counters.ts';
import { CutDetector, type HostOf } from './cut-detector.ts';
import { Dissemination } from './dissemination.ts';
import type { SwimEffect } from './event.ts';
import { Events } from './events.ts';
import { LocalHealth } from './local-health.ts';
import { MemberList } from './member-list.ts';
import type { Update, VersionRange } from './message.ts';
import type { Statement, StatementTable } from './statement.ts';
import { SWIM_SWITCHES, type SwimSwitches } from './switches.ts';

/**
 * What the parts of the core share: the configuration, what is known, the time of this step, and the effects
 * of this step.
 *
 * It decides nothing. {@link Timers} decides whether this process stalls, {@link Outbox} what a message
 * carries, {@link Notices} what an operator hears again, {@link ViewWatch} when the stable view is looked at.
 */
export class Context {
  readonly config: SwimConfig;
  readonly switches: SwimSwitches;
  readonly random: Random;
  readonly members: MemberList;
  readonly queue: Dissemination;
  readonly health: LocalHealth;
  readonly cut: CutDetector;
  readonly events: Events;
  readonly counters: SwimCounters = newCounters();
  readonly versions: VersionRange;
  clusterId: string;
  phase: 'idle' | 'running' | 'leaving' | 'left' = 'idle';
  nowMs = 0;
  /** Since when this member belongs to the cluster. */
  memberSinceMs = 0;
  /** When `members()` last changed. */
  changedMs = Number.NEGATIVE_INFINITY;
  #effects: SwimEffect[] = [];
  #changed = false;

  constructor(options: {
    readonly config: SwimConfig;
    readonly random: Random;
    readonly clusterId: string;
    readonly versions: VersionRange;
    readonly self: Omit<Update, 'ageS' | 'accuser' | 'versions'>;
    readonly table: StatementTable;
    readonly hostOf?: HostOf | undefined;
    readonly switches?: SwimSwitches | undefined;
    readonly known?: MemberList | undefined;
  }) {
    this.config = options.config;
    this.switches = options.switches ?? SWIM_SWITCHES;
    this.random = options.random;
    this.clusterId = options.clusterId;
    this.versions = options.versions;
    const self = options.table.intern({ ...options.self, versions: options.versions }, '');
    this.members = new MemberList(self, options.random, options.table);
    if (options.known !== undefined) this.members.adoptAll(options.known);
    this.queue = new Dissemination(options.config.updatesMax);
    this.health = new LocalHealth(options.config.localHealthMax);
    this.events = new Events(options.config, self.name, self.bootEpoch);
    this.cut = new CutDetector(this.members, options.config, options.hostOf);
  }

  get self(): Statement {
    return this.members.self;
  }

  emit(effect: SwimEffect): void {
    this.#effects.push(effect);
  }

  /** Records a change that `members()` shows. */
  touch(): void {
    this.changedMs = this.nowMs;
    this.#changed = true;
  }

  /** Adds the change of members, if there is one, behind all other effects. */
  emitChange(): void {
    if (this.#changed) this.emit({ type: 'members-changed' });
    this.#changed = false;
  }

  /** The effects since the last call. */
  takeEffects(): SwimEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
