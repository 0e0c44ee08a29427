/** What the parts of a node ask of each other: types only, so that none imports another's whole. */
import type { Limits } from '../config-schema.ts';
import type { Counters } from '../counters.ts';
import type { Log, Store } from '../ports.ts';
import type { Message, Rx2Id } from '../session/operation.ts';
import type { Replica } from '../shard/replica.ts';
import type { Reading } from './route/retained-reading.ts';
import type { Routes } from './route/routes.ts';
import type { WatchedTopics } from './route/topic-watch.ts';
import type { Work } from './work.ts';

/** A connection that has taken a session over, for the log. */
export interface Taker {
  readonly node: string;
  readonly connection: number;
}

/** A client's connection, wherever it is; numbers start anew with every process. */
export interface ConnectionAddress {
  readonly node: string;
  readonly bootEpoch: number;
  readonly connection: number;
}

/** A queued message on its way from the leader to the connection. */
export interface Delivery {
  readonly to: ConnectionAddress;
  readonly position: number;
  readonly qos: 1 | 2;
  readonly dup: boolean;
  readonly retain: boolean;
  /** Of a retained message, for a SUBSCRIBE. */
  readonly copy: boolean;
  readonly identifiers: readonly number[];
  readonly message: Message;
}

/** A retained message on its way to a client, at QoS 0. */
export interface RetainedCopy {
  readonly message: Message;
  readonly identifiers: readonly number[];
}

/** Retained messages at QoS 0 of a persistent session, from its leader to the connection. */
export interface RetainedZero {
  /** Grows from batch to batch; what is sent again has the same. */
  readonly token: number;
  readonly items: readonly RetainedCopy[];
  /** Nothing more is being read for this session. */
  readonly last: boolean;
}

/** What a shard's leader needs of its node. */
export interface LeaderContext {
  readonly name: string;
  readonly bootEpoch: number;
  readonly limits: Limits;
  readonly counters: Counters;
  readonly log: Log;
  readonly store: Store;
  readonly routes: Routes;
  readonly work: Work;
  readonly watched: WatchedTopics;
  nowMs(): number;
  wallMs(): number;
  hlc(): number;
  /** How long a Will waits for a client that may have said DISCONNECT, or reconnects elsewhere. */
  readonly willNodeGraceMs: number;
  /** The node's clock goes on after this. */
  observeHlc(hlc: number): void;
  trace(phase: string, fields?: Record<string, unknown>): void;
  /**
   * Runs `done` once no other leader can have answered differently: the leader lease holds.
   * @returns false if too much waits for that: it is to be asked again
   */
  confirm(replica: Replica, done: () => void): boolean;
  /** Runs `done` when every node routes by what was announced so far, or may not route at all. */
  barrier(sinceMs: number, done: () => void): void;
  announceShardRoutes(
    shard: number,
    from: string,
    to: string,
    changes: readonly (readonly [filter: string, added: boolean])[],
  ): void;
  /** Sends a message to all that match; `done` when all have it for good, or all refused it. */
  route(message: Message, rx2: Rx2Id | null, done: (refused: boolean) => void): void;
  /** Reads retained messages of the whole cluster; see {@link Reading}. */
  readRetained(filters: readonly string[], after: string, onReady: () => void): Reading;
  /** Sends a batch to the connection; lost if it cannot be reached: its gateway attaches anew. */
  sendRetained(to: ConnectionAddress, batch: RetainedZero): void;
  /** So much waits to be sent to the node that deliveries should wait: {@link Delivering.onDrained} follows. */
  full(node: string): boolean;
  /** @returns false if the gateway cannot be reached now */
  deliver(delivery: Delivery): boolean;
  /** PUBREL for a position whose PUBREC is committed. */
  release(to: ConnectionAddress, position: number): boolean;
  /**
   * @param by the connection that takes the session over, if that is why
   * @param yields the session is still that connection's: its node is to send CLOSE
   */
  kick(to: ConnectionAddress, reasonCode: number, by: Taker | null, yields?: boolean): void;
  /** The process that holds the connection has ended or left. */
  gatewayGone(gateway: string, bootEpoch: number): boolean;
}
