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
 */

import { APPEND_BYTES_MAX } from './appending.ts';
import { awaited, counts, keptCopies, nextVoters, withoutAbsent } from './choice.ts';
import type { Copy } from './copy.ts';
import { chooseHolder } from './holder.ts';
import { installMore } from './installing.ts';
import type { ShardMessage } from './message.ts';
import type { Formation, Intent, Promised } from './procedures.ts';
import { INSTALL_ENTRIES_MAX, readEntries } from './read.ts';
import { noHandBack, setBack, startSync } from './sync.ts';
import {
  type CopyId,
  compareNumbers,
  isMajority,
  isQuorum,
  minCopies,
  NO_NUMBER,
  nameOf,
  sameNumber,
  type View,
  type ViewNumber,
} from './view.ts';

/** A question is repeated: a peer that rebuilt its state, refused or lost its link may answer now. */
const ASK_AGAIN_MS = 250;

/** Starts to form a view with this copy as leader. */
export function form(r: Copy, intent: Intent, handoverOf: ViewNumber = NO_NUMBER): void {
  if (!r.valid || r.loading || r.receiving) return;
  const counter =
    Math.max(r.promised.counter, r.view.number.counter, r.known.counter, r.counterSeen) + 1;
  const number = { counter, leader: r.self, bootEpoch: r.host.bootEpoch };
  const nowMs = r.host.nowMs();
  const again = r.role === 'leader';
  const settle = again && r.view.oldVoters.length > 0;
  r.promised = number;
  r.role = 'candidate';
  r.handingOver = null;
  r.formation = {
    number,
    intent: { ...intent, settle },
    again: again || (r.formation?.again ?? false),
    handoverOf,
    startedMs: nowMs,
    stepMs: nowMs,
    askedMs: nowMs,
    phase: 'prepare',
    base: r.view,
    asked: new Set(),
    refusedBy: new Set(),
    promises: new Map(),
    holder: r.self,
    next: null,
    unheard: [],
    installing: new Map(),
    installed: new Set(),
    recorded: new Set(),
  };
  r.host.trace('promise');
  ask(r, r.formation);
  r.putHard();
  r.host.onDurable(() => {
    if (r.formation && sameNumber(r.formation.number, number) && !r.loading)
      onPromise(r, r.self, promiseOf(r, number, true));
  });
}

/** Sends prepare to everybody whose promise may be needed. */
function ask(r: Copy, f: Formation): void {
  const { base, intent } = f;
  for (const group of [base.voters, base.oldVoters, base.active, intent.voters, intent.add]) {
    for (const id of group ?? []) {
      if (id === r.self || f.asked.has(id)) continue;
      f.asked.add(id);
      sendPrepare(r, f, id);
    }
  }
}

function sendPrepare(r: Copy, { number, handoverOf }: Formation, id: CopyId): void {
  r.host.send(id, r.shard, { type: 'prepare', number, handoverOf });
}

/** Too few of the old view are left: whoever is to hold a copy in future may do so at once. */
function askTargets(r: Copy, f: Formation): void {
  for (const id of r.host.targets(r.shard)) {
    if (id === r.self || f.asked.has(id) || !r.host.heard(id)) continue;
    f.asked.add(id);
    sendPrepare(r, f, id);
  }
}

function promiseOf(r: Copy, number: ViewNumber, granted: boolean): Promised {
  return {
    type: 'promise',
    number,
    granted,
    promised: r.promised,
    view: r.view,
    end: r.log.end,
    tailStart: r.log.tailStart,
    floor: r.checkpointIndex,
    valid: r.valid && !r.receiving && r.contradiction === null,
    terms: r.log.terms,
  };
}

/** Gives up; the copy is a follower and tries again after a random pause if still needed. */
export function abandon(r: Copy, why: string): void {
  if (r.formation) r.host.trace('abandon', { shard: r.shard, why, phase: r.formation.phase });
  r.formation = null;
  const { silenceMs } = r.host.timings;
  r.retryAtMs = r.host.nowMs() + silenceMs * (0.1 + 0.4 * r.host.random());
  r.becomeFollower();
}

