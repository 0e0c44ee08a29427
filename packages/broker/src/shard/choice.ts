/** Which copies a candidate waits for, which its view has, and which it may do without. */
import type { LogReading } from './copy.ts';
import type { ReplicaHost } from './host.ts';
import type { Attempt, Intent } from './procedures.ts';
import { INSTALL_ENTRIES_MAX } from './read.ts';
import { type CopyId, minCopies, type View } from './view.ts';

/** How long a candidate with a majority waits for voters that hold no data, to hear of newer views. */
const GATHER_MS = 120;

/** The next view would have this copy active if it answered. */
export function counts(f: Attempt, id: CopyId): boolean {
  return f.base.active.includes(id) || (f.intent.add?.includes(id) ?? false);
}

/**
 * Whether a candidate that could go on waits for this copy all the same.
 *
 * Its disk may be slow: as long as its process is heard it has not gone. A leader that changes its own
 * view has time, who replaces a dead one has less.
 */
export function awaited(host: ReplicaHost, f: Attempt, id: CopyId): boolean {
  if (f.promises.has(id) || !host.heard(id)) return false;
  const waitedMs = host.nowMs() - f.startedMs;
  if (!counts(f, id)) return waitedMs < GATHER_MS && !f.refusedBy.has(id);
  const { formationTimeoutMs, silenceMs } = host.timings;
  return waitedMs < (f.again ? formationTimeoutMs : silenceMs);
}

export function nextVoters(
  f: Pick<Attempt, 'base' | 'intent'>,
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

/** Copies that were to be active and have not answered. */
export function absentOf({ base, intent, promises }: Attempt): CopyId[] {
  const wanted = new Set([...base.active, ...(intent.add ?? [])]);
  return [...wanted].filter((id) => !promises.has(id));
}

/** A copy that was to be added and has not answered is left out, and with it what was to go in its place. */
export function withoutAbsent({ intent, promises }: Attempt): Intent {
  const add = intent.add?.filter((id) => promises.has(id)) ?? [];
  if (add.length === (intent.add?.length ?? 0)) return intent;
  const { voters: _, drop: __, ...rest } = intent;
  return { ...rest, add };
}

/** A copy that forms a view, as its promisers are compared with it. */
interface Candidate {
  readonly self: CopyId;
  readonly shard: number;
  readonly host: ReplicaHost;
  readonly log: LogReading;
}

/**
 * The copies that promised: `able` to be active at once, this one first; `lagging`, wanted, and to be
 * brought up before; `spare`, neither wanted nor near.
 */
function sorted({ host, log, self, shard }: Candidate, f: Attempt) {
  const able: CopyId[] = [self];
  const lagging: CopyId[] = [];
  const spare: CopyId[] = [];
  const shed = new Set(f.intent.shed);
  for (const [id, p] of f.promises) {
    if (id === self) continue;
    const wanted = counts(f, id) && !shed.has(id);
    const common = p.valid ? log.commonPrefix(p.terms, p.end) : -1;
    const near =
      common >= log.tailStart && common >= p.floor && log.end - common <= INSTALL_ENTRIES_MAX;
    if (wanted && near) able.push(id);
    else (wanted || host.targets(shard).includes(id) ? lagging : spare).push(id);
  }
  return { able, lagging, spare };
}

/**
 * A planned change has no fewer active copies than min(old R, new R), but for those unheard.
 *
 * @param targets how many copies placement wants; 0 while that is not known
 */
function keptCopies(targets: number, f: Attempt): number {
  const before = f.base.active.length;
  return Math.min(before, targets === 0 ? before : targets) - f.unheard.length;
}

/** Copies that a view may do without: they did not answer, are not valid, or lag beyond memory. */
export function unheardOf(self: CopyId, { base, intent, promises }: Attempt): readonly CopyId[] {
  const shed = new Set(intent.shed);
  return base.active.filter(
    (id) => id !== self && (shed.has(id) || !(promises.get(id)?.valid ?? false)),
  );
}

/**
 * What comes of the promises: the next view, or copies that are to be brought up before there can be one.
 *
 * @returns null if too few copies have promised
 */
export function compose(
  copy: Candidate,
  f: Attempt,
): { readonly next: View } | { readonly lagging: readonly CopyId[] } | null {
  const { host, log, self, shard } = copy;
  const { intent } = f;
  const { able, lagging, spare } = sorted(copy, f);
  const kept = f.again ? keptCopies(host.targets(shard).length, f) : 0;
  const active = able.filter((id) => id === self || !intent.drop?.includes(id));
  for (const id of able) if (active.length < kept && !active.includes(id)) active.push(id);

  const voters = nextVoters(f);
  const least = Math.max(kept, minCopies(voters.voters.length, host.minCopies));
  if (active.length >= least)
    return { next: { number: f.number, ...voters, active, startIndex: log.end } };
  // A copy in the wrong place is better than a shard without a leader: maintenance moves it later.
  while (active.length + lagging.length < least && spare.length > 0) lagging.push(spare.pop()!);
  return active.length + lagging.length < least ? null : { lagging };
}

/** The copy is to be active after all. */
export function withAdded(intent: Intent, id: CopyId): Intent {
  const { add = [], drop = [], shed = [] } = intent;
  const others = (ids: readonly CopyId[]) => ids.filter((other) => other !== id);
  return { ...intent, add: [...add, id], drop: others(drop), shed: others(shed) };
}
