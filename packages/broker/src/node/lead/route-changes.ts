/** Changes of a shard's routes, from the entry that makes them to its commit: then all nodes hear. */
import type { LeadPort } from './lead-port.ts';

interface RouteChange {
  readonly index: number;
  readonly filter: string;
  readonly added: boolean;
  readonly version: string;
}

export class RouteChanges {
  readonly #shard: number;
  readonly #node: LeadPort;
  #changes: RouteChange[] = [];

  constructor(shard: number, node: LeadPort) {
    this.#shard = shard;
    this.#node = node;
  }

  add(change: RouteChange): void {
    this.#changes.push(change);
  }

  clear(): void {
    this.#changes = [];
  }

  /** What is committed is announced, as one. */
  committed(commit: number): void {
    const changes = this.#changes;
    if (changes.length === 0) return;
    let n = 0;
    while (n < changes.length && changes[n]!.index <= commit) n++;
    if (n === 0) return;
    const { routes } = this.#node;
    const from = routes.shardVersion(this.#shard);
    const due = changes.splice(0, n);
    for (const { filter, added } of due) routes.changeShard(this.#shard, filter, added);
    const to = due[n - 1]!.version;
    routes.setShardVersion(this.#shard, to);
    const told = due.map(({ filter, added }) => [filter, added] as const);
    this.#node.announcing.announceShardRoutes(this.#shard, from, to, told);
  }
}
