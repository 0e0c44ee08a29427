/** What a client's connection asks of its node: types only. */
import type { Limits } from '../../config-schema.ts';
import type { Counters } from '../../counters.ts';
import type { Log } from '../../ports.ts';
import type { AckKind, Message, SubscriptionRequest, Will } from '../../session/operation.ts';
import type { Taker } from '../context.ts';
import type { Opened } from '../route/request.ts';
import type { Reading } from '../route/retained-reading.ts';
import type { WatchedTopics } from '../route/topic-watch.ts';
import type { Line, Work } from '../work.ts';
import type { ClientLog, LoggedClient } from './client-log.ts';
import type { Connection } from './connection.ts';

/** A filter of a live connection, as it stands in the node's tree. */
export interface LiveSubscription extends SubscriptionRequest {
  readonly connection: LiveConnection;
  /** The session's queue brings QoS 1 and 2; only QoS 0 goes the short way. */
  readonly zeroOnly: boolean;
  /** Clock of the node when the subscription was made. */
  readonly since: number;
}

export interface LiveConnection {
  readonly clientId: string;
  /** Of its subscriptions. */
  filterBytes: number;
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

export interface OpenRequest {
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly expirySeconds: number;
  readonly version: number;
  readonly will: Will | null;
}

/**
 * What became of an OPEN: {@link Status}.Ok, TakenOver by a connection that came later, NoSession, or
 * NotLeader if it did not come about in time.
 */
export type OpenDone = (status: number, opened: Opened | null) => void;

/** Who published a message of QoS 1 or 2, and waits. */
export interface Publisher {
  /** Asked when the message had to wait: is its publisher still there? */
  readonly wanted: boolean;
  /** A subscriber is behind: it takes a while, and more should not come meanwhile. */
  slowed(): void;
  /** What became of it; called once, also when it is not wanted any more. */
  published(reasonCode: number): void;
}

export interface Gateway {
  readonly name: string;
  readonly limits: Limits;
  readonly connectTimeoutMs: number;
  readonly counters: Counters;
  readonly log: Log;
  readonly work: Work;
  /** For packets with many filters. */
  readonly line: Line;
  readonly watched: WatchedTopics;
  readonly ready: boolean;
  /** The node is being removed: clients should go elsewhere. */
  readonly leaving: boolean;
  /** Connections that are not read because too much of all clients' is under way. */
  readonly crowded: Set<Connection>;
  /** Connections that publishers wait for. */
  readonly slow: Set<Connection>;
  /** Addresses of other nodes for clients, another one first each time; '' for none. */
  serverReference(): string;
  nowMs(): number;
  wallMs(): number;
  random(): number;
  hlc(): number;
  trace(phase: string, fields?: Record<string, unknown>): void;
  readonly clients: ClientLog;
  /** The server ends an open connection. @param by who has the session now, if that is why */
  ending(c: LoggedClient, reasonCode: number, by: Taker | null): void;
  /** A client gives a user name or a password. */
  noteCredentials(clientId: string, remote: string): void;
  /** OPEN at the shard's leader. */
  open(connection: number, request: OpenRequest, done: OpenDone): void;
  close(
    clientId: string,
    epoch: number,
    how: { abnormal: boolean; expirySeconds: number; sentUpto: number; graceMs: number },
  ): void;
  /** SUB in the session's shard, with route barrier and retained messages. */
  subscribeSession(
    clientId: string,
    epoch: number,
    subscriptions: readonly SubscriptionRequest[],
    done: (ok: boolean) => void,
  ): void;
  unsubscribeSession(
    clientId: string,
    epoch: number,
    filters: readonly string[],
    done: (ok: boolean) => void,
  ): void;
  addLive(subscription: LiveSubscription): void;
  removeLive(subscription: LiveSubscription): void;
  /** Other nodes hear in one message of what `change` adds and removes. */
  changeLive(change: () => void): void;
  /** Every node knows the live subscriptions added so far. */
  liveBarrier(done: () => void): void;
  /** Reads retained messages of the whole cluster; see {@link Reading}. */
  readRetained(filters: readonly string[], after: string, onReady: () => void): Reading;
  publishZero(message: Message): void;
  publish(message: Message, publisher: Publisher): void;
  /**
   * QoS 2 of a stored session. `done` with {@link Status}.Ok, Quota or NoSession, the last also when it is
   * not wanted any more.
   */
  receive(
    clientId: string,
    epoch: number,
    packetId: number,
    message: Message,
    wanted: () => boolean,
    done: (status: number) => void,
  ): void;
  /** `done` with {@link Status}.Ok, NotFound or NoSession. */
  releaseReceived(
    clientId: string,
    epoch: number,
    packetId: number,
    done: (status: number) => void,
  ): void;
  /** Acknowledgement of a queued message; batched per turn. `done` when it is committed. */
  settle(
    clientId: string,
    epoch: number,
    kind: AckKind,
    position: number,
    done: ((ok: boolean) => void) | null,
  ): void;
  /** The connection has its session. */
  opened(connection: Connection): void;
  /** The connection is gone. */
  gone(connection: Connection): void;
}
