/** Whose log becomes the starting log of the next view. */
import type { Promised } from './procedures.ts';
import { type CopyId, compareNumbers, isQuorum, sameNumber, type View } from './view.ts';

export interface Choice {
  /** The highest view that a promiser which counts has recorded. */
  readonly base: View;
  readonly holder: CopyId;
  /** The promisers that count. */
  readonly votes: ReadonlyMap<CopyId, Promised>;
}

/**
 * The promiser with the longest log of those that are active in the highest view which any promiser
 * recorded, and recorded it themselves: only they are known to hold all that is committed.
 *
 * If none of them has a log to give (a candidate recorded its view, no other voter did, and its copy is
 * damaged), those that recorded that view are left out, as if they had not answered. What is left must
 * again be a quorum: a view that had committed would be recorded by one of them. Without that, an active
 * member which did not record the view would prove that it never committed, but nothing of the view
 * before, whose record it replaced (models/view-formation.pml, FALL_BACK).
 *
 * @returns null if no copy may give its log: the election waits for more promises
 */
export function chooseHolder(
  promises: ReadonlyMap<CopyId, Promised>,
  highest: View,
  self: CopyId,
): Choice | null {
  let base = highest;
  let votes = promises;
  while (votes.has(self) && isQuorum(base, (id) => votes.has(id))) {
    const holder = longest(votes, base, self);
    if (holder !== null) return { base, holder, votes };
    votes = new Map([...votes].filter(([, p]) => !sameNumber(p.view.number, base.number)));
    const views = [...votes.values()].map((p) => p.view);
    if (views.length === 0) return null;
    base = views.reduce((a, b) => (compareNumbers(b.number, a.number) > 0 ? b : a));
  }
  return null;
}

function longest(votes: ReadonlyMap<CopyId, Promised>, base: View, self: CopyId): CopyId | null {
  let holder: CopyId | null = null;
  for (const [id, p] of votes) {
    if (!p.valid || !sameNumber(p.view.number, base.number) || !base.active.includes(id)) continue;
    const best = holder === null ? -1 : votes.get(holder)!.end;
    if (p.end > best || (p.end === best && id === self)) holder = id;
  }
  return holder;
}