// ---- the voter's side ----------------------------------------------------------------------------

/** A voter refuses while it hears the leader of its view, except when that leader hands over. */
function mayPromise(r: Copy, from: CopyId, handoverOf: ViewNumber): boolean {
  const current = compareNumbers(r.known, r.view.number) > 0 ? r.known : r.view.number;
  if (current.counter === 0 || current.leader === from) return true;
  if (sameNumber(current, handoverOf) || sameNumber(current, r.leaderless)) return true;
  if (r.host.ended(current)) return true;
  // A process that has just started may have forgotten that it heard the leader.
  if (r.host.justBooted()) return false;
  if (current.leader === r.self) return r.role !== 'leader' && !r.formation;
  if (!r.host.heard(current.leader)) return true;
  // Its process is alive, but it may have lost the role without this copy hearing of it.
  r.host.send(current.leader, r.shard, { type: 'leading', number: current });
  return false;
}

/** Asked about a view: says so if it neither leads nor forms any more. */
export function onLeading(r: Copy, from: CopyId, number: ViewNumber): void {
  const forms =
    r.formation !== null && (r.formation.again || sameNumber(r.formation.number, number));
  if (r.role !== 'leader' && !forms) r.host.send(from, r.shard, { type: 'not-leading', number });
}

export function onPrepare(r: Copy, from: CopyId, m: ShardMessage & { type: 'prepare' }): void {
  // Asked again: it is the same promise.
  if (sameNumber(m.number, r.promised) && from === m.number.leader) {
    if (!sameNumber(m.number, r.view.number)) sendPromise(r, from, m.number);
    return;
  }
  const granted = compareNumbers(m.number, r.promised) > 0 && mayPromise(r, from, m.handoverOf);
  if (!granted) {
    r.host.send(from, r.shard, promiseOf(r, m.number, false));
    return;
  }
  // A leader must not count this voter for its lease from now on; on one link this word overtakes no
  // heartbeat.
  r.promised = m.number;
  for (const { number } of [r.view, { number: r.known }]) {
    const { leader } = number;
    if (leader !== from && leader !== r.self && leader !== '') r.refuse(leader, number);
  }
  // Whoever promised gives the candidate time before it stands itself.
  if (r.role !== 'follower' || r.formation) abandon(r, 'promised to another');
  r.retryAtMs = r.host.nowMs() + r.host.timings.formationTimeoutMs;
  r.receiving = null;
  r.host.trace('promise');
  r.putHard();
  sendPromise(r, from, m.number);
}

function sendPromise(r: Copy, to: CopyId, number: ViewNumber): void {
  r.host.onDurable(() => {
    if (sameNumber(r.promised, number) && !r.loading)
      r.host.send(to, r.shard, promiseOf(r, number, true));
  });
}

/** The candidate lacks the end of the chosen log: entries after `prev`, as far as one message goes. */
export function onFetch(r: Copy, from: CopyId, m: ShardMessage & { type: 'fetch' }): void {
  if (!sameNumber(m.number, r.promised)) return r.refuse(from, m.number);
  readEntries(r, m.prev, APPEND_BYTES_MAX, (entries) => {
    if (!sameNumber(m.number, r.promised)) return;
    const { prev, number } = m;
    r.host.send(from, r.shard, { type: 'fetched', number, prev, end: r.log.end, entries });
  });
}

