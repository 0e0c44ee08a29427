/** What a leader keeps of its log for learners: entries that checkpoints would delete meanwhile. */
import type { Copy } from './copy.ts';
import type { Sync } from './procedures.ts';

/** Silence after which a transfer is started anew, and holds nothing any more. */
export const STALL_MS = 3000;
/** How long a transfer may hold the tail of its shard's log on the leader's disk. */
const TAIL_HELD_MS_MAX = 600_000;
/** Bytes of entries that the tail may grow by meanwhile, on the leader's disk. */
const TAIL_HELD_BYTES_MAX = 256 * 1024 * 1024;
/** Entries that it may grow by: each is remembered until it may be deleted. */
const TAIL_HELD_ENTRIES_MAX = 200_000;

/**
 * Last index that no transfer needs: complete entries above it stay. A transfer that makes no progress,
 * or that the shard outruns, holds nothing: it begins anew when what it needs is gone.
 */
export function heldFrom(r: Copy): number {
  let from = Number.POSITIVE_INFINITY;
  for (const s of r.syncs.values()) from = Math.min(from, needs(r, s));
  return from;
}

function needs(r: Copy, s: Sync): number {
  const index = s.phase === 'stream' ? s.acked : s.snapshot?.index;
  const nowMs = r.host.nowMs();
  if (index === undefined || (s.busy && nowMs - s.lastMs > STALL_MS))
    return Number.POSITIVE_INFINITY;
  const tooLong = nowMs - s.heldSinceMs > TAIL_HELD_MS_MAX;
  const tooMuch = r.storedBytes - s.heldAtBytes > TAIL_HELD_BYTES_MAX;
  const tooMany = r.log.end - index > r.host.limits.tailKeep + TAIL_HELD_ENTRIES_MAX;
  return tooLong || tooMuch || tooMany ? Number.POSITIVE_INFINITY : index;
}

/** From here on the bounds of holding count anew: the transfer begins, or has caught up. */
export function holdAnew(r: Copy, s: Sync): void {
  s.heldSinceMs = r.host.nowMs();
  s.heldAtBytes = r.storedBytes;
}
