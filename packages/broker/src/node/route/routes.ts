/**
 * Who wants what, on every node: filter → nodes with live sessions, shards with persistent ones.
 *
 * A node advertises the filters of its own clients; a shard's leader those of the shard, under a
 * version by which a receiver knows whether it has them already. A shard maps to its leader by its
 * view, so a failover advertises nothing when versions agree.
 */
import { LRUCache } from 'lru-cache';
import { hasWildcard, isShared } from '../../mqtt/topic.ts';
import { TopicTree } from '../../mqtt/topic-tree.ts';
import { shardOf } from '../../placement/hash.ts';
import type { FilterChange } from '../link/filter-change.ts';
import { type Group, Groups } from './groups.ts';

/** Where a message goes. Compared by identity: one object per destination. */
interface Destination {
  readonly node: string;
  readonly shard: number;
  /** Only QoS 0 messages: the session's QoS 1 and 2 come from its queue. */
  readonly zeroOnly: boolean;
  /** One member of it. */
  readonly group: Group | null;
}

/** The groups that want a message, by the shard that keeps it for them. */
export interface MatchedGroups {
  readonly shard: number;
  readonly keys: readonly string[];
}

export interface Matched {
  /** Nodes with live sessions that want any QoS. */
  readonly nodes: readonly string[];
  /** Nodes that want it at QoS 0 only. */
  readonly zeroNodes: readonly string[];
  readonly shards: readonly number[];
  readonly groups: readonly MatchedGroups[];
}

const NO_GROUPS: readonly MatchedGroups[] = [];

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
  readonly groups = new Groups();
  readonly #groups = new Map<string, Destination>();
  readonly #shardCount: () => number;

  constructor(shardCount: () => number = () => 1) {
    this.#shardCount = shardCount;
  }

  match(topic: string): Matched {
    const hit = this.#cache.get(topic);
    if (hit) return hit;
    const found = new Set<Destination>();
    this.#tree.match(topic, (d) => found.add(d));
    const nodes: string[] = [];
    const zeroNodes: string[] = [];
    const shards: number[] = [];
    let groups: Group[] | null = null;
    for (const d of found) {
      if (d.group) {
        groups ??= [];
        groups.push(d.group);
      } else if (d.shard >= 0) shards.push(d.shard);
      else if (!d.zeroOnly) nodes.push(d.node);
      else if (!found.has(this.#node(d.node, false))) zeroNodes.push(d.node);
    }
    const matched = { nodes, zeroNodes, shards, groups: this.#byShard(groups, topic) };
    this.#cache.set(topic, matched);
    return matched;
  }

  /** A group's messages of one topic are in one shard: so they come in order. */
  #byShard(groups: readonly Group[] | null, topic: string): readonly MatchedGroups[] {
    if (!groups) return NO_GROUPS;
    const shards = new Map<number, string[]>();
    for (const { key } of groups) {
      const shard = shardOf(`${key}\0${topic}`, this.#shardCount());
      const keys = shards.get(shard);
      if (keys) keys.push(key);
      else shards.set(shard, [key]);
    }
    return [...shards].map(([shard, keys]) => ({ shard, keys }));
  }

  #node(node: string, zeroOnly: boolean): Destination {
    const table = zeroOnly ? this.#zeroNodes : this.#nodes;
    let d = table.get(node);
    if (!d) {
      d = { node, shard: -1, zeroOnly, group: null };
      table.set(node, d);
    }
    return d;
  }

  #shard(shard: number): Destination {
    let d = this.#shards.get(shard);
    if (!d) {
      d = { node: '', shard, zeroOnly: false, group: null };
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
    if (added) filters.add(filter);
    else filters.delete(filter);
    // Only stored sessions of a group are known by its filter alone.
    if (isShared(filter)) this.#changeGroup(this.groups.changeShard(d.shard, filter, added));
    else this.#changeTree(d, filter, added);
  }

  /** A group has come into being, or ended: one destination, however many subscribe to it. */
  #changeGroup(group: Group | null): void {
    if (!group) return;
    const { key, filter, empty } = group;
    let d = this.#groups.get(key);
    if (empty) this.#groups.delete(key);
    else {
      d = { node: '', shard: -1, zeroOnly: false, group };
      this.#groups.set(key, d);
    }
    if (d) this.#changeTree(d, filter, !empty);
  }

  #changeTree(d: Destination, filter: string, added: boolean): void {
    if (added) this.#tree.add(filter, d);
    else this.#tree.remove(filter, d);
    this.size += added ? 1 : -1;
    // An exact filter concerns its own topic; a wildcard may concern any.
    if (!hasWildcard(filter)) this.#cache.delete(filter);
    else if (this.#cache.size > 0) this.#cache.clear();
  }

  changeNode(node: string, change: FilterChange): void {
    const { filter, zeroOnly, added, member } = change;
    if (member) this.#changeGroup(this.groups.changeMember(node, filter, member, added));
    else this.#change(this.#node(node, zeroOnly), filter, added);
  }

  changeShard(shard: number, filter: string, added: boolean): void {
    this.#change(this.#shard(shard), filter, added);
  }

  clearNode(node: string): void {
    for (const zeroOnly of [false, true]) {
      const d = this.#node(node, zeroOnly);
      for (const filter of [...(this.#nodeFilters.get(d) ?? [])]) this.#change(d, filter, false);
    }
    for (const member of [...this.groups.membersOf(node)])
      this.#changeGroup(this.groups.changeMember(node, member.group.key, member, false));
  }

  filtersOfNode(node: string): FilterChange[] {
    const out: FilterChange[] = [];
    for (const zeroOnly of [false, true]) {
      const d = this.#node(node, zeroOnly);
      for (const filter of this.#nodeFilters.get(d) ?? [])
        out.push({ filter, zeroOnly, added: true });
    }
    for (const member of this.groups.membersOf(node))
      out.push({ filter: member.group.key, zeroOnly: false, added: true, member });
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