export function onInstall(r: Copy, from: CopyId, m: ShardMessage & { type: 'install' }): void {
  const { number } = m.view;
  if (compareNumbers(r.promised, number) > 0) return r.refuse(from, number);
  if (sameNumber(r.view.number, number)) return;
  if (m.prev > r.log.end || !r.valid) return;
  const upto = m.prev + m.entries.length;
  if (upto > m.view.startIndex || m.prev < r.checkpointIndex) return;
  const last = upto === m.view.startIndex;
  // A page of the starting log is taken as the candidate itself takes it over: under its promise.
  if (!last && !sameNumber(r.promised, number)) return;
  if (!r.mayCut(m.prev)) return;
  r.promised = number;
  r.receiving = null;
  if (r.formation || r.role !== 'follower') abandon(r, 'installing another view');
  r.truncate(m.prev);
  const rebuilding = r.loading;
  r.accept(m.entries);
  if (!last) return;
  r.view = m.view;
  r.cut = false;
  r.leaderlessSinceMs = 0;
  r.host.trace('install');
  r.putHard();
  const end = r.log.end;
  r.host.onDurable(() => {
    if (!rebuilding) r.durable = Math.max(r.durable, end);
    if (sameNumber(r.promised, number)) r.host.send(from, r.shard, { type: 'installed', number });
  });
}

export function onRecord(r: Copy, from: CopyId, view: View): void {
  const { number } = view;
  if (compareNumbers(r.promised, number) > 0) return r.refuse(from, number);
  r.promised = number;
  if (r.formation || r.role !== 'follower') abandon(r, 'recording another view');
  if (!sameNumber(r.view.number, number)) {
    r.view = view;
    r.cut = false;
    r.leaderlessSinceMs = 0;
    r.putHard();
  }
  r.host.onDurable(() => {
    if (sameNumber(r.promised, number)) r.host.send(from, r.shard, { type: 'recorded', number });
  });
}

/** A leader hands over to this copy, or a candidate found this copy's log to be the one to keep. */
export function onHandover(r: Copy, number: ViewNumber): void {
  if (r.role === 'leader' || !r.valid || r.loading || !r.isActive(r.self)) return;
  r.host.trace('handover');
  form(r, {}, number);
}

// ---- the candidate's side ------------------------------------------------------------------------

export function onPromise(r: Copy, from: CopyId, m: Promised): void {
  const f = r.formation;
  if (!f || !sameNumber(m.number, f.number)) return;
  if (!m.granted) {
    if (m.promised.counter > r.counterSeen) r.counterSeen = m.promised.counter;
    f.refusedBy.add(from);
    // Only a higher number wins back a copy of ours that has promised another candidate.
    if (
      f.again &&
      f.phase === 'prepare' &&
      m.promised.counter > f.number.counter &&
      counts(f, from)
    )
      return form(r, f.intent, f.handoverOf);
  } else if (!f.promises.has(from)) {
    f.promises.set(from, m);
    if (f.phase === 'prepare' && compareNumbers(m.view.number, f.base.number) > 0) {
      // Somebody formed a newer view: what was intended for the older one no longer holds.
      f.base = m.view;
      f.intent = {};
      notAgain(r, f);
      ask(r, f);
    }
  }
  if (f.phase === 'prepare') gather(r, f);
}

/** This copy led, but not without a break: what it appended meanwhile may not be in the starting log. */
function notAgain(r: Copy, f: Formation): void {
  if (!f.again) return;
  f.again = false;
  // Learners may have been given what is not in it.
  r.syncs.clear();
  r.host.onDeposed(r.shard);
}

/** Goes on once enough have promised and nobody who is heard is still to answer. */
function gather(r: Copy, f: Formation): void {
  const { promises } = f;
  if (!promises.has(r.self) || !isQuorum(f.base, (id) => promises.has(id))) return;
  for (const id of f.asked) if (awaited(r, f, id)) return;
  withoutAbsent(r, f);
  const choice = chooseHolder(promises, f.base, r.self);
  if (choice === null) return;
  const { base, holder, votes } = choice;
  const lower = base !== f.base;
  const voters = nextVoters(lower ? { base, intent: {} } : f);
  const has = (id: CopyId) => votes.has(id);
  if (!isMajority(voters.voters, has) || !isMajority(voters.oldVoters, has)) return;
  if (lower) {
    r.host.trace('lower-view', { shard: r.shard, counter: base.number.counter });
    f.base = base;
    f.intent = {};
    notAgain(r, f);
  }
  f.holder = holder;
  const chosen = f.promises.get(holder)!;
  const own = f.promises.get(r.self)!;
  const common = r.log.commonPrefix(chosen.terms, chosen.end);
  if (holder !== r.self && (common !== r.log.end || own.end !== chosen.end)) {
    if (!own.valid || common < chosen.tailStart || common < r.checkpointIndex) {
      // This copy cannot take the chosen log over piecemeal: its holder leads.
      r.host.send(holder, r.shard, { type: 'handover', number: f.base.number });
      return abandon(r, 'another copy holds the log');
    }
    if (!r.mayCut(common)) return abandon(r, 'a committed entry is not in the log to keep');
    f.phase = 'fetch';
    f.stepMs = r.host.nowMs();
    notAgain(r, f);
    r.truncate(common);
    fetch(r, f);
    return;
  }
  choose(r, f);
}

