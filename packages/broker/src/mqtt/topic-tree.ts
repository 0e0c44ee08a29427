/**
 * Which subscriptions match a topic.
 *
 * Exact filters live in one Map, since most subscriptions have no wildcard and a Map costs a fifth
 * of a trie for them. Filters with wildcards live in a trie of levels:
 *
 *     sport/+/score     root ─ sport ─ + ─ score•
 *     sport/#                    └ #•
 *
 * A node keeps an only child and an only subscriber bare; Maps and lists start from two. Depth is
 * bounded by TOPIC_LEVELS_MAX, which the validity check of filters and topics enforces.
 */
import { hasWildcard } from './topic.ts';
import {
  ABSENT,
  type Subscribers,
  visitSubscribers,
  withoutSubscriber,
  withSubscriber,
} from './topic-subscribers.ts';
import { descend, prune, TrieNode, visitAll } from './topic-trie.ts';

/** What matching has cost so far, of all trees: levels of filters looked at. */
export const matching = { steps: 0 };

/**
 * Subscriptions by Topic Filter. A value (compared by identity) is subscribed to a filter once.
 *
 * Filters must be valid ({@link isTopicFilter}); `$share/` prefixes are the caller's to strip.
 * Iteration follows insertion: one history, one order. Neither tree may change during a visit.
 */
export class TopicTree<V extends NonNullable<unknown>> {
  readonly #exact = new Map<string, Subscribers<V>>();
  readonly #root = new TrieNode<Subscribers<V>>('');
  #wildcards = 0;
  #subscriptions = 0;

  /** Subscriptions held: (filter, value) pairs. */
  get size(): number {
    return this.#subscriptions;
  }

  /** Filters with a wildcard: what a match costs beyond one Map lookup. */
  get wildcardFilters(): number {
    return this.#wildcards;
  }

  /** Adds a subscription. @returns false if it was there already */
  add(filter: string, value: V): boolean {
    if (!hasWildcard(filter)) {
      const held = withSubscriber(this.#exact.get(filter), value);
      if (held === undefined) return false;
      this.#exact.set(filter, held);
    } else {
      const node = descend(this.#root, filter, true)!;
      const held = withSubscriber(node.held, value);
      if (held === undefined) return false;
      if (node.held === undefined) this.#wildcards++;
      node.held = held;
      node.key = filter;
    }
    this.#subscriptions++;
    return true;
  }

  /** Removes a subscription. @returns false if there was none */
  remove(filter: string, value: V): boolean {
    if (!hasWildcard(filter)) {
      const held = withoutSubscriber(this.#exact.get(filter), value);
      if (held === ABSENT) return false;
      if (held === undefined) this.#exact.delete(filter);
      else this.#exact.set(filter, held);
    } else {
      const node = descend(this.#root, filter, false);
      const held = withoutSubscriber(node?.held, value);
      if (node === undefined || held === ABSENT) return false;
      node.held = held;
      if (held === undefined) {
        this.#wildcards--;
        node.key = undefined;
        prune(this.#root, filter);
      }
    }
    this.#subscriptions--;
    return true;
  }

  /** Whether a subscription has exactly this filter. */
  has(filter: string): boolean {
    if (!hasWildcard(filter)) return this.#exact.has(filter);
    return descend(this.#root, filter, false)?.held !== undefined;
  }

  /**
   * Visits every subscription whose filter matches `topic`. A value subscribed through several
   * matching filters is visited once for each.
   */
  match(topic: string, visit: (value: V, filter: string) => void): void {
    const held = this.#exact.get(topic);
    if (held !== undefined) visitSubscribers(held, topic, visit);
    if (this.#wildcards > 0) this.#matchBelow(this.#root, topic.split('/'), 0, visit);
  }

  #matchBelow(
    node: TrieNode<Subscribers<V>>,
    levels: readonly string[],
    depth: number,
    visit: (value: V, filter: string) => void,
  ): void {
    const { children } = node;
    matching.steps++;
    if (children === undefined) {
      if (depth === levels.length) this.#visitNode(node, visit);
      return;
    }
    // [MQTT-4.7.2-1]: a leading wildcard does not match a topic that begins with $.
    const wild = depth > 0 || levels[0]!.charCodeAt(0) !== 36;
    // `#` also matches its parent (§4.7.1.2), hence at every depth.
    if (wild) this.#visitNode(node.child('#'), visit);
    if (depth === levels.length) {
      this.#visitNode(node, visit);
      return;
    }
    const level = levels[depth]!;
    const exact = node.child(level);
    if (exact !== undefined) this.#matchBelow(exact, levels, depth + 1, visit);
    const plus = wild ? node.child('+') : undefined;
    if (plus !== undefined) this.#matchBelow(plus, levels, depth + 1, visit);
  }

  #visitNode(
    node: TrieNode<Subscribers<V>> | undefined,
    visit: (value: V, filter: string) => void,
  ): void {
    if (node?.held !== undefined) visitSubscribers(node.held, node.key!, visit);
  }

  /** Every filter that has a subscription, exact ones first. */
  *filters(): IterableIterator<string> {
    yield* this.#exact.keys();
    const found: string[] = [];
    visitAll(this.#root, (node) => found.push(node.key!));
    yield* found;
  }

  clear(): void {
    this.#exact.clear();
    this.#root.children = undefined;
    this.#wildcards = 0;
    this.#subscriptions = 0;
  }
}
