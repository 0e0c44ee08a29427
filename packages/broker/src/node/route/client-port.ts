/** What routing asks of clients: the publisher that waits, and the connections that get messages. Types only. */
import type { Message } from '../../session/message.ts';
import type { SubscriptionRequest } from '../../session/subscription.ts';

/** The publisher of a message of QoS 1 or 2, which waits for its answer. */
export interface Publisher {
  /** Asked when the message had to wait: is its publisher still there? */
  readonly wanted: boolean;
  /** A subscriber is behind: it takes a while, and more should not come meanwhile. */
  slowed(): void;
  /** The result as a Reason Code; called once, even if the message is no longer wanted. */
  published(reasonCode: number): void;
}

/** A filter of a live connection, as it stands in the node's tree. */
export interface LiveSubscription extends SubscriptionRequest {
  readonly connection: LiveConnection;
  /** The session's queue brings QoS 1 and 2; only QoS 0 goes the short way. */
  readonly zeroOnly: boolean;
  /** Clock of the node when the subscription was made. */
  readonly since: number;
}

export interface LiveConnection {
  /** Number of the connection at its node. */
  readonly id: number;
  readonly clientId: string;
  /** The session is stored. */
  readonly persistent: boolean;
  /** Messages of QoS 1 and 2 that it takes at once. */
  readonly window: number;
  /** Of its subscriptions. */
  filterBytes: number;
  /** Groups that it is a member of, by the filter behind their share names. */
  groups?: Map<string, number>;
  /**
   * A message for a session without persistence, or at QoS 0 for any.
   *
   * @returns false if more waits for the client than its mark: publishers wait for {@link whenRoom}
   */
  deliverLive(
    message: Message,
    qos: 0 | 1 | 2,
    retain: boolean,
    identifiers: readonly number[],
    frames: FrameCache,
  ): boolean;
  /** Runs `run` when little enough waits for the client, or it is gone; at once if that is so. */
  whenRoom(run: () => void): void;
  /** Ends it, and tells the client why. */
  shutdown(reasonCode: number, graceMs?: number): void;
}

/** Encoded QoS 0 frames of one message, shared by all subscribers of a kind. */
export interface FrameCache {
  readonly frames: (Uint8Array | undefined)[];
}
