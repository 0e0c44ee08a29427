/**
 * What a copy does unasked: followers replace a leader that is gone, leaders keep the view equal to
 * what placement wants.
 */
import { sameSet } from './choice.ts';
import type { Copy } from './copy.ts';
import type { Intent } from './procedures.ts';
import { type CopyId, minCopies, type ViewNumber } from './view.ts';

/** Between planned changes of one shard, so that each settles before the next. */
const PLANNED_PAUSE_MS = 300;

const NONE: readonly CopyId[] = [];

/** What maintenance asks of the other parts of a replica. */
export interface MaintenanceParts {
  readonly voting: { readonly newest: ViewNumber };
  readonly formation: { form(intent: Intent): void };
  readonly handingOver: {
    readonly underWay: boolean;
    mayHandTo(id: CopyId): boolean;
    begin(to: CopyId, nowMs: number): void;
    tick(nowMs: number): void;
    cancel(): void;
    onEstablished(handoverOf: ViewNumber): void;
  };
  readonly appending: {
    isBroken(id: CopyId): boolean;
    isLost(id: CopyId): boolean;
  };
  readonly transfer: {
    readonly learners: Iterable<CopyId>;
    has(id: CopyId): boolean;
    isReady(id: CopyId): boolean;
    isSetBack(id: CopyId): boolean;
    start(id: CopyId, number: ViewNumber): void;
    end(id: CopyId): boolean;
  };
}

export class Maintenance {
  readonly #copy: Copy;
  readonly #parts: MaintenanceParts;
  /** Since when a follower misses its leader; 0 while it does not. */
  #leaderlessSinceMs = 0;
  /** The copy forms no view of its own accord before. */
  #retryAtMs = 0;
  #establishedAtMs = 0;
  /** Last look at what placement wants. */
  #plannedAtMs = 0;

  constructor(copy: Copy, parts: MaintenanceParts) {
    this.#copy = copy;
    this.#parts = parts;
  }

  /** When this copy began to lead its view. */
  get establishedAtMs(): number {
    return this.#establishedAtMs;
  }

  /** The copy forms no view of its own accord before `untilMs`. */
  postpone(untilMs: number): void {
    this.#retryAtMs = untilMs;
  }

  /** The next look at what placement wants need not wait. */
  planSoon(): void {
    this.#plannedAtMs = Number.NEGATIVE_INFINITY;
  }

  /** A view is taken: its leader has not been missed yet. */
  onView(): void {
    this.#leaderlessSinceMs = 0;
  }

  /** The copy leads and forms no more. */
  onFollower(): void {
    this.#parts.handingOver.cancel();
    this.onView();
  }

