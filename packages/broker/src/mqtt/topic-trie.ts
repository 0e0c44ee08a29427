/** One level of a trie. `T` is what ends here: subscribers, or a topic. */
export class TrieNode<T> {
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
export function descend<T>(
  root: TrieNode<T>,
  key: string,
  create: boolean,
): TrieNode<T> | undefined {
  let node = root;
  for (const level of key.split('/')) {
    const next = node.child(level) ?? (create ? node.addChild(level) : undefined);
    if (next === undefined) return undefined;
    node = next;
  }
  return node;
}

/** Removes the nodes of `key`, from its end up, that neither hold nor lead to anything. */
export function prune<T>(root: TrieNode<T>, key: string): void {
  const path = [root];
  for (const level of key.split('/')) path.push(path.at(-1)!.child(level)!);
  for (let i = path.length - 1; i > 0 && path[i]!.isEmpty; i--) {
    path[i - 1]!.removeChild(path[i]!.level);
  }
}

/** Calls `visit` for every node below and including `node`, parents first. */
export function visitAll<T>(node: TrieNode<T>, visit: (node: TrieNode<T>) => void): void {
  if (node.held !== undefined) visit(node);
  const { children } = node;
  if (children instanceof Map) {
    for (const child of children.values()) visitAll(child, visit);
  } else if (children !== undefined) {
    visitAll(children, visit);
  }
}
