/** What each operation of a shard's log is made of, and what of the shard's state it changes. */
import type { Field } from '../../fields.ts';
import type { GroupQueues, ReturnedMessages } from '../groups.ts';
import type { Rx2Id } from '../message.ts';
import type { References } from '../references.ts';
import type { RetainedMessages } from '../retained.ts';
import type { Session, Subscription } from '../session.ts';
import type { Sessions } from '../sessions.ts';
import type { StateBytes } from '../state-bytes.ts';
import type { Owed, StateObserver } from '../state-observer.ts';

/** An operation: its bytes, and its effect. */
export interface Kind<O extends { readonly type: string }> extends Field<O> {
  /**
   * Deterministic: every copy applies equal operations to equal states.
   *
   * @param index of its entry
   * @returns whether something refers to the entry from now on
   */
  apply(state: State, operation: O, index: number): boolean;
}

/** The state of a shard as its operations see it. */
export interface State {
  readonly sessions: Sessions;
  /** Sessions with a deadline: expiry, or a delayed Will. */
  readonly dated: Set<Session>;
  readonly retained: RetainedMessages;
  readonly references: References;
  readonly bytes: StateBytes;
  /** Queued messages that expire: log index → wall-clock milliseconds. */
  readonly expiries: Map<number, number>;
  readonly enqSeen: Seen;
  readonly retainSeen: Seen;
  /** Messages for members of groups. */
  readonly groups: GroupQueues;
  readonly groupSeen: Seen;
  /** BINDs of other shards whose message a session of this one refused. */
  readonly refusedSeen: Seen;
  /** Messages of groups in queues here: log index → key of the group. */
  readonly given: Map<number, string>;
  readonly returned: ReturnedMessages;
  readonly observer: StateObserver | null;
  /** Sum of ticks: session age is counted in logged time, so an outage expires no session. */
  clockMs: number;
  /** Highest clock of an entry. */
  readonly hlc: number;

  /** The session, if this epoch is still its own. */
  current(clientId: string, epoch: number): Session | null;
  /** A subscription joins those of the shard, or leaves them. */
  addSubscription(sub: Subscription): void;
  removeSubscription(sub: Subscription): void;
  /** A message leaves a queue, in which it may have been alone. */
  unqueue(ref: number, bytes: number): void;
  /** From now on the shard's leader owes a message to all that match; `index` is its identity. */
  owe(index: number, owed: Owed): void;
  settleOwed(index: number): void;
  /** A message of a group, which the session leaves unsent, goes back to the group. */
  giveBack(ref: number, bytes: number, group: string): void;
}

interface Seen {
  add(id: Rx2Id): void;
}
