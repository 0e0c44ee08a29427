/**
 * One copy of one shard: its parts, and what comes in to the part that it belongs to.
 *
 * What the copy has promised, recorded and stored is in copy.ts, the steady path in appending.ts, forming a
 * view in formation.ts and voting.ts, bringing a copy up to date in transfer.ts and learning.ts, what a
 * copy does unasked in maintenance.ts and handing-over.ts, reading the disk in recovery.ts, and what it
 * does when its word does not hold in trust.ts.
 */
import { assertNever } from '../assert-never.ts';
import { Appending } from './appending.ts';
import { Copy, type CopyParts, type LogReading, type Role } from './copy.ts';
import { Formation, type FormationParts } from './formation.ts';
import { HandingOver, type HandingOverParts } from './handing-over.ts';
import type { ReplicaHost, ShardMachine } from './host.ts';
import { Learning } from './learning.ts';
import { Maintenance, type MaintenanceParts } from './maintenance.ts';
import type { ShardMessage } from './message.ts';
import { Postponed } from './postponed.ts';
import { type Corruption, Recovery, type RecoveryParts } from './recovery.ts';
import { Transfer, type TransferParts } from './transfer.ts';
import { Trust, type TrustParts } from './trust.ts';
import type { CopyId, View, ViewNumber } from './view.ts';
import { Voting, type VotingParts } from './voting.ts';

/** The parts of a replica, as each of them sees the others. */
class Parts
  implements
    CopyParts,
    FormationParts,
    HandingOverParts,
    MaintenanceParts,
    RecoveryParts,
    TransferParts,
    TrustParts,
    VotingParts
{
  readonly copy: Copy;
  readonly appending: Appending;
  readonly voting: Voting;
  readonly formation: Formation;
  readonly transfer: Transfer;
  readonly learning: Learning;
  readonly handingOver: HandingOver;
  readonly maintenance: Maintenance;
  readonly recovery: Recovery;
  readonly trust: Trust;
  readonly postponed: Postponed;

  constructor(shard: number, host: ReplicaHost, machine: ShardMachine, postponed: Postponed) {
    this.postponed = postponed;
    const copy = new Copy(shard, host, machine, this);
    this.copy = copy;
    this.appending = new Appending(copy);
    this.voting = new Voting(copy, this);
    this.formation = new Formation(copy, this);
    this.transfer = new Transfer(copy, this);
    this.learning = new Learning(copy, this);
    this.handingOver = new HandingOver(copy, this);
    this.maintenance = new Maintenance(copy, this);
    this.recovery = new Recovery(copy, this);
    this.trust = new Trust(copy, this);
  }
}

export class Replica {
  readonly #parts: Parts;
  readonly #copy: Copy;
  /** The steady path: what comes by the thousand is asked of it without a detour. */
  readonly appending: Pick<Appending, 'propose' | 'flush' | 'onDrained'>;

  constructor(shard: number, host: ReplicaHost, machine: ShardMachine) {
    const postponed = new Postponed((from, m) => this.onMessage(from, m));
    this.#parts = new Parts(shard, host, machine, postponed);
    this.#copy = this.#parts.copy;
    this.appending = this.#parts.appending;
  }

  // ---- what it is ------------------------------------------------------------------------------

  get shard(): number {
    return this.#copy.shard;
  }

  get self(): CopyId {
    return this.#copy.self;
  }

  get role(): Role {
    return this.#copy.role;
  }

  /** The view recorded here. */
  get view(): View {
    return this.#copy.view;
  }

  get promised(): ViewNumber {
    return this.#copy.promised;
  }

  get log(): LogReading {
    return this.#copy.log;
  }

  /** Last index known to be committed. */
  get commit(): number {
    return this.#copy.commit;
  }

  /** False while the log is being replaced by a snapshot, or was found corrupt. */
  get valid(): boolean {
    return this.#copy.valid;
  }

  /** True while it is read from disk. */
  get loading(): boolean {
    return this.#copy.loading;
  }

  /** Why this copy takes no part: it holds committed entries that a later view lacks. */
  get contradiction(): string | null {
    return this.#copy.contradiction;
  }

  isActive(id: CopyId): boolean {
    return this.#copy.isActive(id);
  }

  /** Established leader that takes operations now. */
  get canPropose(): boolean {
    return this.#copy.role === 'leader' && !this.#parts.handingOver.underWay;
  }

  /** The leader waits for the copy that is to lead after it. */
  get handingOver(): boolean {
    return this.#parts.handingOver.underWay;
  }

  /** This copy forms a view. */
  get forming(): boolean {
    return this.#parts.formation.underWay;
  }

  /** Leader: another copy was asked to lead, so that voters may promise it: no lease. */
  get yielded(): boolean {
    return this.#parts.handingOver.yielded;
  }

  /** Leader: voters that have the record of this view, and so refuse other candidates for its sake. */
  get witnesses(): ReadonlySet<CopyId> {
    return this.#parts.appending.witnesses;
  }

