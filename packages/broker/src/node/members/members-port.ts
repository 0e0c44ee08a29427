/** What a node's belonging to its cluster needs of the rest of it: types only. */
import type { NodeEnv } from '../../ports.ts';

import type { CopyId } from '../../shard/view.ts';
import type { Peers } from '../link/peers.ts';
import type { Identity } from './identity.ts';
import type { LoadProblem } from './load-report.ts';

export interface LineagePort {
  readonly env: Pick<NodeEnv, 'store' | 'random' | 'fatal' | 'log'>;
  /** An operator goes on with what the only copies still hold. */
  readonly acceptLoss: boolean;
  readonly identity: Identity;
  readonly peers: Pick<Peers, 'to' | 'byName'>;
  readonly batch: MembersBatch;
  readonly shards: {
    readonly copies: readonly {
      readonly self: CopyId;
      readonly view: { readonly active: readonly CopyId[] };
    }[];
    /** The process ends: no copy says anything any more. */
    standStill(): void;
  };
}

export interface MembersBatch {
  put(key: Uint8Array, value: Uint8Array | null, sync: boolean): void;
  onDurable(fn: () => void): void;
}

export interface JoiningPort {
  readonly env: NodeEnv;
  readonly clock: { readonly aheadMs: number };
  readonly batch: MembersBatch;
  readonly views: { resize(shardCount: number): void };
  readonly membership: { place(shardCount: number): void };
  readonly lineage: { onLastRun(epoch?: number): boolean };
  readonly shards: {
    create(shardCount: number): void;
    load(done: (problem: LoadProblem | null) => void): void;
    found(): void;
  };
}
