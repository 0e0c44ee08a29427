/**
 * Which subscriptions match a topic, and which topics match a filter.
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

/** From how many on a filter's subscribers are a Set: removal from a list is linear. */
const LIST_MAX = 8;

/** Two to {@link LIST_MAX} subscribers of one filter; its own class, to be told from one bare. */
class SubscriberList<V> {
  readonly items: V[];
  constructor(first: V, second: V) {
    this.items = [first, second];
  }
}

class SubscriberSet<V> extends Set<V> {}

/** Subscribers of one filter, in the order in which they came. */
type Subscribers<V> = V | SubscriberList<V> | SubscriberSet<V>;

/** Adds `value`; returns the container to store instead, or undefined if it was in already. */
function withSubscriber<V>(held: Subscribers<V> | undefined, value: V): Subscribers<V> | undefined {
  if (held === undefined) return value;
  if (held instanceof SubscriberSet) {
    if (held.has(value)) return undefined;
    return held.add(value);
  }
  if (held instanceof SubscriberList) {
    if (held.items.includes(value)) return undefined;
    held.items.push(value);
    return held.items.length > LIST_MAX ? new SubscriberSet(held.items) : held;
  }
  return held === value ? undefined : new SubscriberList(held, value);
}

/** What {@link withoutSubscriber} returns when the value was not in. */
const ABSENT = Symbol('absent');

/** Removes `value`; returns the container to store instead, undefined if nobody is left. */
function withoutSubscriber<V>(
  held: Subscribers<V> | undefined,
  value: V,
): Subscribers<V> | undefined | typeof ABSENT {
  if (held === undefined) return ABSENT;
  if (held instanceof SubscriberSet) {
    if (!held.delete(value)) return ABSENT;
    if (held.size > 1) return held;
    return held.values().next().value;
  }
  if (held instanceof SubscriberList) {
    const at = held.items.indexOf(value);
    if (at < 0) return ABSENT;
    held.items.splice(at, 1);
    return held.items.length > 1 ? held : held.items[0];
  }
  return held === value ? undefined : ABSENT;
}

function visitSubscribers<V>(
  held: Subscribers<V>,
  filter: string,
  visit: (value: V, filter: string) => void,
): void {
  if (held instanceof SubscriberList) {
    for (const value of held.items) visit(value, filter);
  } else if (held instanceof SubscriberSet) {
    for (const value of held) visit(value, filter);
  } else {
    visit(held, filter);
  }
}

/** One level of a trie. `T` is what ends here: subscribers, or a topic. */
class TrieNode<T> {
  readonly level: string;
  /** None, one bare, or a Map by level. */
  children: TrieNode<T> | Map<string, TrieNode<T>> | undefined = undefined;
  /** The full filter or topic of this node, while something ends here. */
  key: string | undefined = undefined;
  held: T | undefined = undefined;

  constructor(level: string) {
    this.level = level;
  }

  child(level: string): TrieNode<T> | undefined {
    const { children } = this;
    if (children instanceof Map) return children.get(level);
    return children !== undefined && children.level === level ? children : undefined;
  }

  addChild(level: string): TrieNode<T> {
    const node = new TrieNode<T>(level);
    if (this.children === undefined) {
      this.children = node;
    } else if (this.children instanceof Map) {
      this.children.set(level, node);
    } else {
      this.children = new Map([
        [this.children.level, this.children],
        [level, node],
      ]);
    }
    return node;
  }

  removeChild(level: string): void {
    if (this.children instanceof Map) {
      this.children.delete(level);
      if (this.children.size > 1) return;
      this.children = this.children.values().next().value;
    } else {
      this.children = undefined;
    }
  }

  get isEmpty(): boolean {
    return this.children === undefined && this.held === undefined;
  }
}

/** The node of `key`, made with its path if `create`. */
function descend<T>(root: TrieNode<T>, key: string, create: boolean): TrieNode<T> | undefined {
  let node = root;
  for (const level of key.split('/')) {
    const next = node.child(level) ?? (create ? node.addChild(level) : undefined);
    if (next === undefined) return undefined;
    node = next;
  }
  return node;
}

/** Removes the nodes of `key`, from its end up, that neither hold nor lead to anything. */
function prune<T>(root: TrieNode<T>, key: string): void {
  const path = [root];
  for (const level of key.split('/')) path.push(path.at(-1)!.child(level)!);
  for (let i = path.length - 1; i > 0 && path[i]!.isEmpty; i--) {
    path[i - 1]!.removeChild(path[i]!.level);
  }
}

/** Calls `visit` for every node below and including `node`, parents first. */
function visitAll<T>(node: TrieNode<T>, visit: (node: TrieNode<T>) => void): void {
  if (node.held !== undefined) visit(node);
  const { children } = node;
  if (children instanceof Map) {
    for (const child of children.values()) visitAll(child, visit);
  } else if (children !== undefined) {
    visitAll(children, visit);
  }
}

/**
 * Subscriptions by Topic Filter. A value (compared by identity) is subscribed to a filter once.
 *
 * Filters must be valid ({@link isTopicFilter}); `$share/` prefixes are the caller's to strip.
 * Iteration follows insertion: one history, one order. Neither tree may change during a visit.
 */
export class TopicTree<V extends NonNullable<unknown>> {
  private readonly exact = new Map<string, Subscribers<V>>();
  private readonly root = new TrieNode<Subscribers<V>>('');
  private wildcards = 0;
  private subscriptions = 0;

  /** Subscriptions held: (filter, value) pairs. */
  get size(): number {
    return this.subscriptions;
  }

  /** Filters with a wildcard: what a match costs beyond one Map lookup. */
  get wildcardFilters(): number {
    return this.wildcards;
  }

