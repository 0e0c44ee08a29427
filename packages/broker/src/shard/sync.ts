/** Starting a transfer, and putting one off; the rest is in transfer.ts. */
import type { Copy } from './copy.ts';
import type { CopyId, ViewNumber } from './view.ts';

/** Pause before a copy that was too slow is tried again; each time it doubles. */
const SET_BACK_MIN_MS = 1000;
/** Longest pause before a copy that was too slow is tried again. */
const SET_BACK_MAX_MS = 30_000;

/**
 * A copy that cannot keep up is not tried again for a while: a view that waits for it holds its shard.
 *
 * @param tookMs how long it took, if that is why
 */
export function setBack(r: Copy, id: CopyId, tookMs: number | null): void {
  const nowMs = r.host.nowMs();
  const held = r.setBack.get(id);
  if (held !== undefined && nowMs < held.untilMs) return;
  const again = held !== undefined && nowMs < held.untilMs + SET_BACK_MAX_MS;
  const delayMs = again ? Math.min(2 * held.delayMs, SET_BACK_MAX_MS) : SET_BACK_MIN_MS;
  r.setBack.set(id, { untilMs: nowMs + delayMs, delayMs });
  if (tookMs !== null) r.host.onSlow?.(r.shard, id, tookMs);
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
    snapshot: null,
  });
  r.host.trace('learner');
  r.host.send(id, r.shard, { type: 'probe', number });
}
