/** What clients' connections need of their node: types only. */
import type { Gate } from '../../access/gate.ts';
import type { Limits, Timings } from '../../config-schema.ts';
import type { Counters } from '../../counters.ts';
import type { NodeEnv } from '../../ports.ts';
import type { Message, Rx2Id } from '../../session/message.ts';
import type { MissedMessages } from '../link/missed-messages.ts';
import type { Reply, Request } from '../link/request.ts';
import type { LiveConnection, LiveSubscription, Publisher } from '../route/client-port.ts';
import type { Reading } from '../route/retained-reading.ts';
import type { WatchedTopics } from '../route/topic-watch.ts';
import type { Work } from '../work.ts';
import type { ServerOptions } from './server-options.ts';

export interface SessionPort {
  readonly name: string;
  readonly bootEpoch: number;
  readonly shardCount: number;
  readonly limits: Limits;
  /** For connections whose listener says nothing else. */
  readonly serverOptions: ServerOptions;
  readonly timings: Pick<Timings, 'connectTimeoutMs' | 'willNodeGraceMs' | 'slowReaderMs'>;
  readonly counters: Counters;
  /** Who may come in; absent where nobody asks. */
  readonly gate?: Gate | undefined;
  readonly env: Pick<
    NodeEnv,
    'nowMs' | 'wallMs' | 'random' | 'scheduleFlush' | 'passwords' | 'log' | 'trace'
  >;
  readonly calm: { stir(): void };
  readonly clock: { next(): number };
  readonly work: Work;
  readonly watched: WatchedTopics;
  /** The node serves clients. */
  readonly ready: boolean;
  readonly router: ClientRouter;
  readonly sys: {
    /** @param change of the number of subscriptions to topics of `$SYS` on this node */
    count(change: number): void;
  };
  readonly live: LiveSubscriptions;
  readonly views: { leader(shard: number): string };
  readonly queries: {
    /** Reads retained messages of the whole cluster; see {@link Reading}. */
    read(filters: readonly string[], after: string, onReady: () => void): Reading;
  };
  readonly draining: {
    /** The node is being removed: clients should go elsewhere. */
    readonly leaving: boolean;
    /** Addresses of other nodes for clients, another one first each time; '' for none. */
    serverReference(): string;
  };
  /** Runs `done` when every node knows the live subscriptions added so far. */
  liveBarrier(done: () => void): void;
  /** Asks another node for the address of a connection's client; undefined if there is no answer. */
  remoteOf(node: string, connection: number, done: (remote: string | undefined) => void): void;
}

/** The way of clients' messages, and of requests to the shards of their sessions. */
export interface ClientRouter {
  publishZero(message: Message): void;
  publish(message: Message, rx2: Rx2Id | null, publisher: Publisher): void;
  /** Runs `run` under the route grants, in the order of the calls. */
  whenRoutable(run: () => void): void;
  channel(shard: number): { send(request: Request, done: (reply: Reply) => void): void };
}

/** Subscriptions of the node's own connections. */
export interface LiveSubscriptions {
  add(subscription: LiveSubscription): void;
  remove(subscription: LiveSubscription): void;
  /** Other nodes hear in one message of what `change` adds and removes. */
  batch(change: () => void): void;
  /** Connections that were owed one of the messages. */
  thatMiss(missed: MissedMessages): Set<LiveConnection>;
}
