/** Whom a candidate waits for, and whom its view may do without: what {@link form} decides by. */
import type { Copy } from './copy.ts';
import type { Formation } from './procedures.ts';
import { setBack } from './sync.ts';
import type { CopyId, View } from './view.ts';

/** How long a candidate with a majority waits for voters that hold no data, to hear of newer views. */
const GATHER_MS = 120;

/** The next view would have this copy active if it answered. */
export function counts(f: Formation, id: CopyId): boolean {
  return f.base.active.includes(id) || (f.intent.add?.includes(id) ?? false);
}

/**
 * Whether a candidate that could go on waits for this copy all the same.
 *
 * Its disk may be slow: as long as its process is heard it has not gone. A leader that changes its own
 * view has time, who replaces a dead one has less.
 */
export function awaited(r: Copy, f: Formation, id: CopyId): boolean {
  if (f.promises.has(id) || !r.host.heard(id)) return false;
  const waitedMs = r.host.nowMs() - f.startedMs;
  if (!counts(f, id)) return waitedMs < GATHER_MS && !f.refusedBy.has(id);
  const { formationTimeoutMs, silenceMs } = r.host.timings;
  return waitedMs < (f.again ? formationTimeoutMs : silenceMs);
}

export function nextVoters(
  f: Pick<Formation, 'base' | 'intent'>,
): Pick<View, 'voters' | 'oldVoters'> {
  const { base, intent } = f;
  if (base.oldVoters.length > 0) {
    // Unfinished change: only the leader that knows the joint view established may finish it.
    return { voters: base.voters, oldVoters: intent.settle ? [] : base.oldVoters };
  }
  if (intent.voters && !sameSet(intent.voters, base.voters))
    return { voters: intent.voters, oldVoters: base.voters };
  return { voters: base.voters, oldVoters: [] };
}

export function sameSet(a: readonly CopyId[], b: readonly CopyId[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}

/**
 * A copy that was to be added and has not answered is left out, and with it whatever was to go in its
 * place. One that is heard all the while is too slow: it is told, and tried again later.
 */
export function withoutAbsent(r: Copy, f: Formation): void {
  const { intent, base } = f;
  const absent = (id: CopyId) => !f.promises.has(id);
  for (const id of new Set([...base.active, ...(intent.add ?? [])]))
    if (absent(id) && r.host.heard(id)) setBack(r, id, r.host.nowMs() - f.startedMs);
  const add = intent.add?.filter((id) => !absent(id)) ?? [];
  if (add.length === (intent.add?.length ?? 0)) return;
  const { voters: _, drop: __, ...rest } = intent;
  f.intent = { ...rest, add };
}

/** A planned change has no fewer active copies than min(old R, new R), but for those unheard. */
export function keptCopies(r: Copy, f: Formation): number {
  const targets = r.host.targets(r.shard).length;
  const before = f.base.active.length;
  return Math.min(before, targets === 0 ? before : targets) - f.unheard.length;
}