  /** Adds a subscription. @returns false if it was there already */
  add(filter: string, value: V): boolean {
    if (!hasWildcard(filter)) {
      const held = withSubscriber(this.exact.get(filter), value);
      if (held === undefined) return false;
      this.exact.set(filter, held);
    } else {
      const node = descend(this.root, filter, true)!;
      const held = withSubscriber(node.held, value);
      if (held === undefined) return false;
      if (node.held === undefined) this.wildcards++;
      node.held = held;
      node.key = filter;
    }
    this.subscriptions++;
    return true;
  }

  /** Removes a subscription. @returns false if there was none */
  remove(filter: string, value: V): boolean {
    if (!hasWildcard(filter)) {
      const held = withoutSubscriber(this.exact.get(filter), value);
      if (held === ABSENT) return false;
      if (held === undefined) this.exact.delete(filter);
      else this.exact.set(filter, held);
    } else {
      const node = descend(this.root, filter, false);
      const held = withoutSubscriber(node?.held, value);
      if (node === undefined || held === ABSENT) return false;
      node.held = held;
      if (held === undefined) {
        this.wildcards--;
        node.key = undefined;
        prune(this.root, filter);
      }
    }
    this.subscriptions--;
    return true;
  }

  /** Whether anybody is subscribed to exactly this filter. */
  has(filter: string): boolean {
    if (!hasWildcard(filter)) return this.exact.has(filter);
    return descend(this.root, filter, false)?.held !== undefined;
  }

  /**
   * Visits every subscription whose filter matches `topic`. A value subscribed through several
   * matching filters is visited once for each.
   */
  match(topic: string, visit: (value: V, filter: string) => void): void {
    const held = this.exact.get(topic);
    if (held !== undefined) visitSubscribers(held, topic, visit);
    if (this.wildcards > 0) this.matchBelow(this.root, topic.split('/'), 0, visit);
  }

  private matchBelow(
    node: TrieNode<Subscribers<V>>,
    levels: readonly string[],
    depth: number,
    visit: (value: V, filter: string) => void,
  ): void {
    const { children } = node;
    if (children === undefined) {
      if (depth === levels.length) this.visitNode(node, visit);
      return;
    }
    // [MQTT-4.7.2-1]: a leading wildcard does not match a topic that begins with $.
    const wild = depth > 0 || levels[0]!.charCodeAt(0) !== 36;
    // `#` also matches its parent (§4.7.1.2), hence at every depth.
    if (wild) this.visitNode(node.child('#'), visit);
    if (depth === levels.length) {
      this.visitNode(node, visit);
      return;
    }
    const level = levels[depth]!;
    const exact = node.child(level);
    if (exact !== undefined) this.matchBelow(exact, levels, depth + 1, visit);
    const plus = wild ? node.child('+') : undefined;
    if (plus !== undefined) this.matchBelow(plus, levels, depth + 1, visit);
  }

  private visitNode(
    node: TrieNode<Subscribers<V>> | undefined,
    visit: (value: V, filter: string) => void,
  ): void {
    if (node?.held !== undefined) visitSubscribers(node.held, node.key!, visit);
  }

  /** Every filter that has a subscription, exact ones first. */
  *filters(): IterableIterator<string> {
    yield* this.exact.keys();
    const found: string[] = [];
    visitAll(this.root, (node) => found.push(node.key!));
    yield* found;
  }

  clear(): void {
    this.exact.clear();
    this.root.children = undefined;
    this.wildcards = 0;
    this.subscriptions = 0;
  }
}

/** A set of topics that can be searched by Topic Filter: where retained messages are. */
export class TopicIndex {
  private readonly root = new TrieNode<true>('');
  private topics = 0;

  get size(): number {
    return this.topics;
  }

  has(topic: string): boolean {
    return descend(this.root, topic, false)?.held !== undefined;
  }

  /** @returns false if it was in already */
  add(topic: string): boolean {
    const node = descend(this.root, topic, true)!;
    if (node.held) return false;
    node.held = true;
    node.key = topic;
    this.topics++;
    return true;
  }

  /** @returns false if it was not in */
  delete(topic: string): boolean {
    const node = descend(this.root, topic, false);
    if (!node?.held) return false;
    node.held = undefined;
    node.key = undefined;
    prune(this.root, topic);
    this.topics--;
    return true;
  }

  /** Visits every topic that `filter` matches, once, in the order of insertion per level. */
  match(filter: string, visit: (topic: string) => void): void {
    this.matchBelow(this.root, filter.split('/'), 0, visit);
  }

  private matchBelow(
    node: TrieNode<true>,
    levels: readonly string[],
    depth: number,
    visit: (topic: string) => void,
  ): void {
    if (depth === levels.length) {
      if (node.held) visit(node.key!);
      return;
    }
    const level = levels[depth]!;
    if (level !== '+' && level !== '#') {
      const child = node.child(level);
      if (child !== undefined) this.matchBelow(child, levels, depth + 1, visit);
      return;
    }
    if (level === '#' && node.held) visit(node.key!);
    for (const child of childrenOf(node)) {
      // [MQTT-4.7.2-1]
      if (depth === 0 && child.level.charCodeAt(0) === 36) continue;
      if (level === '#') visitAll(child, (below) => visit(below.key!));
      else this.matchBelow(child, levels, depth + 1, visit);
    }
  }

  /** Every topic. */
  *[Symbol.iterator](): IterableIterator<string> {
    const found: string[] = [];
    visitAll(this.root, (node) => found.push(node.key!));
    yield* found;
  }

  clear(): void {
    this.root.children = undefined;
    this.topics = 0;
  }
}

function childrenOf<T>(node: TrieNode<T>): Iterable<TrieNode<T>> {
  const { children } = node;
  if (children === undefined) return [];
  return children instanceof Map ? children.values() : [children];
}
