/** What the leader of a shard wants to hear of while entries are applied. */
import type { Session } from './session.ts';

/** A message that this shard's leader owes to all that match: an RX2, or a will that fired. */
export interface Owed {
  /** Log index of the entry that holds the message. */
  readonly messageIndex: number;
  readonly will: boolean;
}

/** What the leader wants to hear of while it applies. */
export interface StateObserver {
  onFilter(filter: string, added: boolean): void;
  onQueued(session: Session): void;
  onOwed(index: number, owed: Owed): void;
  /** A message for members of groups, by their keys. */
  onGrouped(index: number, groups: readonly string[]): void;
  /** A message goes back to its group. */
  onReturned(number: number): void;
  /** Its connection has ended, or another takes its place. */
  onClosed(session: Session): void;
  onEnded(session: Session): void;
}
