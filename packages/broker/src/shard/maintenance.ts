/**
 * What a copy does unasked: followers replace a leader that is gone, leaders keep the view equal to
 * what placement wants.
 */
import { sameSet } from './choice.ts';
import type { Copy } from './copy.ts';
import { form } from './formation.ts';
import { isSetBack, mayHandTo, setBack, startSync } from './sync.ts';
import { type CopyId, compareNumbers, minCopies } from './view.ts';

/** Between planned changes of one shard, so that each settles before the next. */
const PLANNED_PAUSE_MS = 300;
/** How long a hand-over may take before the leader serves on. */
const HANDOVER_MS = 1000;

export function maintain(r: Copy, nowMs: number): void {
  if (r.role === 'leader') lead(r, nowMs);
  else follow(r, nowMs);
}

/** The leader of the newest view known is silent, ended, or this very process that lost its role. */
function leaderGone(r: Copy): boolean {
  const newest = compareNumbers(r.known, r.view.number) > 0 ? r.known : r.view.number;
  return newest.leader === r.self || r.host.ended(newest) || !r.host.heard(newest.leader);
}

function follow(r: Copy, nowMs: number): void {
  if (r.view.number.counter === 0 || !r.valid || r.loading || r.receiving) return;
  if (r.contradiction !== null) return;
  if (!r.view.voters.includes(r.self) && !r.isActive(r.self)) return;
  if (r.host.justBooted() && !isOwnVote(r)) return;
  if (!leaderGone(r)) {
    r.leaderlessSinceMs = 0;
    return;
  }
  if (r.leaderlessSinceMs === 0) r.leaderlessSinceMs = nowMs;
  const due = r.leaderlessSinceMs + rank(r) * r.host.timings.electionStaggerMs;
  if (nowMs < due || nowMs < r.retryAtMs) return;
  r.host.onElection();
  form(r, {});
}

/**
 * The only voter led the shard itself, so that no lease of another leader depends on what its process
 * said before it was started anew.
 */
function isOwnVote({ view, promised, self }: Copy): boolean {
  const alone = view.voters.length === 1 && view.voters[0] === self && view.oldVoters.length === 0;
  return alone && view.number.leader === self && promised.leader === self;
}

/** Place in the order of candidates: active copies by preference, then the other voters. */
function rank(r: Copy): number {
  const targets = r.host.targets(r.shard);
  const place = (id: CopyId) => {
    const at = targets.indexOf(id);
    return at < 0 ? targets.length : at;
  };
  const order = r.view.active
    .filter((id) => id !== r.view.number.leader || id === r.self)
    .sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
  const at = order.indexOf(r.self);
  return at >= 0 ? at : order.length + 1;
}

const NOBODY: readonly CopyId[] = [];

/** Active copies that are not heard, or lag beyond memory. */
function silentOf(r: Copy): readonly CopyId[] {
  let silent = NOBODY;
  for (const id of r.view.active)
    if (id !== r.self && (!r.host.heard(id) || r.lagging.has(id) || r.broken.has(id)))
      silent = [...silent, id];
  return silent;
}

function lead(r: Copy, nowMs: number): void {
  if (r.handingOver) return handOver(r, nowMs);
  const silent = silentOf(r);
  const least = minCopies(r.view.voters.length, r.host.minCopies);
  // A copy that is not whole may be one too many to lose: forming the view makes it anew.
  const mend = silent.some((id) => r.broken.has(id) && r.host.heard(id));
  const enough = mend || r.view.active.length - silent.length >= least;
  if (silent.length > 0 && nowMs >= r.retryAtMs && enough) {
    r.retryAtMs = nowMs + r.host.timings.silenceMs;
    // Who is heard again by then stays.
    return form(r, { shed: silent.filter((id) => r.lagging.has(id) || r.broken.has(id)) });
  }
  // Between old and new voters either set can stop the shard: that state is left at once.
  if (r.view.oldVoters.length > 0) return form(r, {});
  if (nowMs - r.establishedAtMs < PLANNED_PAUSE_MS || nowMs - r.plannedAtMs < PLANNED_PAUSE_MS)
    return;
  r.plannedAtMs = nowMs;
  plan(r, nowMs);
}

/** One step towards what placement wants: learners, then members and voters, then leadership. */
function plan(r: Copy, nowMs: number): void {
  const targets = r.host.targets(r.shard);
  if (targets.length === 0) return;
  const missing = targets.filter((id) => !r.isActive(id) && r.host.heard(id) && !isSetBack(r, id));
  for (const id of missing)
    if (!r.syncs.has(id) && (r.host.mayLearn?.() ?? true)) startSync(r, id, r.view.number);
  for (const id of r.syncs.keys()) if (!targets.includes(id)) r.syncs.delete(id);
  const ready = missing.filter((id) => r.syncs.get(id)?.ready);

  const settled = targets.every((id) => r.isActive(id) || ready.includes(id));
  const wanted = r.host.voters(r.shard);
  const changeVoters = settled && mayBecome(r, wanted);
  const leaves = settled
    ? r.view.active.filter(
        (id) => !targets.includes(id) && id !== r.self && r.host.removable(id) !== 'no',
      )
    : [];
  if (ready.length > 0 || changeVoters || leaves.length > 0) {
    return form(r, { add: ready, drop: leaves, ...(changeVoters ? { voters: wanted } : {}) });
  }
  const preferred = targets[0]!;
  if (
    preferred !== r.self &&
    r.isActive(preferred) &&
    r.host.heard(preferred) &&
    mayHandTo(r, preferred) &&
    nowMs - r.establishedAtMs >= 3 * PLANNED_PAUSE_MS &&
    r.host.mayHandover()
  ) {
    r.handingOver = { to: preferred, deadlineMs: nowMs + HANDOVER_MS, sent: false };
    handOver(r, nowMs);
  }
}

/**
 * A change of voters waits until all new voters answer, so that it cannot stop half-way, and drops
 * nobody of whom this node merely does not know.
 */
function mayBecome(r: Copy, wanted: readonly CopyId[]): boolean {
  const { voters } = r.view;
  if (wanted.length === 0 || sameSet(wanted, voters)) return false;
  if (!wanted.every((id) => r.host.heard(id))) return false;
  return voters
    .filter((id) => !wanted.includes(id))
    .every((id) => {
      const removable = r.host.removable(id);
      return removable === 'yes' || (removable === 'replace' && wanted.length >= voters.length);
    });
}

/** Hands over to whichever other active copy is heard: this process stops. */
export function handOverToAny(r: Copy, nowMs: number): void {
  if (r.role !== 'leader' || r.handingOver) return;
  const to = r.view.active.find((id) => id !== r.self && r.host.heard(id));
  if (!to) return;
  r.handingOver = { to, deadlineMs: nowMs + HANDOVER_MS, sent: false };
  handOver(r, nowMs);
}

/** Takes no more operations, waits until the heir has them all, then asks it to lead. */
function handOver(r: Copy, nowMs: number): void {
  const h = r.handingOver!;
  if (nowMs >= h.deadlineMs) {
    r.handingOver = null;
    setBack(r, h.to, null);
    // The heir may still collect promises, and some may be given: only a higher view wins them back.
    if (h.sent || r.counterSeen > r.view.number.counter) return form(r, {});
    r.establishedAtMs = nowMs;
    r.host.onEstablished(r.shard, true);
    return;
  }
  if (h.sent || r.commit !== r.log.end || r.match.get(h.to) !== r.log.end) return;
  h.sent = true;
  r.yielded = true;
  r.host.trace('handover');
  r.host.send(h.to, r.shard, { type: 'handover', number: r.view.number });
}
