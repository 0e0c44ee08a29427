/** What the leaders of shards need of their node: types only. */
import type { Limits } from '../../config-schema.ts';
import type { Counters } from '../../counters.ts';
import type { NodeEnv } from '../../ports.ts';
import type { Message, Rx2Id } from '../../session/message.ts';
import type { Replica } from '../../shard/replica.ts';
import type { ConnectionAddress, Delivery, RetainedZero, Taker } from '../link/delivery-codec.ts';
import type { Reply, Request } from '../link/request.ts';
import type { Publisher } from '../route/client-port.ts';
import type { Reading } from '../route/retained-reading.ts';
import type { WatchedTopics } from '../route/topic-watch.ts';
import type { Task } from '../work.ts';
import type { Giving } from './giving.ts';

export interface LeadPort {
  readonly shardCount: number;
  readonly limits: Limits;
  readonly counters: Counters;
  readonly env: Pick<NodeEnv, 'nowMs' | 'wallMs' | 'store' | 'log' | 'trace'>;
  readonly clock: { next(): number; observe(hlc: number): void };
  /** How long a Will waits for a client that may have said DISCONNECT, or reconnects elsewhere. */
  readonly willNodeGraceMs: number;
  readonly watched: WatchedTopics;
  /** The process that holds the connection has ended or left. */
  gatewayGone(gateway: string, bootEpoch: number): boolean;
  readonly work: { start(task: Task): void };
  readonly routes: ShardRoutes;
  readonly leases: LeaderLeases;
  readonly grants: RouteBarrier;
  readonly giving: Giving;
  readonly announcing: RouteAnnouncing;
  readonly router: {
    /** Sends a message to all that match. */
    publish(message: Message, rx2: Rx2Id | null, publisher: Publisher): void;
    channel(shard: number): { send(request: Request, done: (reply: Reply) => void): void };
  };
  readonly queries: {
    /** Reads retained messages of the whole cluster; see {@link Reading}. */
    read(filters: readonly string[], after: string, onReady: () => void): Reading;
  };
  readonly peers: {
    /** So much waits to be sent to the node that deliveries should wait: `Delivering.onDrained` follows. */
    full(node: string): boolean;
  };
  readonly connections: RemoteConnections;
}

/** The node's routes, of shards. */
export interface ShardRoutes {
  setShard(shard: number, version: string, filters: Iterable<string>): void;
  changeShard(shard: number, filter: string, added: boolean): void;
  shardVersion(shard: number): string;
  setShardVersion(shard: number, version: string): void;
}

export interface LeaderLeases {
  /**
   * Runs `done` once no other leader can have answered differently: the leader lease holds.
   *
   * @returns false if too much waits for that: it is to be asked again
   */
  confirm(replica: Replica, nowMs: number, done: () => void): boolean;
}

export interface RouteBarrier {
  /** Runs `done` when every node routes by what was announced so far, or may not route at all. */
  barrier(nowMs: number, done: () => void): void;
  /** What this node knows of subscriptions is complete. */
  routable(nowMs: number): boolean;
}

export interface RouteAnnouncing {
  announceShardRoutes(
    shard: number,
    from: string,
    to: string,
    changes: readonly (readonly [filter: string, added: boolean])[],
  ): void;
}

/** Connections of clients, on this node and others. */
export interface RemoteConnections {
  /** @returns false if the gateway cannot be reached now */
  deliver(delivery: Delivery): boolean;
  /** Sends a batch to the connection; lost if it cannot be reached: its gateway attaches anew. */
  sendRetained(to: ConnectionAddress, batch: RetainedZero): void;
  /** PUBREL for a position whose PUBREC is committed. */
  pubrel(to: ConnectionAddress, position: number): boolean;
  /**
   * @param by the connection that takes the session over, if that is why
   * @param yields the session is still that connection's: its node is to send CLOSE
   */
  kick(to: ConnectionAddress, reasonCode: number, by: Taker | null, yields?: boolean): void;
}
