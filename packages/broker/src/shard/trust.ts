/**
 * Whether a copy's word holds: what a copy does that finds itself short, and its leader when it hears.
 *
 * An acknowledgement is a promise to have the entry. A copy that has lost what it acknowledged, or a part
 * of its log, says so and is replaced by a snapshot; a leader that sees it first tells it.
 */
import type { Copy } from './copy.ts';
import type { ShardMessage } from './message.ts';
import { dropPartial } from './partial.ts';
import { type CopyId, sameNumber } from './view.ts';

/** What trust asks of the other parts of a replica. */
export interface TrustParts {
  readonly formation: {
    readonly underWay: boolean;
    abandon(why: string): void;
  };
  readonly appending: { distrust(id: CopyId): void };
  readonly learning: { readonly receives: boolean };
}

export class Trust {
  readonly #copy: Copy;
  readonly #parts: TrustParts;

  constructor(copy: Copy, parts: TrustParts) {
    this.#copy = copy;
    this.#parts = parts;
  }

  /** This copy is not whole: its log does not count any more, its leader hears of it, and people do. */
  short(why: string): void {
    const { host, role, shard, valid } = this.#copy;
    if (valid) {
      host.trace('corrupt', { shard, why });
      host.report?.(shard, 'short', why);
      this.#copy.distrust();
    }
    if (this.#parts.formation.underWay || role !== 'follower')
      this.#parts.formation.abandon('corrupt');
    this.#tellLeader();
  }

  /** Says to the leader of the recorded view that this copy is not whole. */
  #tellLeader(): void {
    const { host, self, shard, view } = this.#copy;
    const { number } = view;
    if (number.leader !== self && this.#copy.isActive(self))
      host.send(number.leader, shard, { type: 'broken', number });
  }

  /**
   * A record of this copy cannot be read: another copy leads, and a snapshot replaces this one. A
   * copy that is alone has nothing better and goes on without the record.
   */
  corrupt(why: string): void {
    const { host, role, self, shard, valid, view } = this.#copy;
    const { formation } = this.#parts;
    host.trace('corrupt', { shard, why });
    // A follower's leader leads on, and replaces it.
    const leads = role === 'leader' || formation.underWay;
    if (valid && !leads && view.active.length > 1) return this.short(why);
    const heir = view.active.find((id) => id !== self && host.heard(id));
    if (!heir || !valid) return;
    host.report?.(shard, 'short', why);
    this.#copy.distrust();
    if (formation.underWay || role !== 'follower') formation.abandon('corrupt');
    host.send(heir, shard, { type: 'handover', number: view.number });
  }

  /** An active copy of ours is not whole: nothing counts on it until a new view has made it anew. */
  onBroken(from: CopyId, m: ShardMessage & { type: 'broken' }): void {
    const { role, view } = this.#copy;
    if (role !== 'leader' || !sameNumber(m.number, view.number) || !this.#copy.isActive(from))
      return;
    this.#parts.appending.distrust(from);
  }

  /**
   * Our leader knows that this copy acknowledged more than it has now.
   *
   * @param m `index` is what it acknowledged in this view
   */
  onShort(m: ShardMessage & { type: 'short' }): void {
    const { durable, log, self, view } = this.#copy;
    if (!sameNumber(m.number, view.number) || !this.#copy.isActive(self)) return;
    if (durable < m.index) this.short(`the log ends at ${log.end}, acknowledged is ${m.index}`);
  }

  /** The link to a peer is new: it may not have heard that this copy is not whole. */
  onLinkUp(id: CopyId): void {
    const { valid, view } = this.#copy;
    if (!valid && view.number.leader === id) this.#tellLeader();
  }

  /**
   * An operator gives up what only this copy has: it becomes a learner of the view that lacks it. Or, where
   * every other copy is gone, goes on with what this one still has.
   *
   * @returns what was done, or null if there is nothing to recover here
   */
  recover(): 'discarded' | 'restored' | null {
    const copy = this.#copy;
    if (copy.loading || this.#parts.learning.receives) return null;
    if (copy.contradiction !== null) {
      copy.giveUp();
      return 'discarded';
    }
    if (copy.valid || !copy.isActive(copy.self)) return null;
    copy.believe();
    dropPartial(copy);
    return 'restored';
  }
}
