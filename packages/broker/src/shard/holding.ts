/** What a leader keeps of its log for learners: entries that checkpoints would delete meanwhile. */
import type { ReplicaHost } from './host.ts';
import type { Log } from './log.ts';
import type { Sync } from './procedures.ts';

/** Silence after which a transfer is started anew, and holds nothing any more. */
export const STALL_MS = 3000;
/** How long a transfer may hold the tail of its shard's log on the leader's disk. */
const TAIL_HELD_MS_MAX = 600_000;
/** Bytes of entries that the tail may grow by meanwhile, on the leader's disk. */
const TAIL_HELD_BYTES_MAX = 256 * 1024 * 1024;
/** Entries that it may grow by: each is remembered until it may be deleted. */
const TAIL_HELD_ENTRIES_MAX = 200_000;

/** A shard's log as a transfer holds it. */
interface Held {
  readonly host: ReplicaHost;
  readonly log: Pick<Log, 'end'>;
  readonly storedBytes: number;
}

/**
 * Last index that no transfer needs: complete entries above it stay. A transfer that makes no progress,
 * or that the shard outruns, holds nothing: it begins anew when what it needs is gone.
 */
export function heldFrom(held: Held, syncs: Iterable<Sync>): number {
  let from = Number.POSITIVE_INFINITY;
  for (const s of syncs) from = Math.min(from, needs(held, s));
  return from;
}

function needs({ host, log, storedBytes }: Held, s: Sync): number {
  const index = s.phase === 'stream' ? s.acked : s.snapshot?.index;
  const nowMs = host.nowMs();
  if (index === undefined || (s.busy && nowMs - s.lastMs > STALL_MS))
    return Number.POSITIVE_INFINITY;
  const tooLong = nowMs - s.heldSinceMs > TAIL_HELD_MS_MAX;
  const tooMuch = storedBytes - s.heldAtBytes > TAIL_HELD_BYTES_MAX;
  const tooMany = log.end - index > host.limits.tailKeep + TAIL_HELD_ENTRIES_MAX;
  return tooLong || tooMuch || tooMany ? Number.POSITIVE_INFINITY : index;
}

/** From here on the bounds of holding count anew: the transfer begins, or has caught up. */
export function holdAnew({ host, storedBytes }: Held, s: Sync): void {
  s.heldSinceMs = host.nowMs();
  s.heldAtBytes = storedBytes;
}
