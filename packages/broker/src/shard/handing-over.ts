/**
 * Leadership that is handed over: the leader takes no more operations, waits until its heir has them all,
 * and asks it to lead. When that comes to nothing it serves on.
 */
import type { Copy } from './copy.ts';
import type { Intent } from './procedures.ts';
import { PuttingOff } from './putting-off.ts';
import type { CopyId, ViewNumber } from './view.ts';

/** How long a hand-over may take before the leader serves on. */
const HANDOVER_MS = 1000;
/** Pause before leadership goes back to the leader that handed it over; each time it doubles. */
const HAND_BACK_MIN_MS = 5000;
/** Longest pause before leadership goes back to the leader that handed it over. */
const HAND_BACK_MAX_MS = 300_000;

/** What handing over asks of the other parts of a replica. */
export interface HandingOverParts {
  readonly voting: { readonly isOutbid: boolean };
  readonly appending: { hasAll(id: CopyId): boolean };
  readonly formation: { form(intent: Intent): void };
  readonly transfer: {
    isSetBack(id: CopyId): boolean;
    setBack(id: CopyId, tookMs: number | null): void;
  };
  readonly maintenance: {
    /** The leader serves on. */
    onServing(nowMs: number): void;
  };
}

export class HandingOver {
  readonly #copy: Copy;
  readonly #parts: HandingOverParts;
  #heir: { readonly to: CopyId; readonly deadlineMs: number; sent: boolean } | null = null;
  #yielded = false;
  /** Leaders that handed over to this copy, which does not hand back at once. */
  readonly #handBack = new PuttingOff(HAND_BACK_MIN_MS, HAND_BACK_MAX_MS);

  constructor(copy: Copy, parts: HandingOverParts) {
    this.#copy = copy;
    this.#parts = parts;
  }

  /** The leader waits for its heir, or for the heir's view. */
  get underWay(): boolean {
    return this.#heir !== null;
  }

  /** Another copy was asked to lead this view's shard, so that voters may promise it: no lease. */
  get yielded(): boolean {
    return this.#yielded;
  }

  /**
   * Whether the leader may offer its place to this copy. A leader that placement wants no copy of, such as
   * one that leaves, does not wait: if the other disagrees, it is the other that waits.
   */
  mayHandTo(id: CopyId): boolean {
    const { host, self, shard } = this.#copy;
    if (this.#parts.transfer.isSetBack(id)) return false;
    const stays = host.targets(shard).includes(self);
    return !stays || !this.#handBack.has(id, host.nowMs());
  }

  begin(to: CopyId, nowMs: number): void {
    this.#heir = { to, deadlineMs: nowMs + HANDOVER_MS, sent: false };
    this.tick(nowMs);
  }

  /** Hands over to some other active copy that is heard: this process stops. */
  toAny(nowMs: number): void {
    const { host, role, self, view } = this.#copy;
    if (role !== 'leader' || this.underWay) return;
    const to = view.active.find((id) => id !== self && host.heard(id));
    if (to) this.begin(to, nowMs);
  }

  tick(nowMs: number): void {
    const h = this.#heir;
    if (!h) return;
    const { commit, host, log, shard, view } = this.#copy;
    if (nowMs >= h.deadlineMs) return this.#giveUp(h, nowMs);
    if (h.sent || commit !== log.end || !this.#parts.appending.hasAll(h.to)) return;
    h.sent = true;
    this.#yielded = true;
    host.trace('handover');
    host.send(h.to, shard, { type: 'handover', number: view.number });
  }

  #giveUp({ to, sent }: { to: CopyId; sent: boolean }, nowMs: number): void {
    this.cancel();
    this.#parts.transfer.setBack(to, null);
    // The heir may still collect promises, and some may be given: only a higher view wins them back.
    if (sent || this.#parts.voting.isOutbid) return this.#parts.formation.form({});
    this.#parts.maintenance.onServing(nowMs);
    this.#copy.host.onEstablished(this.#copy.shard, true);
  }

  /** The copy forms a view, or leads no more. */
  cancel(): void {
    this.#heir = null;
  }

  /**
   * This copy leads a new view.
   *
   * Two nodes that disagree on which copy is to lead, since they disagree on which are there, would hand a
   * shard back and forth for as long as they do.
   *
   * @param handoverOf the view whose leader handed over, if that is why
   */
  onEstablished(handoverOf: ViewNumber): void {
    this.#yielded = false;
    if (handoverOf.counter > 0) this.#handBack.put(handoverOf.leader, this.#copy.host.nowMs());
  }
}
