/** What routing needs of its node: types only. */
import type { Counters } from '../../counters.ts';
import type { NodeEnv } from '../../ports.ts';
import type { Message } from '../../session/message.ts';
import type { Origin } from '../../session/operation.ts';
import type { ShardState } from '../../session/shard-state.ts';
import type { Replica } from '../../shard/replica.ts';
import type { MissedMessages } from '../link/missed-messages.ts';
import type { Peers } from '../link/peers.ts';
import type { Reply, Request } from '../link/request.ts';
import type { Views } from '../link/views.ts';
import type { Live } from './live.ts';
import type { MatchedGroups, Routes } from './routes.ts';

export interface RoutePort {
  readonly name: string;
  readonly bootEpoch: number;
  readonly shardCount: number;
  readonly counters: Pick<Counters, 'messagesDropped'>;
  readonly env: Pick<NodeEnv, 'nowMs' | 'log' | 'resetLink'>;
  readonly clock: { next(): number; ageMs(hlc: number): number };
  readonly routes: Routes;
  readonly live: Live;
  readonly grants: { routable(nowMs: number): boolean };
  readonly views: Views;
  readonly peers: Pick<Peers, 'get' | 'to' | 'later' | 'full' | 'crowded' | 'moves'>;
  /** By shard, this node's part that leads it; {@link LeaderHere.serving} says whether it does now. */
  readonly leaders: readonly LeaderHere[];
  /** One member of each group with a connection gets the message, at QoS 0. */
  zeroToGroups(groups: readonly MatchedGroups[], message: Message): void;
  /** Ends live connections that miss something. @param from the node that did not send it */
  endMissed(missed: MissedMessages, from: string): void;
}

/** This node's leader of one shard. */
export interface LeaderHere {
  readonly shard: number;
  readonly serving: boolean;
  readonly state: ShardState;
  readonly replica: Replica;
  /** One request of a node; `prev` is the one it sent before to this leader, 0 for none. */
  handle(origin: Origin, prev: number, request: Request, respond: (reply: Reply) => void): void;
}