function fetch(r: Copy, f: Formation): void {
  const message = { type: 'fetch', number: f.number, prev: r.log.end } as const;
  if (!r.loading) r.host.send(f.holder, r.shard, message);
}

export function onFetched(r: Copy, m: ShardMessage & { type: 'fetched' }): void {
  const f = r.formation;
  if (f?.phase !== 'fetch' || !sameNumber(m.number, f.number)) return;
  if (m.prev !== r.log.end) return;
  f.stepMs = r.host.nowMs();
  r.accept(m.entries);
  if (r.log.end < m.end) {
    if (m.entries.length === 0) return abandon(r, 'the chosen log has a gap');
    fetch(r, f);
    return;
  }
  choose(r, f);
}

/** Decides who is active and installs. */
function choose(r: Copy, f: Formation): void {
  const { intent, base } = f;
  const able: CopyId[] = [r.self];
  const lagging: CopyId[] = [];
  const spare: CopyId[] = [];
  const shed = new Set(intent.shed);
  const wanted = (id: CopyId) => counts(f, id) && !shed.has(id);
  for (const [id, p] of f.promises) {
    if (id === r.self) continue;
    const common = p.valid ? r.log.commonPrefix(p.terms, p.end) : -1;
    const near =
      common >= r.log.tailStart && common >= p.floor && r.log.end - common <= INSTALL_ENTRIES_MAX;
    if (wanted(id) && near) able.push(id);
    else (wanted(id) || r.host.targets(r.shard).includes(id) ? lagging : spare).push(id);
  }
  // Whom this view may do without: who did not answer, is not valid, or lags beyond memory.
  f.unheard = base.active.filter(
    (id) => id !== r.self && (shed.has(id) || !(f.promises.get(id)?.valid ?? false)),
  );
  const kept = f.again ? keptCopies(r, f) : 0;
  const active = able.filter((id) => id === r.self || !intent.drop?.includes(id));
  for (const id of able) if (active.length < kept && !active.includes(id)) active.push(id);

  const voters = nextVoters(f);
  const least = Math.max(kept, minCopies(voters.voters.length, r.host.minCopies));
  if (active.length < least) {
    // A copy in the wrong place is better than a shard without a leader: maintenance moves it later.
    while (active.length + lagging.length < least && spare.length > 0) lagging.push(spare.pop()!);
    if (active.length + lagging.length < least) return askTargets(r, f);
    f.phase = 'sync';
    f.stepMs = r.host.nowMs();
    for (const id of lagging) startSync(r, id, f.number);
    return;
  }
  f.next = { number: f.number, ...voters, active, startIndex: r.log.end };
  f.phase = 'install';
  f.stepMs = r.host.nowMs();
  install(r, f, f.next);
}

/** A copy that a candidate brings up has reached the end: it may be active after all. */
export function onSynced(r: Copy, id: CopyId, end: number): void {
  const f = r.formation;
  const p = f?.promises.get(id);
  if (f?.phase !== 'sync' || !p) return;
  f.promises.set(id, { ...p, end, floor: 0, valid: true, terms: r.log.terms });
  const { add = [], drop = [], shed = [] } = f.intent;
  const others = (ids: readonly CopyId[]) => ids.filter((other) => other !== id);
  f.intent = { ...f.intent, add: [...add, id], drop: others(drop), shed: others(shed) };
  choose(r, f);
}

