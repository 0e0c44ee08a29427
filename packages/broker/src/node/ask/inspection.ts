/** A node's insides as plain data, for tests and the simulator. */
import { crc32c } from '../../bytes.ts';
import { nameOf } from '../../shard/view.ts';
import type { InspectedNode } from './ask-port.ts';

export interface ShardInspection {
  readonly shard: number;
  readonly view: number;
  readonly leader: string;
  readonly role: 'follower' | 'candidate' | 'leader';
  readonly voters: readonly string[];
  readonly oldVoters: readonly string[];
  readonly active: readonly string[];
  /** Copies that placement wants, as this node sees it. */
  readonly wanted: number;
  readonly commitIndex: number;
  readonly endIndex: number;
  readonly valid: boolean;
  /** Checksum of the state after `endIndex`; equal logs give equal ones. */
  readonly stateHash: number;
}

export interface NodeInspection {
  readonly name: string;
  readonly ready: boolean;
  readonly shards: readonly ShardInspection[];
  readonly elections: number;
  readonly sessions: number;
  readonly connections: number;
  readonly unanswered: number;
}

export function inspect(node: InspectedNode): NodeInspection {
  let sessions = 0;
  const shards = node.shards.copies.map((copy): ShardInspection => {
    const { view, log } = copy;
    const { state } = node.shards.leaders[copy.shard]!;
    if (copy.role === 'leader') sessions += state.sessions.size;
    return {
      shard: copy.shard,
      view: view.number.counter,
      leader: nameOf(view.number.leader),
      role: copy.role,
      voters: view.voters.map(nameOf),
      oldVoters: view.oldVoters.map(nameOf),
      active: view.active.map(nameOf),
      wanted: node.shards.targets(copy.shard).length,
      commitIndex: copy.commit,
      endIndex: log.end,
      valid: copy.valid && !copy.loading,
      get stateHash() {
        return crc32c(state.encode());
      },
    };
  });
  return {
    name: node.name,
    ready: node.ready,
    shards,
    elections: node.counters.elections,
    sessions,
    connections: node.clients.connections.size,
    unanswered: node.unanswered,
  };
}
