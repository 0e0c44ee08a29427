/**
 * A change of the only voter that is taken back, because the new voter does not come.
 *
 * A view that gives the only vote from one copy to another needs both, and its candidate records it before
 * it knows whether the other ever will: if that one's disk is lost, neither view nor the one before could be
 * formed again, though no entry is missing. The leader of that view and its old voter may go on alone, as
 * before it, if it is the highest that either has recorded (models/voter-change.pml, WITHDRAW):
 *
 * - A later view that is complete is recorded by the old voter, until one settles the voters.
 * - Only the leader settles them, and its own disk has that view before it leaves for another
 *   ({@link recordsFirst}).
 * - The leader holds what committed, for it counts nothing before its own copy has it.
 */
import type { ReplicaHost } from './host.ts';
import type { Attempt } from './procedures.ts';
import { compareNumbers, isMajority, sameNumber, type View, type ViewNumber } from './view.ts';

/** The view moves the only vote from one copy to another. */
function movesOnlyVote({ voters, oldVoters }: View): boolean {
  return oldVoters.length === 1 && voters.length === 1;
}

/** From this view on the new voter decides alone: it must not have it before the leader itself. */
export function recordsFirst(f: Attempt, next: View): boolean {
  return movesOnlyVote(f.base) && next.oldVoters.length === 0;
}

/**
 * The base of an attempt without its change of voters, if that may be taken back and the new voter has not
 * been heard for as long as makes a leader silent.
 *
 * @param newest the newest view that this copy knows of
 */
export function withdrawn(host: ReplicaHost, f: Attempt, newest: ViewNumber): View | null {
  const { base, promises } = f;
  if (!movesOnlyVote(base) || compareNumbers(newest, base.number) > 0) return null;
  const leader = promises.get(base.number.leader);
  if (!leader?.valid || !sameNumber(leader.view.number, base.number)) return null;
  if (!isMajority(base.oldVoters, (id) => promises.has(id))) return null;
  const waits = host.nowMs() - f.startedMs < host.timings.silenceMs;
  if (waits || host.heard(base.voters[0]!)) return null;
  return { ...base, voters: base.oldVoters, oldVoters: [] };
}
