/**
 * Forming a view: the one procedure behind election, shrink, growth, change of voters and hand-over.
 *
 * 1. *prepare*: promises of a majority of the voters (of both sets while they change), one of them of
 *    a copy that is active in the highest view which any promiser recorded, and recorded it itself
 *    (holder.ts).
 * 2. *fetch*: the longest log among those copies becomes the starting log.
 * 3. *sync*: only if too few copies would be active: others are brought up first.
 * 4. *install*: record and starting log on every new active copy, durable.
 * 5. *record*: the record on the other voters; with a majority of the voters the view is established
 *    and may commit.
 *
 * The order of 4 before 5 is what makes "recorded it itself" enough in 1 (models/view-formation.pml).
 * Here is the candidate's side; the voter's is in voting.ts.
 */

import {
  absentOf,
  awaited,
  compose,
  counts,
  nextVoters,
  unheardOf,
  withAdded,
  withoutAbsent,
} from './choice.ts';
import type { Copy } from './copy.ts';
import { chooseHolder } from './holder.ts';
import { installMore } from './installing.ts';
import type { ShardMessage } from './message.ts';
import type { Attempt, Intent, Promised } from './procedures.ts';
import {
  type CopyId,
  compareNumbers,
  isMajority,
  isQuorum,
  NO_NUMBER,
  nameOf,
  sameNumber,
  type View,
  type ViewNumber,
} from './view.ts';
import { recordsFirst, withdrawn } from './withdrawing.ts';

/** A question is repeated: a peer that rebuilt its state, refused or lost its link may answer now. */
const ASK_AGAIN_MS = 250;

/** What forming a view asks of the other parts of a replica. */
export interface FormationParts {
  readonly voting: {
    readonly nextCounter: number;
    readonly newest: ViewNumber;
    onCounter(counter: number): void;
    answer(number: ViewNumber, granted: boolean): Promised;
    onEstablished(number: ViewNumber): boolean;
  };
  readonly appending: {
    begin(view: View, witnesses: Iterable<CopyId>): void;
    advance(): void;
    witness(id: CopyId): void;
  };
  readonly transfer: {
    start(id: CopyId, number: ViewNumber): void;
    /** @returns whether there was one */
    end(id: CopyId): boolean;
    endAll(): void;
    setBack(id: CopyId, tookMs: number | null): void;
  };
  readonly handingOver: {
    readonly underWay: boolean;
    cancel(): void;
  };
  readonly maintenance: {
    /** The copy does not stand for leader before. */
    postpone(untilMs: number): void;
    onFollower(): void;
    onEstablished(handoverOf: ViewNumber): void;
  };
}

export class Formation {
  readonly #copy: Copy;
  readonly #parts: FormationParts;
  #attempt: Attempt | null = null;

  constructor(copy: Copy, parts: FormationParts) {
    this.#copy = copy;
    this.#parts = parts;
  }

  get underWay(): boolean {
    return this.#attempt !== null;
  }

  /** Its leader forms a view, and has led without a break. */
  get again(): boolean {
    return this.#attempt?.again === true;
  }

  /** This copy forms the view of this number, or another one while it leads without a break. */
  holds(number: ViewNumber): boolean {
    const f = this.#attempt;
    return f !== null && (f.again || sameNumber(f.number, number));
  }

