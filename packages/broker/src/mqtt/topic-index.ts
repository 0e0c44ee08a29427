import { childrenOf, descend, prune, TrieNode, visitAll } from './topic-trie.ts';

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
