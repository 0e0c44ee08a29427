import type { SwimConfig } from '../config.ts';
import { isPresent, type Suspicion } from './member-list.ts';
import type { SwimMember } from './message.ts';

/** Protocol periods without another failure after which several are one change. */
const SETTLE_PERIODS = 4;
/** A suspect holds the view if its suspicion ends within so many periods. */
const HOLD_AHEAD_PERIODS = 8;
const NOTHING = { massBegan: false } as const;

/** The members that are in, changed in batches: what placement should follow. */
export interface StableView {
  /** Grows by one with each change; counted by each member for itself. */
  readonly number: number;
  /** Sorted; the own name is always there. */
  readonly names: readonly string[];
}

/** One change of the stable view. */
export interface ViewChange {
  readonly number: number;
  /** Sorted; none is in both. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** Names the failure domain of a member: what fails together counts once. */
export type HostOf = (member: Pick<SwimMember, 'name' | 'address' | 'meta'>) => string;

/** What the detector reads of the member list. */
interface Known {
  readonly self: SwimMember;
  get(name: string): SwimMember | undefined;
  all(): Iterable<SwimMember>;
  presentCount(): number;
  suspicionOf(
    name: string,
  ): Pick<Suspicion, 'accusers' | 'settled' | 'bounds' | 'endMs'> | undefined;
}

type Settings = Pick<
  SwimConfig,
  | 'cutLow'
  | 'cutHigh'
  | 'cutHoldMaxMs'
  | 'cutMassFraction'
  | 'cutMassHoldMaxMs'
  | 'cutBatchMs'
  | 'protocolPeriodMs'
  | 'flapsMax'
  | 'flapWindowMs'
  | 'flapQuietMs'
  | 'flapQuietMaxMs'
>;

/** A member that is not simply alive and in the view, or was not so lately. */
interface Entry {
  readonly name: string;
  member: SwimMember | undefined;
  inView: boolean;
  /** As counted in `troubledHosts`. */
  host: string;
  /** The worst said of this incarnation: 0 nothing much, ½ suspect up to `cutHigh`, 1 faulty. */
  trouble: number;
  /** Refutations, oldest first, each with the trouble that it refuted. */
  flaps: { readonly atMs: number; readonly trouble: number }[];
  quietMs: number;
  quietUntilMs: number;
}

/**
 * Cut detection: turns what is believed of single members into few changes of one stable view.
 *
 *                 joins, refutes                    leaves
 *     outside ───────────────────▶ in the view ────────────────▶ outside
 *        ▲                          │       ▲
 *        │ quiet for long enough    │faulty │ refutes
 *        │                          ▼       │
 *     unstable ◀─flaps too often── held: until no other member is between the watermarks
 *
 * A suspect is between the watermarks while at least `cutLow` hosts that are well accuse it and it is
 * neither refuted nor faulty. So those that fail together leave together, in one change. The hold is
 * bounded; where most hosts are suspected at once, this member is the likelier culprit, and it holds
 * longer. A member that refutes again and again is unstable: it is out until it has been quiet, for
 * twice as long after each relapse.
 *
 * Keeps only what departs from "present means in": at most one entry per known member.
 *
 * @see Suresh et al.: Stable and Consistent Membership at Scale with Rapid (2018), §4.2
 */
export class CutDetector {
  readonly #known: Known;
  readonly #settings: Settings;
  readonly #hostOf: HostOf | undefined;
  readonly #entries = new Map<string, Entry>();
  /** Members of the view that are in trouble, per host. */
  readonly #troubledHosts = new Map<string, number>();
  /** Of the view: suspects, and faulty ones that are held. */
  readonly #suspects = new Set<Entry>();
  readonly #held = new Set<Entry>();
  /** Alive, but unstable. */
  readonly #waiting = new Set<Entry>();
  /** Names whose place may have changed since the last view, and whether they are in that view. */
  readonly #staged = new Map<string, boolean>();
  #number = 0;
  #names: readonly string[] | undefined;
  #hostCount: number | undefined;
  #heldSinceMs: number | undefined;
  #lastHeldMs = Number.NEGATIVE_INFINITY;
  #isMass = false;
  #calmAtMs = Number.NEGATIVE_INFINITY;
  #givenMs = Number.NEGATIVE_INFINITY;
  #dirty = true;
  #wakeMs = Number.POSITIVE_INFINITY;

