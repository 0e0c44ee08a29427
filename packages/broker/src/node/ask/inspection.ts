/** A node's insides as plain data, for tests and the simulator. */
import { crc32c } from '../../bytes.ts';
import type { Replica } from '../../shard/replica.ts';
import { nameOf, type View } from '../../shard/view.ts';
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

/** Lists and checksums are made when they are read, so that looking at the rest costs little. */
class InspectedShard implements ShardInspection {
  readonly shard: number;
  readonly view: number;
  readonly leader: string;
  readonly role: ShardInspection['role'];
  readonly commitIndex: number;
  readonly endIndex: number;
  readonly valid: boolean;
  readonly #node: InspectedNode;
  readonly #view: View;

  constructor(node: InspectedNode, copy: Replica) {
    const { view, log } = copy;
    this.shard = copy.shard;
    this.view = view.number.counter;
    this.leader = nameOf(view.number.leader);
    this.role = copy.role;
    this.commitIndex = copy.commit;
    this.endIndex = log.end;
    this.valid = copy.valid && !copy.loading;
    this.#node = node;
    this.#view = view;
  }

  get voters(): readonly string[] {
    return this.#view.voters.map(nameOf);
  }

  get oldVoters(): readonly string[] {
    return this.#view.oldVoters.map(nameOf);
  }

  get active(): readonly string[] {
    return this.#view.active.map(nameOf);
  }

  get wanted(): number {
    return this.#node.shards.targets(this.shard).length;
  }

  get stateHash(): number {
    return crc32c(this.#node.shards.leaders[this.shard]!.state.encode());
  }
}

export function inspect(node: InspectedNode): NodeInspection {
  let sessions = 0;
  const shards = node.shards.copies.map((copy) => {
    if (copy.role === 'leader') sessions += node.shards.leaders[copy.shard]!.state.sessions.size;
    return new InspectedShard(node, copy);
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
