/**
 * One copy of one shard: what comes in goes to the procedure that it belongs to.
 *
 * The state and the steady path are in copy.ts, forming a view in formation.ts, bringing a copy up to
 * date in transfer.ts, what a copy does unasked in maintenance.ts, reading the disk in recovery.ts.
 */
import { Copy } from './copy.ts';
import {
  abandon,
  form,
  onFetch,
  onFetched,
  onHandover,
  onInstall,
  onInstalled,
  onLeading,
  onPrepare,
  onPromise,
  onRecord,
  onRecorded,
  tickFormation,
} from './formation.ts';
import { handOverToAny, maintain } from './maintenance.ts';
import type { ShardMessage } from './message.ts';
import { reload } from './recovery.ts';
import {
  onLearn,
  onLearned,
  onProbe,
  onSnapshot,
  onSnapshotted,
  onStatus,
  tickSyncs,
} from './transfer.ts';
import { onBroken, onShort, short } from './trust.ts';
import { type CopyId, compareNumbers, sameNumber, type ViewNumber } from './view.ts';

export class Replica extends Copy {
  protected override reload(): void {
    reload(this);
  }

  // ---- dispatch --------------------------------------------------------------------------------

  onMessage(from: CopyId, m: ShardMessage): void {
    // While the machine is rebuilt the log is too: whoever asked asks again.
    if (this.loading) return;
    switch (m.type) {
      case 'append':
        return this.onAppend(from, m);
      case 'appended':
        return this.onAppended(from, m);
      case 'prepare':
        return onPrepare(this, from, m);
      case 'promise':
        return onPromise(this, from, m);
      case 'fetch':
        return onFetch(this, from, m);
      case 'fetched':
        return onFetched(this, m);
      case 'install':
        return onInstall(this, from, m);
      case 'installed':
        return onInstalled(this, from, m.number);
      case 'record':
        return onRecord(this, from, m.view);
      case 'recorded':
        return onRecorded(this, from, m.number);
      case 'refused':
        return this.#onRefused(m);
      case 'handover':
        return onHandover(this, m.number);
      case 'leading':
        return onLeading(this, from, m.number);
      case 'not-leading':
        this.leaderless = m.number;
        return;
      case 'probe':
        return onProbe(this, from, m.number);
      case 'status':
        return onStatus(this, from, m);
      case 'learn':
        return onLearn(this, from, m);
      case 'learned':
        return onLearned(this, from, m);
      case 'snapshot':
        return onSnapshot(this, from, m);
      case 'snapshotted':
        return onSnapshotted(this, from, m);
      case 'broken':
        return onBroken(this, from, m);
      case 'short':
        return onShort(this, m);
    }
  }

  #onRefused(m: ShardMessage & { type: 'refused' }): void {
    if (m.promised.counter > this.counterSeen) this.counterSeen = m.promised.counter;
    const mine = this.formation?.number ?? this.view.number;
    if (!sameNumber(m.number, mine)) return;
    if (this.role === 'leader') {
      // A candidate has taken promises from our copies: a higher number wins them back, unless that
      // is the copy to which leadership was handed.
      if (!this.handingOver) form(this, {});
    } else if (this.formation) {
      abandon(this, 'refused');
    }
  }

  /** Periodic work; cheap when there is none. */
  tick(nowMs: number): void {
    if (this.formation) tickFormation(this, nowMs);
    else maintain(this, nowMs);
    if (this.syncs.size > 0) tickSyncs(this, nowMs);
    if (this.role === 'leader' && this.commit > this.commitSent) this.announceCommit();
    this.checkpoint();
    this.mark();
    this.forget();
  }

  /** A newer view than ours is established: its leader said so. */
  onViewKnown(number: ViewNumber): void {
    if (compareNumbers(number, this.known) > 0) this.known = number;
    if (compareNumbers(number, this.view.number) <= 0) return;
    if (number.counter > this.counterSeen) this.counterSeen = number.counter;
    if (
      this.role === 'leader' ||
      (this.formation && compareNumbers(number, this.formation.number) > 0)
    )
      abandon(this, 'newer view');
  }

  /**
   * A record of this copy cannot be read: another copy leads, and a snapshot replaces this one. A
   * copy that is alone has nothing better and goes on without the record.
   */
  override corrupt(why: string): void {
    this.host.trace('corrupt', { shard: this.shard, why });
    // A follower's leader leads on, and replaces it.
    const leads = this.role === 'leader' || this.formation !== null;
    if (this.valid && !leads && this.view.active.length > 1) return short(this, why);
    const heir = this.view.active.find((id) => id !== this.self && this.host.heard(id));
    if (!heir || !this.valid) return;
    const { number } = this.view;
    this.host.report?.(this.shard, 'short', why);
    this.valid = false;
    this.putHard();
    if (this.formation || this.role !== 'follower') abandon(this, 'corrupt');
    this.host.send(heir, this.shard, { type: 'handover', number });
  }

  /** The process stops: another active copy is to lead. */
  handOverToAnother(nowMs: number): void {
    handOverToAny(this, nowMs);
  }
}
