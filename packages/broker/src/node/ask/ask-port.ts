/** What answers to questions are made of: types only. */
import type { ClusterSettings, SettingDrift } from '../../cluster-settings.ts';
import type { Session } from '../../session/session.ts';
import type { ShardState } from '../../session/shard-state.ts';
import type { Replica } from '../../shard/replica.ts';
import type { CopyId } from '../../shard/view.ts';
import type { ConnectionAddress, Taker } from '../link/delivery-codec.ts';
import type { Peers } from '../link/peers.ts';
import type { Membership } from '../members/membership.ts';
import type { Groups } from '../route/groups.ts';

export interface AskPort {
  readonly name: string;
  readonly shardCount: number;
  readonly cluster: ClusterSettings;
  readonly drift: readonly SettingDrift[];
  readonly membership: Membership;
  readonly peers: Pick<Peers, 'to'>;
  readonly routes: { readonly groups: Pick<Groups, 'get'> };
  readonly shards: {
    /** Those led here. */
    readonly led: ReadonlySet<Replica>;
    /** By shard. */
    readonly leaders: readonly AskedLeader[];
  };
  readonly clients: {
    readonly connections: ReadonlyMap<number, { readonly socket: { readonly remote: string } }>;
  };
  readonly connections: {
    kick(to: ConnectionAddress, reasonCode: number, by: Taker | null): void;
  };
  nowMs(): number;
}

export interface AskedLeader {
  readonly shard: number;
  readonly serving: boolean;
  readonly state: ShardState;
  readonly replica: Replica;
  /** First position never sent on the present connection, −1 when it is not known here. */
  readonly delivering: { sentUpto(s: Session): number };
}

/** A node as tests and the simulator look at it. */
export interface InspectedNode {
  readonly name: string;
  readonly ready: boolean;
  /** Requests of this node that no leader has answered. */
  readonly unanswered: number;
  readonly counters: { readonly elections: number };
  readonly clients: { readonly connections: ReadonlyMap<number, unknown> };
  readonly shards: {
    /** By shard. */
    readonly copies: readonly Replica[];
    readonly leaders: readonly { readonly state: ShardState }[];
    targets(shard: number): readonly CopyId[];
  };
}
