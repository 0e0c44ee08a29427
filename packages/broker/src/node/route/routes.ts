/**
 * Who wants what, on every node: filter → nodes with live sessions, shards with persistent ones.
 *
 * A node advertises the filters of its own clients; a shard's leader those of the shard, under a
 * version by which a receiver knows whether it has them already. A shard maps to its leader by its
 * view, so a failover advertises nothing when versions agree.
 */
import { LRUCache } from 'lru-cache';
import { hasWildcard } from '../../mqtt/topic.ts';
import { TopicTree } from '../../mqtt/topic-tree.ts';
import type { FilterChange } from '../link/filter-change.ts';

/** Where a message goes. Compared by identity: one object per destination. */
interface Destination {
  readonly node: string;
  readonly shard: number;
  /** Only QoS 0 messages: the session's QoS 1 and 2 come from its queue. */
  readonly zeroOnly: boolean;
}

export interface Matched {
  /** Nodes with live sessions that want any QoS. */
  readonly nodes: readonly string[];
  /** Nodes that want it at QoS 0 only. */
  readonly zeroNodes: readonly string[];
  readonly shards: readonly number[];
}

const CACHE_TOPICS = 10_000;

export class Routes {
  readonly #tree = new TopicTree<Destination>();
  readonly #nodes = new Map<string, Destination>();
  readonly #zeroNodes = new Map<string, Destination>();
  readonly #shards = new Map<number, Destination>();
  readonly #nodeFilters = new Map<Destination, Set<string>>();
  readonly #shardVersions = new Map<number, string>();
  readonly #cache = new LRUCache<string, Matched>({ max: CACHE_TOPICS });
  size = 0;

  match(topic: string): Matched {
    const hit = this.#cache.get(topic);
    if (hit) return hit;
    const found = new Set<Destination>();
    this.#tree.match(topic, (d) => found.add(d));
    const nodes: string[] = [];
    const zeroNodes: string[] = [];
    const shards: number[] = [];
    for (const d of found) {
      if (d.shard >= 0) shards.push(d.shard);
      else if (!d.zeroOnly) nodes.push(d.node);
      else if (!found.has(this.#node(d.node, false))) zeroNodes.push(d.node);
    }
    const matched = { nodes, zeroNodes, shards };
    this.#cache.set(topic, matched);
    return matched;
  }

  #node(node: string, zeroOnly: boolean): Destination {
    const table = zeroOnly ? this.#zeroNodes : this.#nodes;
    let d = table.get(node);
    if (!d) {
      d = { node, shard: -1, zeroOnly };
      table.set(node, d);
    }
    return d;
  }

  #shard(shard: number): Destination {
    let d = this.#shards.get(shard);
    if (!d) {
      d = { node: '', shard, zeroOnly: false };
      this.#shards.set(shard, d);
    }
    return d;
  }

  #change(d: Destination, filter: string, added: boolean): void {
    let filters = this.#nodeFilters.get(d);
    if (!filters) {
      filters = new Set();
      this.#nodeFilters.set(d, filters);
    }
    if (added === filters.has(filter)) return;
    if (added) {
      filters.add(filter);
      this.#tree.add(filter, d);
      this.size++;
    } else {
      filters.delete(filter);
      this.#tree.remove(filter, d);
      this.size--;
    }
    // An exact filter concerns its own topic; a wildcard may concern any.
    if (!hasWildcard(filter)) this.#cache.delete(filter);
    else if (this.#cache.size > 0) this.#cache.clear();
  }

  changeNode(node: string, change: FilterChange): void {
    this.#change(this.#node(node, change.zeroOnly), change.filter, change.added);
  }

  changeShard(shard: number, filter: string, added: boolean): void {
    this.#change(this.#shard(shard), filter, added);
  }

  clearNode(node: string): void {
    for (const zeroOnly of [false, true]) {
      const d = this.#node(node, zeroOnly);
      for (const filter of [...(this.#nodeFilters.get(d) ?? [])]) this.#change(d, filter, false);
    }
  }

  filtersOfNode(node: string): FilterChange[] {
    const out: FilterChange[] = [];
    for (const zeroOnly of [false, true]) {
      const d = this.#node(node, zeroOnly);
      for (const filter of this.#nodeFilters.get(d) ?? [])
        out.push({ filter, zeroOnly, added: true });
    }
    return out;
  }

  filtersOfShard(shard: number): string[] {
    return [...(this.#nodeFilters.get(this.#shard(shard)) ?? [])];
  }

  shardVersion(shard: number): string {
    return this.#shardVersions.get(shard) ?? '0';
  }

  /** Shards whose routes have come once, if only to say that there are none. */
  get shardsKnown(): number {
    return this.#shardVersions.size;
  }

  setShardVersion(shard: number, version: string): void {
    this.#shardVersions.set(shard, version);
  }

  /** Replaces a shard's whole set. */
  setShard(shard: number, version: string, filters: Iterable<string>): void {
    const d = this.#shard(shard);
    const wanted = new Set(filters);
    for (const filter of [...(this.#nodeFilters.get(d) ?? [])])
      if (!wanted.has(filter)) this.#change(d, filter, false);
    for (const filter of wanted) this.#change(d, filter, true);
    this.#shardVersions.set(shard, version);
  }
}