  /** A copy that is brought up for the sake of this view has answered. */
  onProgress(nowMs: number): void {
    if (this.#attempt) this.#attempt.stepMs = nowMs;
  }

  /** Starts to form a view with this copy as leader. */
  form(intent: Intent, handoverOf: ViewNumber = NO_NUMBER): void {
    const copy = this.#copy;
    if (!copy.valid || copy.loading) return;
    const counter = this.#parts.voting.nextCounter;
    const number = { counter, leader: copy.self, bootEpoch: copy.host.bootEpoch };
    const nowMs = copy.host.nowMs();
    const leads = copy.role === 'leader';
    const settle = leads && copy.view.oldVoters.length > 0;
    this.#parts.handingOver.cancel();
    copy.stand(number);
    const f: Attempt = {
      number,
      intent: { ...intent, settle },
      again: leads || this.again,
      handoverOf,
      startedMs: nowMs,
      stepMs: nowMs,
      askedMs: nowMs,
      phase: 'prepare',
      base: copy.view,
      asked: new Set(),
      refusedBy: new Set(),
      promises: new Map(),
      holder: copy.self,
      next: null,
      unheard: [],
      installing: new Map(),
      installed: new Set(),
      recorded: new Set(),
    };
    this.#attempt = f;
    copy.host.trace('promise');
    this.#ask(f);
    copy.host.batch.onDurable(() => {
      if (this.#attempt && sameNumber(this.#attempt.number, number) && !copy.loading)
        this.onPromise(copy.self, this.#parts.voting.answer(number, true));
    });
  }

  /** Gives up; the copy is a follower and tries again after a random pause if still needed. */
  abandon(why: string): void {
    const { host, shard } = this.#copy;
    const f = this.#attempt;
    if (f) host.trace('abandon', { shard, why, phase: f.phase });
    this.#attempt = null;
    const { silenceMs } = host.timings;
    this.#parts.maintenance.postpone(host.nowMs() + silenceMs * (0.1 + 0.4 * host.random()));
    const was = this.#copy.follow();
    this.#parts.maintenance.onFollower();
    this.#parts.transfer.endAll();
    if (was) host.onDeposed(shard);
  }

  /** A leader hands over to this copy, or a candidate found this copy's log to be the one to keep. */
  onHandover(number: ViewNumber): void {
    const { host, loading, role, self, valid } = this.#copy;
    if (role === 'leader' || !valid || loading || !this.#copy.isActive(self)) return;
    host.trace('handover');
    this.form({}, number);
  }

  /** Another copy has promised a higher number than the one that this copy acts for. */
  onRefused({ number, promised }: ShardMessage & { type: 'refused' }): void {
    this.#parts.voting.onCounter(promised.counter);
    if (!sameNumber(number, this.#attempt?.number ?? this.#copy.view.number)) return;
    if (this.#copy.role === 'leader') {
      // A candidate has taken promises from our copies: a higher number wins them back, unless that
      // is the copy to which leadership was handed.
      if (!this.#parts.handingOver.underWay) this.form({});
    } else if (this.#attempt) {
      this.abandon('refused');
    }
  }

  /** A view newer than the one recorded here is established. */
  onNewerView(number: ViewNumber): void {
    const f = this.#attempt;
    if (this.#copy.role === 'leader' || (f && compareNumbers(number, f.number) > 0))
      this.abandon('newer view');
  }

  // ---- prepare ---------------------------------------------------------------------------------

  /** Sends prepare to all whose promise may be needed. */
  #ask(f: Attempt): void {
    const { base, intent } = f;
    for (const group of [base.voters, base.oldVoters, base.active, intent.voters, intent.add]) {
      for (const id of group ?? []) {
        if (id === this.#copy.self || f.asked.has(id)) continue;
        f.asked.add(id);
        this.#sendPrepare(f, id);
      }
    }
  }

  #sendPrepare({ number, handoverOf }: Attempt, id: CopyId): void {
    this.#copy.host.send(id, this.#copy.shard, { type: 'prepare', number, handoverOf });
  }

  /** Too few of the old view are left: copies that are wanted in future may hold the log at once. */
  #askTargets(f: Attempt): void {
    const { host, self, shard } = this.#copy;
    for (const id of host.targets(shard)) {
      if (id === self || f.asked.has(id) || !host.heard(id)) continue;
      f.asked.add(id);
      this.#sendPrepare(f, id);
    }
  }

  #askAgain(f: Attempt, nowMs: number): void {
    f.askedMs = nowMs;
    for (const id of f.asked) if (!f.promises.has(id)) this.#sendPrepare(f, id);
  }

  onPromise(from: CopyId, m: Promised): void {
    const f = this.#attempt;
    if (!f || !sameNumber(m.number, f.number)) return;
    if (!m.granted) {
      this.#parts.voting.onCounter(m.promised.counter);
      f.refusedBy.add(from);
      // Only a higher number wins back a copy of ours that has promised another candidate.
      const outbid = m.promised.counter > f.number.counter && counts(f, from);
      if (f.again && f.phase === 'prepare' && outbid) return this.form(f.intent, f.handoverOf);
    } else if (!f.promises.has(from)) {
      f.promises.set(from, m);
      if (f.phase === 'prepare' && compareNumbers(m.view.number, f.base.number) > 0) {
        // A newer view was formed: what was intended for the older one no longer holds.
        this.#rebase(f, m.view);
        this.#ask(f);
      }
    }
    if (f.phase === 'prepare') this.#gather(f);
  }

  #rebase(f: Attempt, base: View): void {
    f.base = base;
    f.intent = {};
    this.#notAgain(f);
  }

  /** This copy led, but not without a break: what it appended meanwhile may not be in the starting log. */
  #notAgain(f: Attempt): void {
    if (!f.again) return;
    f.again = false;
    // Learners may have been given what is not in it.
    this.#parts.transfer.endAll();
    this.#copy.host.onDeposed(this.#copy.shard);
  }

  /** Goes on once enough have promised and none that is heard is still to answer. */
  #gather(f: Attempt): void {
    const { host, self, shard } = this.#copy;
    const { promises } = f;
    if (!promises.has(self)) return;
    if (!isQuorum(f.base, (id) => promises.has(id)) && !this.#withdraw(f)) return;
    for (const id of f.asked) if (awaited(host, f, id)) return;
    this.#leaveOutAbsent(f);
    const choice = chooseHolder(promises, f.base, self);
    if (choice === null) return;
    const { base, holder, votes } = choice;
    const lower = base !== f.base;
    const voters = nextVoters(lower ? { base, intent: {} } : f);
    const has = (id: CopyId) => votes.has(id);
    if (!isMajority(voters.voters, has) || !isMajority(voters.oldVoters, has)) return;
    if (lower) {
      host.trace('lower-view', { shard, counter: base.number.counter });
      this.#rebase(f, base);
    }
    f.holder = holder;
    this.#takeLog(f);
  }

  /** Takes a change of voters back of which nothing can come any more. @returns whether it is */
  #withdraw(f: Attempt): boolean {
    const { host, shard } = this.#copy;
    const base = withdrawn(host, f, this.#parts.voting.newest);
    if (base === null) return false;
    host.trace('withdraw', { shard, counter: base.number.counter });
    f.base = base;
    f.intent = {};
    return true;
  }

  /** A copy that was heard all the while is too slow: that is reported, and the copy is tried again later. */
  #leaveOutAbsent(f: Attempt): void {
    const { host } = this.#copy;
    for (const id of absentOf(f))
      if (host.heard(id)) this.#parts.transfer.setBack(id, host.nowMs() - f.startedMs);
    f.intent = withoutAbsent(f);
  }

  // ---- fetch -----------------------------------------------------------------------------------

  /** This copy's log becomes that of the holder. */
  #takeLog(f: Attempt): void {
    const copy = this.#copy;
    const { holder } = f;
    const chosen = f.promises.get(holder)!;
    const own = f.promises.get(copy.self)!;
    const common = copy.log.commonPrefix(chosen.terms, chosen.end);
    if (holder === copy.self || (common === copy.log.end && own.end === chosen.end))
      return this.#choose(f);
    if (!own.valid || common < chosen.tailStart || common < copy.checkpointIndex) {
      // This copy cannot take the chosen log over piecemeal: its holder leads.
      copy.host.send(holder, copy.shard, { type: 'handover', number: f.base.number });
      return this.abandon('another copy holds the log');
    }
    if (!copy.mayCut(common)) return this.abandon('a committed entry is not in the log to keep');
    this.#enter(f, 'fetch');
    this.#notAgain(f);
    copy.truncate(common);
    this.#fetch(f);
  }

  #enter(f: Attempt, phase: Attempt['phase']): void {
    f.phase = phase;
    f.stepMs = this.#copy.host.nowMs();
  }

