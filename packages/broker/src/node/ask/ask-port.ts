/** What answers to questions are made of: types only. */
import type { ClusterSettings, SettingDrift } from '../../cluster-settings.ts';
import type { ClientSocket } from '../../ports.ts';
import type { Session } from '../../session/session.ts';
import type { ShardState } from '../../session/shard-state.ts';
import type { Replica } from '../../shard/replica.ts';
import type { CopyId } from '../../shard/view.ts';
import type { LastErrors } from '../client/last-errors.ts';
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
    readonly connections: ReadonlyMap<number, AskedConnection>;
    readonly log: { readonly lastErrors: Pick<LastErrors, 'get'> };
  };
  readonly connections: {
    kick(to: ConnectionAddress, reasonCode: number, by: Taker | null): void;
  };
  nowMs(): number;
}

/** A connection of this node, as people are told of it. */
export interface AskedConnection {
  readonly socket: Pick<ClientSocket, 'remote' | 'rules' | 'certificate' | 'pendingBytes'>;
  readonly isOpen: boolean;
  readonly clientId: string;
  readonly version: number;
  readonly persistent: boolean;
  readonly connectedMs: number;
  readonly keepAliveMs: number;
  readonly receiveMaximum: number;
  readonly expirySeconds: number;
  readonly packetsReceived: number;
  readonly bytesReceived: number;
  readonly packetsSent: number;
  readonly bytesSent: number;
  readonly out: {
    readonly inFlight: { readonly size: number };
    readonly waitingCount: number;
    readonly held: { readonly length: number };
  } | null;
  readonly unacknowledged: number;
  readonly subscriptions: { readonly size: number } | null;
  readonly lastErrorCode: number;
  readonly lastErrorMs: number;
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