  /** Leader: equal for views whose leader lease depends on the same voters and witnesses. */
  get leaseKey(): string {
    return this.#parts.appending.leaseKey;
  }

  /** Leader: when this copy began to lead its view. */
  get establishedAtMs(): number {
    return this.#parts.maintenance.establishedAtMs;
  }

  /** Copies that are brought up to date now. */
  get learners(): Iterable<CopyId> {
    return this.#parts.transfer.learners;
  }

  get learnerCount(): number {
    return this.#parts.transfer.count;
  }

  /** Whether this learner has its turn among those of its node. */
  isMoving(learner: CopyId): boolean {
    return this.#parts.transfer.isMoving(learner);
  }

  /** Leader: the end of another copy's log as it was acknowledged; null if that is not known. */
  endOf(id: CopyId): number | null {
    const { appending, transfer } = this.#parts;
    return this.isActive(id) ? appending.endOf(id) : transfer.endOf(id);
  }

  /** Led here until now, and the copy has entries under way that it has not acknowledged. */
  awaits(id: CopyId): boolean {
    const led = this.#copy.role === 'leader' || this.#parts.formation.again;
    return led && this.#parts.appending.awaits(id);
  }

  // ---- what its node tells it ------------------------------------------------------------------

  /** View 1, formed by the founder alone. */
  found(): void {
    this.#copy.found();
  }

  /** Reads the disk; see {@link Recovery.load}. */
  load(done: (corruption: Corruption | null) => void): void {
    this.#parts.recovery.load(done);
  }

  /** An operator gives up what this copy stands still for; see {@link Trust.recover}. */
  recover(): 'discarded' | 'restored' | null {
    return this.#parts.trust.recover();
  }

  /** A record of this copy was read and is damaged; see {@link Trust.corrupt}. */
  corrupt(why: string): void {
    this.#copy.corrupt(why);
  }

  /** The process ends: the copy says nothing any more. */
  standStill(): void {
    this.#copy.load();
  }

  /** Periodic work; cheap when there is none. */
  tick(nowMs: number): void {
    const { formation, maintenance, transfer } = this.#parts;
    if (formation.underWay) formation.tick(nowMs);
    else maintenance.tick(nowMs);
    if (transfer.count > 0) transfer.tick(nowMs);
    this.#parts.appending.announceCommit();
    this.#copy.checkpoint();
    this.#copy.noteProgress();
    this.#copy.forget();
  }

  /** The link to a peer is new: what was said on the old one may be lost. */
  onLinkUp(id: CopyId): void {
    this.#parts.appending.onLinkUp(id);
    this.#parts.transfer.end(id);
    this.#parts.trust.onLinkUp(id);
    this.#parts.voting.onLinkUp(id);
  }

  /** A newer view than ours is established: its leader said so. */
  onViewKnown(number: ViewNumber): void {
    if (this.#parts.voting.onEstablished(number)) this.#parts.formation.onNewerView(number);
  }

  /** Says that a higher number is promised than the one that the peer acts for. */
  refuse(id: CopyId, number: ViewNumber): void {
    this.#copy.refuse(id, number);
  }

  /** The process stops: another active copy is to lead. */
  handOverToAnother(nowMs: number): void {
    this.#parts.handingOver.toAny(nowMs);
  }

  // ---- messages --------------------------------------------------------------------------------

  /** Gives a message to the part that its type is for; while the disk is read, it waits or is lost. */
  onMessage(from: CopyId, m: ShardMessage): void {
    const { appending, formation, learning, postponed, transfer, trust, voting } = this.#parts;
    if (this.#copy.loading) return postponed.keep(from, m);
    switch (m.type) {
      case 'append':
        return appending.onAppend(from, m);
      case 'appended':
        return appending.onAppended(from, m);
      case 'prepare':
        return voting.onPrepare(from, m);
      case 'promise':
        return formation.onPromise(from, m);
      case 'fetch':
        return voting.onFetch(from, m);
      case 'fetched':
        return formation.onFetched(m);
      case 'install':
        return voting.onInstall(from, m);
      case 'installed':
        return formation.onInstalled(from, m.number);
      case 'record':
        return voting.onRecord(from, m.view);
      case 'recorded':
        return formation.onRecorded(from, m.number);
      case 'refused':
        return formation.onRefused(m);
      case 'handover':
        return formation.onHandover(m.number);
      case 'leading':
        return voting.onLeading(from, m.number);
      case 'not-leading':
        return voting.onNotLeading(m.number);
      case 'probe':
        return learning.onProbe(from, m.number);
      case 'status':
        return transfer.onStatus(from, m);
      case 'learn':
        return learning.onLearn(from, m);
      case 'learned':
        return transfer.onLearned(from, m);
      case 'snapshot':
        return learning.onSnapshot(from, m);
      case 'snapshotted':
        return transfer.onSnapshotted(from, m);
      case 'broken':
        return trust.onBroken(from, m);
      case 'short':
        return trust.onShort(m);
      default:
        assertNever(m);
    }
  }
}