  /** @param hostOf without it each member is a host of its own */
  constructor(known: Known, settings: Settings, hostOf: HostOf | undefined) {
    this.#known = known;
    this.#settings = settings;
    this.#hostOf = hostOf;
    this.#staged.set(known.self.name, false);
  }

  /** When {@link step} wants to be called though nothing was observed; Infinity for never. */
  get dueMs(): number {
    return this.#wakeMs;
  }

  /** Members of which more is kept than the member list knows. */
  get entryCount(): number {
    return this.#entries.size;
  }

  /** The view as last given. */
  view(): StableView {
    if (this.#names === undefined) {
      const names: string[] = [];
      for (const { name, state } of this.#known.all()) {
        if (this.#staged.get(name) ?? this.#isIn(name, isPresent({ state }))) names.push(name);
      }
      for (const [name, wasIn] of this.#staged) {
        if (wasIn && this.#known.get(name) === undefined) names.push(name);
      }
      this.#names = Object.freeze(names.sort());
    }
    return { number: this.#number, names: this.#names };
  }

  /**
   * To be called after each change of a member, its accusers included.
   *
   * @param before undefined if it was not known
   * @param after undefined if it is not known any more
   */
  observe(before: SwimMember | undefined, after: SwimMember | undefined, nowMs: number): void {
    const name = after?.name ?? before?.name;
    if (name === undefined || name === this.#known.self.name) return;
    this.#dirty = true;
    if (before?.meta !== after?.meta) this.#hostCount = undefined;
    const isCounted = this.#hostCount !== undefined;
    const wasPresent = before !== undefined && isPresent(before);
    const entry = this.#entries.get(name) ?? newEntry(name, before, wasPresent);
    this.#uncount(entry);
    const wasIn = entry.inView;
    if (entry.member !== undefined && after !== undefined) this.#note(entry, after, nowMs);
    entry.member = after;
    if (after === undefined || after.state === 'left') entry.inView = false;
    else if (after.state === 'alive') entry.inView ||= entry.quietUntilMs <= nowMs;
    else if (after.state === 'suspect') entry.inView ||= before === undefined;
    entry.trouble = Math.max(entry.trouble, this.#troubleOf(entry));
    if (wasIn !== entry.inView) this.#stage(name, wasIn);
    this.#count(entry);
    if (before?.state !== 'faulty' && this.#held.has(entry)) this.#lastHeldMs = nowMs;
    if (after === undefined || this.#isOrdinary(entry)) this.#entries.delete(name);
    else this.#entries.set(name, entry);
    // A count made meanwhile missed the entry.
    if (!isCounted) this.#hostCount = undefined;
  }

  /**
   * Decides on what was observed and on the time.
   *
   * @returns the change, if there is one; and whether most hosts have just become suspect
   */
  step(nowMs: number): { readonly change?: ViewChange; readonly massBegan: boolean } {
    if (!this.#dirty && nowMs < this.#wakeMs) return NOTHING;
    this.#dirty = false;
    const massBegan = this.#watchMass(nowMs);
    for (const entry of this.#waiting) if (entry.quietUntilMs <= nowMs) this.#move(entry, true);
    const releaseMs = this.#releaseMs(nowMs);
    if (releaseMs <= nowMs) {
      for (const entry of this.#held) this.#move(entry, false);
      this.#heldSinceMs = undefined;
      this.#isMass = this.#areMostTroubled();
    }
    const change = this.#give(nowMs);
    this.#wakeMs = releaseMs > nowMs ? releaseMs : Number.POSITIVE_INFINITY;
    if (this.#staged.size > 0) this.#wakeMs = Math.min(this.#wakeMs, this.#batchMs());
    for (const entry of this.#waiting) this.#wakeMs = Math.min(this.#wakeMs, entry.quietUntilMs);
    return change === undefined ? { massBegan } : { change, massBegan };
  }

  /** Takes over what is new; the refutation of something serious is a flap. */
  #note(entry: Entry, after: SwimMember, nowMs: number): void {
    const before = entry.member;
    if (before === undefined) return;
    const isReborn = after.bootEpoch !== before.bootEpoch;
    if (!isReborn && after.incarnation === before.incarnation) return;
    if (!isReborn && entry.trouble > 0) this.#onFlap(entry, nowMs);
    entry.trouble = 0;
  }

  #onFlap(entry: Entry, nowMs: number): void {
    const { flapsMax, flapWindowMs, flapQuietMs, flapQuietMaxMs } = this.#settings;
    // When most come back at once, it was this member that was away.
    if (this.#isMass || nowMs < this.#calmAtMs) return;
    const lastMs = entry.flaps.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY;
    if (nowMs - lastMs > flapWindowMs + 2 * entry.quietMs) entry.quietMs = 0;
    entry.flaps = entry.flaps.filter(({ atMs }) => nowMs - atMs <= flapWindowMs);
    entry.flaps.push({ atMs: nowMs, trouble: entry.trouble });
    // Each is worth a half at least: more than these add nothing.
    if (entry.flaps.length > 2 * flapsMax) entry.flaps.shift();
    const isOut = nowMs < entry.quietUntilMs;
    const sum = entry.flaps.reduce((total, { trouble }) => total + trouble, 0);
    if (!isOut && sum < flapsMax) return;
    if (!isOut) entry.quietMs = Math.min(flapQuietMaxMs, entry.quietMs * 2 || flapQuietMs);
    entry.quietUntilMs = nowMs + entry.quietMs;
    entry.inView = false;
  }

  #troubleOf(entry: Entry): number {
    if (entry.member?.state === 'faulty') return 1;
    return this.#isAccused(entry.name, this.#settings.cutHigh) ? 0.5 : 0;
  }

  /** Whether so many hosts that are well accuse the member, or as many as there can be. */
  #isAccused(name: string, watermark: number): boolean {
    const suspicion = this.#known.suspicionOf(name);
    if (suspicion === undefined) return false;
    if (suspicion.settled) return true;
    const wanted = Math.min(watermark, suspicion.bounds.confirmations + 1, this.#otherHosts());
    const accusing = new Set<string>();
    for (const accuser of suspicion.accusers) {
      const member = this.#known.get(accuser);
      if (member?.state === 'alive') accusing.add(this.#host(member));
    }
    return accusing.size >= Math.max(1, wanted);
  }

  #areMostTroubled(): boolean {
    if (this.#troubledHosts.size < 2) return false;
    const own = this.#troubledHosts.has(this.#host(this.#known.self)) ? 1 : 0;
    const troubled = this.#troubledHosts.size - own;
    // One alone never is most of them.
    return troubled >= 2 && troubled > this.#otherHosts() * this.#settings.cutMassFraction;
  }

  #watchMass(nowMs: number): boolean {
    const wasMass = this.#isMass;
    this.#isMass = this.#areMostTroubled();
    // Some have come back: the rest gets the time to do so, too.
    if (wasMass && !this.#isMass) this.#calmAtMs = nowMs + this.#settings.cutHoldMaxMs;
    return this.#isMass && !wasMass;
  }

  /** When the held members may leave the view, as things are; Infinity if none is held. */
  #releaseMs(nowMs: number): number {
    if (this.#held.size === 0) this.#heldSinceMs = undefined;
    else this.#heldSinceMs ??= nowMs;
    if (this.#heldSinceMs === undefined) return Number.POSITIVE_INFINITY;
    const { cutLow, cutHoldMaxMs, cutMassHoldMaxMs, protocolPeriodMs } = this.#settings;
    const latestMs = this.#heldSinceMs + cutMassHoldMaxMs;
    if (this.#isMass) return latestMs;
    if (nowMs < this.#calmAtMs) return Math.min(latestMs, this.#calmAtMs);
    // Where two have failed, more may have: any credible suspicion counts, and those not probed
    // since get the time to be.
    const areMany = this.#held.size > 1;
    for (const { name } of this.#suspects) {
      // A suspect that is merely silent may stay so for long. Suspicions of members that fail together
      // end together.
      const endMs = this.#known.suspicionOf(name)?.endMs ?? nowMs;
      if (endMs - nowMs > HOLD_AHEAD_PERIODS * protocolPeriodMs) continue;
      if (this.#isAccused(name, areMany ? 1 : cutLow)) return this.#heldSinceMs + cutHoldMaxMs;
    }
    const settledMs = this.#lastHeldMs + SETTLE_PERIODS * protocolPeriodMs;
    return areMany ? Math.min(this.#heldSinceMs + cutHoldMaxMs, settledMs) : nowMs;
  }

  #batchMs(): number {
    return this.#givenMs + this.#settings.cutBatchMs;
  }

  /** Makes what is staged the view, unless the last one is too fresh. */
  #give(nowMs: number): ViewChange | undefined {
    if (this.#staged.size === 0 || nowMs < this.#batchMs()) return undefined;
    const added: string[] = [];
    const removed: string[] = [];
    for (const [name, wasIn] of this.#staged) {
      const member = this.#known.get(name);
      const isIn = this.#isIn(name, member !== undefined && isPresent(member));
      if (isIn !== wasIn) (isIn ? added : removed).push(name);
    }
    this.#staged.clear();
    if (added.length + removed.length === 0) return undefined;
    this.#givenMs = nowMs;
    this.#number++;
    this.#names = undefined;
    return { number: this.#number, added: added.sort(), removed: removed.sort() };
  }

  #isIn(name: string, present: boolean): boolean {
    if (name === this.#known.self.name) return true;
    return this.#entries.get(name)?.inView ?? present;
  }

  /** Notes what the last view says of a name, before it changes. */
  #stage(name: string, wasIn: boolean): void {
    if (!this.#staged.has(name)) this.#staged.set(name, wasIn);
    this.#hostCount = undefined;
  }

  #move(entry: Entry, inView: boolean): void {
    this.#uncount(entry);
    this.#stage(entry.name, entry.inView);
    entry.inView = inView;
    this.#count(entry);
    if (this.#isOrdinary(entry)) this.#entries.delete(entry.name);
  }

  /** Whether the entry says no more than the member list does. */
  #isOrdinary({ member, inView, trouble, flaps }: Entry): boolean {
    if (member === undefined || flaps.length > 0) return false;
    if (member.state === 'suspect') return false;
    return inView === isPresent(member) && (member.state !== 'alive' || trouble === 0);
  }

  /** Hosts of the view beside the own one. */
  #otherHosts(): number {
    if (this.#isByHost()) return this.#countHosts() - 1;
    return this.#known.presentCount() + this.#held.size - this.#waiting.size - 1;
  }

  #host(member: SwimMember): string {
    return this.#isByHost() ? (this.#hostOf as HostOf)(member) : member.name;
  }

  /** Where all share one host, count members instead. */
  #isByHost(): boolean {
    return this.#hostOf !== undefined && this.#countHosts() > 1;
  }

  #countHosts(): number {
    if (this.#hostCount === undefined) {
      const hosts = new Set<string>();
      for (const member of this.#known.all()) {
        if (!this.#isIn(member.name, isPresent(member))) continue;
        hosts.add((this.#hostOf as HostOf)(member));
      }
      this.#hostCount = hosts.size;
    }
    return this.#hostCount;
  }

  /** Puts a member into the sets and sums that fit it. */
  #count(entry: Entry): void {
    const { inView, member } = entry;
    if (member === undefined) return;
    const { state } = member;
    if (!inView) {
      if (state === 'alive') this.#waiting.add(entry);
    } else if (state !== 'alive') {
      entry.host = this.#host(member);
      add(this.#troubledHosts, entry.host, 1);
      (state === 'suspect' ? this.#suspects : this.#held).add(entry);
    }
  }

  #uncount(entry: Entry): void {
    this.#waiting.delete(entry);
    const suspects = this.#suspects;
    const held = this.#held;
    if (suspects.delete(entry) || held.delete(entry)) add(this.#troubledHosts, entry.host, -1);
  }
}

function newEntry(name: string, before: SwimMember | undefined, inView: boolean): Entry {
  return {
    name,
    member: before,
    inView,
    host: '',
    trouble: before?.state === 'faulty' ? 1 : 0,
    flaps: [],
    quietMs: 0,
    quietUntilMs: Number.NEGATIVE_INFINITY,
  };
}

function add(sums: Map<string, number>, key: string, delta: number): void {
  const sum = (sums.get(key) ?? 0) + delta;
  if (sum === 0) sums.delete(key);
  else sums.set(key, sum);
}
