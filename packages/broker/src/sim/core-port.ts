import type { ClusterSettings, GivenSettings } from '../cluster-settings.ts';
import type { ClientHandler, ClientSocket, MemberMeta, NodeEnv, Store } from '../ports.ts';
import type { ProcessNode } from '../process/process-port.ts';

/**
 * The core that the simulator runs, by shape: the broker's own `NodeCore`, or a test double with
 * planted bugs that the checkers must catch.
 */
export interface CoreUnderTest extends ProcessNode {
  boot(done: () => void): void;
  readonly joining: { onClusterId(id: string): void };
  readonly links: ProcessNode['links'] & {
    onLinkUp(peer: string, bootEpoch: number): void;
    onLinkDown(peer: string): void;
    onNoListener(peer: string, bootEpoch: number): void;
    onFrame(peer: string, frame: Uint8Array): void;
  };
  accept(socket: ClientSocket): ClientHandler;
  /** The cluster's id where the core knows it better than its identity: a founder's. */
  readonly clusterId?: string;
  inspect(): CoreInspection;
  /**
   * The cluster knows a later run of this node; absent where runs are not kept apart. The core writes the
   * epoch to take and ends the process.
   */
  readonly lineage?: { outlive(bootEpoch: number, ended: (why: Error) => void): void };
  /** No shard needs this node any more; absent where nodes cannot be removed. */
  readonly drained?: boolean;
}

/** What a core says of itself, for checkers. */
export interface CoreInspection {
  readonly shards: readonly ShardInspection[];
  /** Times that a copy stood for leader; absent where no copy does. */
  readonly elections?: number;
}

/** One copy of one shard. */
export interface ShardInspection {
  readonly shard: number;
  /** Counter of the view that this copy follows. */
  readonly view: number;
  /** Name of the leader of that view. */
  readonly leader: string;
  readonly role: string;
  /** Names of the voters, and of those before them while they change; absent where all nodes vote. */
  readonly voters?: readonly string[];
  readonly oldVoters?: readonly string[];
  /** Names of the members that must persist an entry before it counts. */
  readonly active: readonly string[];
  /** Copies that placement wants, as this node sees it. */
  readonly wanted?: number;
  /** False while the copy is being rebuilt and counts for nothing. */
  readonly valid: boolean;
  readonly commitIndex: number;
  readonly endIndex: number;
  /** Hash of the session state after `endIndex`; equal on all copies that hold the same entries. */
  readonly stateHash: string | number;
}

/** The identity record of a data folder. */
export interface CoreIdentity {
  readonly name: string;
  readonly storeId: string;
  readonly bootEpoch: number;
  readonly clusterId: string;
  readonly shardCount: number;
  readonly settings: ClusterSettings | null;
  readonly clockAheadMs: number;
  /** Boot epoch that the folder held before. */
  readonly heldEpoch?: number;
  readonly fresh: boolean;
}

/** {@link NodeEnv} with the hook by which the core reports protocol phases. */
export interface SimNodeEnv extends NodeEnv {
  trace(phase: string, fields?: Record<string, unknown>): void;
}

export interface ReplicationOptions {
  /** Entries between two checkpoints of a shard. */
  readonly checkpointEvery: number;
  /** Entries kept below a checkpoint for copies that return. */
  readonly tailKeep: number;
}

export interface CoreOptions {
  readonly identity: CoreIdentity;
  readonly found: boolean;
  readonly shardCount: number;
  readonly replicas: number;
  readonly durability: 'disk' | 'memory';
  /** Which of them an operator gave in words. */
  readonly given: GivenSettings;
  /** Why the folder cannot be believed, found before its store was opened. */
  readonly damage: string | null;
  /** Boot epoch of the folder's last run, by what is kept beside its store; 0 for none. */
  readonly lastRun: number;
  readonly meta: MemberMeta;
  readonly clusterAddress: string;
  /** Small, so that a run of seconds sees checkpoints, replays and snapshots. */
  readonly replication: ReplicationOptions;
}

/** Makes cores: the only thing in the simulator that knows which broker it runs. */
export interface CoreFactory {
  loadIdentity(
    store: Store,
    want: { name: string; wallMs: number; random: () => number },
    done: (result: CoreIdentity | { error: string; message: string }) => void,
  ): void;
  create(env: SimNodeEnv, options: CoreOptions): CoreUnderTest;
}
