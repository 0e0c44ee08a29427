/** Starting a transfer, and putting one off; the rest is in transfer.ts. */
import type { Copy } from './copy.ts';
import type { SetBack } from './procedures.ts';
import type { CopyId, ViewNumber } from './view.ts';

/** Pause before a copy that was too slow is tried again; each time it doubles. */
const SET_BACK_MIN_MS = 1000;
/** Longest pause before a copy that was too slow is tried again. */
const SET_BACK_MAX_MS = 30_000;

/** Pause before leadership goes back to the leader that handed it over, and its longest; each time it doubles. */
const HAND_BACK_MIN_MS = 5000;
/** Longest pause before leadership goes back to the leader that handed it over. */
const HAND_BACK_MAX_MS = 300_000;

/** Puts a copy off; each time that this comes again soon, for twice as long. @returns whether it was not */
function putOff(
  off: Map<CopyId, SetBack>,
  id: CopyId,
  nowMs: number,
  minMs: number,
  maxMs: number,
): boolean {
  const held = off.get(id);
  if (held !== undefined && nowMs < held.untilMs) return false;
  const again = held !== undefined && nowMs < held.untilMs + maxMs;
  const delayMs = again ? Math.min(2 * held.delayMs, maxMs) : minMs;
  off.set(id, { untilMs: nowMs + delayMs, delayMs });
  return true;
}

/**
 * Two nodes that disagree on who is to lead, since they disagree on who is there, would hand a shard
 * back and forth for as long as they do.
 */
export function noHandBack(r: Copy, id: CopyId): void {
  putOff(r.handBack, id, r.host.nowMs(), HAND_BACK_MIN_MS, HAND_BACK_MAX_MS);
}

/**
 * Whether the leader may offer its place to this copy. A leader that placement wants no copy of, such as
 * one that leaves, does not wait: if the other disagrees, it is the other who waits.
 */
export function mayHandTo(r: Copy, id: CopyId): boolean {
  if (isSetBack(r, id)) return false;
  const stays = r.host.targets(r.shard).includes(r.self);
  return !stays || r.host.nowMs() >= (r.handBack.get(id)?.untilMs ?? 0);
}

/**
 * A copy that cannot keep up is not tried again for a while: a view that waits for it holds its shard.
 *
 * @param tookMs how long it took, if that is why
 */
export function setBack(r: Copy, id: CopyId, tookMs: number | null): void {
  const first = putOff(r.setBack, id, r.host.nowMs(), SET_BACK_MIN_MS, SET_BACK_MAX_MS);
  if (first && tookMs !== null) r.host.onSlow?.(r.shard, id, tookMs);
}

export function isSetBack(r: Copy, id: CopyId): boolean {
  const held = r.setBack.get(id);
  return held !== undefined && r.host.nowMs() < held.untilMs;
}

export function startSync(r: Copy, id: CopyId, number: ViewNumber): void {
  const nowMs = r.host.nowMs();
  r.syncs.set(id, {
    number,
    phase: 'probe',
    acked: 0,
    busy: true,
    ready: false,
    moving: false,
    lastMs: nowMs,
    sentMs: nowMs,
    reached: false,
    light: false,
    prompt: false,
    heldSinceMs: nowMs,
    heldAtBytes: r.storedBytes,
    snapshot: null,
    upto: 0,
  });
  r.host.trace('learner');
  r.host.send(id, r.shard, { type: 'probe', number });
}