  #fetch({ holder, number }: Attempt): void {
    const { host, loading, log, shard } = this.#copy;
    if (!loading) host.send(holder, shard, { type: 'fetch', number, prev: log.end });
  }

  onFetched(m: ShardMessage & { type: 'fetched' }): void {
    const copy = this.#copy;
    const f = this.#attempt;
    if (f?.phase !== 'fetch' || !sameNumber(m.number, f.number)) return;
    if (m.prev !== copy.log.end) return;
    f.stepMs = copy.host.nowMs();
    copy.accept(m.entries);
    if (copy.log.end >= m.end) return this.#choose(f);
    if (m.entries.length === 0) return this.abandon('the chosen log has a gap');
    this.#fetch(f);
  }

  // ---- sync ------------------------------------------------------------------------------------

  /** Decides which copies are active and installs. */
  #choose(f: Attempt): void {
    f.unheard = unheardOf(this.#copy.self, f);
    const choice = compose(this.#copy, f);
    if (choice === null) return this.#askTargets(f);
    if ('lagging' in choice) {
      this.#enter(f, 'sync');
      for (const id of choice.lagging) this.#parts.transfer.start(id, f.number);
      return;
    }
    f.next = choice.next;
    this.#enter(f, 'install');
    this.#install(f, f.next);
  }

  /** A copy that a candidate brings up has reached the end: it may be active after all. */
  onSynced(id: CopyId, end: number): void {
    const f = this.#attempt;
    const p = f?.promises.get(id);
    if (f?.phase !== 'sync' || !p) return;
    const { terms } = this.#copy.log;
    f.promises.set(id, { ...p, end, floor: 0, valid: true, terms });
    f.intent = withAdded(f.intent, id);
    this.#choose(f);
  }

  // ---- install ---------------------------------------------------------------------------------

  #install(f: Attempt, next: View): void {
    const copy = this.#copy;
    copy.host.trace('installing');
    copy.adopt(next);
    const first = recordsFirst(f, next);
    copy.host.batch.onDurable(() => {
      if (this.#attempt !== f || f.next !== next) return;
      if (first) this.#installOthers(f, next);
      copy.durableUpTo(next.startIndex);
      this.onInstalled(copy.self, f.number);
    });
    if (!first) this.#installOthers(f, next);
  }

  #installOthers(f: Attempt, next: View): void {
    const copy = this.#copy;
    for (const id of next.active) {
      if (id === copy.self) continue;
      const p = f.promises.get(id)!;
      const prev = Math.max(0, copy.log.commonPrefix(p.terms, p.end));
      f.installing.set(id, { prev, reading: false });
    }
    this.#installMore(f);
  }

  #installMore(f: Attempt): void {
    installMore(this.#copy, f, () => this.#attempt === f);
  }

  onInstalled(from: CopyId, number: ViewNumber): void {
    const f = this.#attempt;
    if (!f?.next || !sameNumber(number, f.number)) return;
    f.installed.add(from);
    if (f.phase !== 'install' || !f.next.active.every((id) => f.installed.has(id))) return;
    this.#enter(f, 'record');
    const { host, shard } = this.#copy;
    for (const id of new Set([...f.next.voters, ...f.next.oldVoters])) {
      if (!f.installed.has(id)) host.send(id, shard, { type: 'record', view: f.next });
    }
    this.#establish(f);
  }

  // ---- record ----------------------------------------------------------------------------------

  onRecorded(from: CopyId, number: ViewNumber): void {
    const f = this.#attempt;
    const { role, view } = this.#copy;
    if (role === 'leader' && sameNumber(number, view.number)) this.#parts.appending.witness(from);
    if (f?.phase !== 'record' || !sameNumber(number, f.number)) return;
    f.recorded.add(from);
    this.#establish(f);
  }

  #establish(f: Attempt): void {
    const { next } = f;
    if (!next || !isQuorum(next, (id) => f.installed.has(id) || f.recorded.has(id))) return;
    const { host, shard } = this.#copy;
    const { appending, maintenance, transfer, voting } = this.#parts;
    this.#attempt = null;
    this.#copy.lead();
    voting.onEstablished(next.number);
    maintenance.onEstablished(f.handoverOf);
    appending.begin(next, [...f.installed, ...f.recorded]);
    // A learner that promised this view listens to no transfer of an earlier one.
    for (const id of f.asked)
      if (transfer.end(id) && !next.active.includes(id)) transfer.setBack(id, null);
    for (const id of next.active) transfer.end(id);
    host.trace('established', {
      shard,
      counter: next.number.counter,
      active: next.active.map(nameOf),
      voters: next.voters.map(nameOf),
      planned: f.again,
      wanted: host.targets(shard).length,
      unheard: f.unheard.map(nameOf),
    });
    // The starting log is committed before the leader looks at it.
    appending.advance();
    host.onEstablished(shard, f.again);
    host.dirty(shard);
  }

  tick(nowMs: number): void {
    const f = this.#attempt;
    if (!f) return;
    const { formationTimeoutMs } = this.#copy.host.timings;
    if (f.phase === 'prepare' && nowMs - f.askedMs >= ASK_AGAIN_MS) this.#askAgain(f, nowMs);
    if (f.phase === 'prepare') this.#gather(f);
    if (f.phase === 'fetch' && nowMs - f.stepMs >= ASK_AGAIN_MS) this.#fetch(f);
    if (f.phase === 'install') this.#installMore(f);
    if (this.#attempt === f && nowMs - f.stepMs >= formationTimeoutMs)
      this.abandon(`timeout in ${f.phase}`);
  }
}