  /** @param handoverOf the view whose leader handed over to this copy, if that is why it leads */
  onEstablished(handoverOf: ViewNumber): void {
    this.onView();
    this.onServing(this.#copy.host.nowMs());
    this.#parts.handingOver.onEstablished(handoverOf);
  }

  /** The leader serves from now on. */
  onServing(nowMs: number): void {
    this.#establishedAtMs = nowMs;
  }

  tick(nowMs: number): void {
    if (this.#copy.role === 'leader') this.#lead(nowMs);
    else this.#follow(nowMs);
  }

  // ---- a follower ------------------------------------------------------------------------------

  #follow(nowMs: number): void {
    const copy = this.#copy;
    const { host, self, view } = copy;
    if (view.number.counter === 0 || !copy.valid || copy.loading) return;
    if (copy.contradiction !== null) return;
    if (!view.voters.includes(self) && !copy.isActive(self)) return;
    if (host.justBooted() && !this.#isOwnVote()) return;
    if (!this.#leaderGone()) {
      this.#leaderlessSinceMs = 0;
      return;
    }
    if (this.#leaderlessSinceMs === 0) this.#leaderlessSinceMs = nowMs;
    const due = this.#leaderlessSinceMs + this.#rank() * host.timings.electionStaggerMs;
    if (nowMs < due || nowMs < this.#retryAtMs) return;
    host.onElection();
    this.#parts.formation.form({});
  }

  /** The leader of the newest view known is silent, ended, or this very process that lost its role. */
  #leaderGone(): boolean {
    const { host, self } = this.#copy;
    const { newest } = this.#parts.voting;
    return newest.leader === self || host.ended(newest) || !host.heard(newest.leader);
  }

  /**
   * The only voter led the shard itself, so that no lease of another leader depends on what its process
   * said before it was started anew.
   */
  #isOwnVote(): boolean {
    const { view, promised, self } = this.#copy;
    const alone = view.voters.length === 1 && view.voters[0] === self;
    const settled = view.oldVoters.length === 0;
    return alone && settled && view.number.leader === self && promised.leader === self;
  }

  /** Place in the order of candidates: active copies by preference, then the other voters. */
  #rank(): number {
    const { host, self, shard, view } = this.#copy;
    const targets = host.targets(shard);
    const place = (id: CopyId) => {
      const at = targets.indexOf(id);
      return at < 0 ? targets.length : at;
    };
    const order = view.active
      .filter((id) => id !== view.number.leader || id === self)
      .sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
    const at = order.indexOf(self);
    return at >= 0 ? at : order.length + 1;
  }

  // ---- a leader --------------------------------------------------------------------------------

  /** Active copies that are not heard, lag beyond memory, or are not whole. */
  #silent(): readonly CopyId[] {
    const { host, self, view } = this.#copy;
    let silent = NONE;
    for (const id of view.active)
      if (id !== self && (!host.heard(id) || this.#parts.appending.isLost(id)))
        silent = [...silent, id];
    return silent;
  }

  #lead(nowMs: number): void {
    const { appending, formation, handingOver } = this.#parts;
    if (handingOver.underWay) return handingOver.tick(nowMs);
    const { host, view } = this.#copy;
    const silent = this.#silent();
    const least = minCopies(view.voters.length, host.minCopies);
    // A copy that is not whole may be one too many to lose: forming the view makes it anew.
    const mend = silent.some((id) => appending.isBroken(id) && host.heard(id));
    const enough = mend || view.active.length - silent.length >= least;
    if (silent.length > 0 && nowMs >= this.#retryAtMs && enough) {
      this.postpone(nowMs + host.timings.silenceMs);
      // A copy that is heard again by then stays.
      return formation.form({ shed: silent.filter((id) => appending.isLost(id)) });
    }
    // Between old and new voters either set can stop the shard: that state is left at once.
    if (view.oldVoters.length > 0) return formation.form({});
    const settles = nowMs - this.#establishedAtMs < PLANNED_PAUSE_MS;
    if (settles || nowMs - this.#plannedAtMs < PLANNED_PAUSE_MS) return;
    this.#plannedAtMs = nowMs;
    this.#plan(nowMs);
  }

  /** One step towards what placement wants: learners, then members and voters, then leadership. */
  #plan(nowMs: number): void {
    const copy = this.#copy;
    const { host, shard, view } = copy;
    const { transfer } = this.#parts;
    const targets = host.targets(shard);
    if (targets.length === 0) return;
    const missing = targets.filter(
      (id) => !copy.isActive(id) && host.heard(id) && !transfer.isSetBack(id),
    );
    for (const id of missing)
      if (!transfer.has(id) && (host.mayLearn?.() ?? true)) transfer.start(id, view.number);
    for (const id of transfer.learners) if (!targets.includes(id)) transfer.end(id);
    const ready = missing.filter((id) => transfer.isReady(id));

    const settled = targets.every((id) => copy.isActive(id) || ready.includes(id));
    const wanted = host.voters(shard);
    const changeVoters = settled && this.#mayBecome(wanted);
    const leaves = settled ? this.#leaving(targets) : [];
    if (ready.length > 0 || changeVoters || leaves.length > 0) {
      const voters = changeVoters ? { voters: wanted } : {};
      return this.#parts.formation.form({ add: ready, drop: leaves, ...voters });
    }
    this.#prefer(targets[0]!, nowMs);
  }

  /** Active copies that placement wants no more. */
  #leaving(targets: readonly CopyId[]): CopyId[] {
    const { host, self, view } = this.#copy;
    return view.active.filter(
      (id) => !targets.includes(id) && id !== self && host.removable(id) !== 'no',
    );
  }

  /** Hands over to the copy that placement prefers as leader. */
  #prefer(preferred: CopyId, nowMs: number): void {
    const copy = this.#copy;
    const { handingOver } = this.#parts;
    if (
      preferred !== copy.self &&
      copy.isActive(preferred) &&
      copy.host.heard(preferred) &&
      handingOver.mayHandTo(preferred) &&
      nowMs - this.#establishedAtMs >= 3 * PLANNED_PAUSE_MS &&
      copy.host.mayHandover()
    )
      handingOver.begin(preferred, nowMs);
  }

  /**
   * A change of voters waits until all new voters answer, so that it cannot stop half-way, and drops
   * none that this node merely does not know.
   */
  #mayBecome(wanted: readonly CopyId[]): boolean {
    const { host, view } = this.#copy;
    const { voters } = view;
    if (wanted.length === 0 || sameSet(wanted, voters)) return false;
    if (!wanted.every((id) => host.heard(id))) return false;
    return voters
      .filter((id) => !wanted.includes(id))
      .every((id) => {
        const removable = host.removable(id);
        return removable === 'yes' || (removable === 'replace' && wanted.length >= voters.length);
      });
  }
}