function install(r: Copy, f: Formation, next: View): void {
  r.host.trace('installing');
  r.view = next;
  r.cut = false;
  r.putHard();
  r.host.onDurable(() => {
    if (r.formation !== f || f.next !== next) return;
    r.durable = Math.max(r.durable, next.startIndex);
    onInstalled(r, r.self, f.number);
  });
  for (const id of next.active) {
    if (id === r.self) continue;
    const p = f.promises.get(id)!;
    const prev = Math.max(0, r.log.commonPrefix(p.terms, p.end));
    f.installing.set(id, { prev, reading: false });
  }
  installMore(r, f);
}

export function onInstalled(r: Copy, from: CopyId, number: ViewNumber): void {
  const f = r.formation;
  if (!f?.next || !sameNumber(number, f.number)) return;
  f.installed.add(from);
  if (f.phase !== 'install' || !f.next.active.every((id) => f.installed.has(id))) return;
  f.phase = 'record';
  f.stepMs = r.host.nowMs();
  for (const id of new Set([...f.next.voters, ...f.next.oldVoters])) {
    if (!f.installed.has(id)) r.host.send(id, r.shard, { type: 'record', view: f.next });
  }
  establish(r, f);
}

export function onRecorded(r: Copy, from: CopyId, number: ViewNumber): void {
  const f = r.formation;
  if (r.role === 'leader' && sameNumber(number, r.view.number)) {
    r.witnesses.add(from);
    r.leaseKey = '';
  }
  if (f?.phase !== 'record' || !sameNumber(number, f.number)) return;
  f.recorded.add(from);
  establish(r, f);
}

function establish(r: Copy, f: Formation): void {
  const { next } = f;
  if (!next || !isQuorum(next, (id) => f.installed.has(id) || f.recorded.has(id))) return;
  r.formation = null;
  r.role = 'leader';
  r.known = next.number;
  r.leaderlessSinceMs = 0;
  r.establishedAtMs = r.host.nowMs();
  r.witnesses.clear();
  r.leaseKey = '';
  for (const id of [...f.installed, ...f.recorded]) r.witnesses.add(id);
  r.match.clear();
  r.sent.clear();
  r.lagging.clear();
  r.broken.clear();
  r.yielded = false;
  if (f.handoverOf.counter > 0) noHandBack(r, f.handoverOf.leader);
  for (const id of f.asked) {
    // A learner that promised this view listens to no transfer of an earlier one.
    if (r.syncs.delete(id) && !next.active.includes(id)) setBack(r, id, null);
  }
  for (const id of next.active) {
    r.syncs.delete(id);
    if (id === r.self) continue;
    r.match.set(id, next.startIndex);
    r.sent.set(id, next.startIndex);
  }
  r.host.trace('established', {
    shard: r.shard,
    counter: next.number.counter,
    active: next.active.map(nameOf),
    voters: next.voters.map(nameOf),
    planned: f.again,
    wanted: r.host.targets(r.shard).length,
    unheard: f.unheard.map(nameOf),
  });
  // The starting log is committed before the leader looks at it.
  r.advance();
  r.host.onEstablished(r.shard, f.again);
  r.host.dirty(r.shard);
}

export function tickFormation(r: Copy, nowMs: number): void {
  const f = r.formation!;
  if (f.phase === 'prepare' && nowMs - f.askedMs >= ASK_AGAIN_MS) askAgain(r, f, nowMs);
  if (f.phase === 'prepare') gather(r, f);
  if (f.phase === 'fetch' && nowMs - f.stepMs >= ASK_AGAIN_MS) fetch(r, f);
  if (f.phase === 'install') installMore(r, f);
  if (r.formation === f && nowMs - f.stepMs >= r.host.timings.formationTimeoutMs)
    abandon(r, `timeout in ${f.phase}`);
}

function askAgain(r: Copy, f: Formation, nowMs: number): void {
  f.askedMs = nowMs;
  for (const id of f.asked) if (!f.promises.has(id)) sendPrepare(r, f, id);
}
