/**
 * Several Topic Filters matched as one against topics in ascending order.
 *
 * {@link FilterSet.probe} says of a topic that it matches, or from where on the next match can be: so
 * a search through sorted topics leaps over what no filter wants, and many filters cost as one.
 */

/** One level of the filters. */
class FilterNode {
  exact: Map<string, FilterNode> | null = null;
  plus: FilterNode | null = null;
  /** A filter ends here. */
  ends = false;
  /** A filter goes on with `#`. */
  hash = false;
  /** What follows here in a topic that an exact level wants, ascending: `level` and `level/`. */
  #starts: string[] | null = null;

  child(level: string): FilterNode {
    if (level === '+') {
      this.plus ??= new FilterNode();
      return this.plus;
    }
    this.exact ??= new Map();
    let node = this.exact.get(level);
    if (!node) {
      node = new FilterNode();
      this.exact.set(level, node);
      this.#starts = null;
    }
    return node;
  }

  /** The first start of an exact level that is greater than `rest`; undefined if none is. */
  startAfter(rest: string): string | undefined {
    if (!this.exact) return undefined;
    this.#starts ??= [...this.exact.keys()].flatMap((level) => [level, `${level}/`]).sort();
    const starts = this.#starts;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! > rest) high = middle;
      else low = middle + 1;
    }
    return starts[low];
  }
}

const DOLLAR = 36;

export class FilterSet {
  readonly #root = new FilterNode();
  /** What the probes so far have cost: nodes looked at. */
  steps = 0;

  /** @param filters valid ones ({@link isTopicFilter}) */
  constructor(filters: Iterable<string>) {
    for (const filter of filters) this.#add(filter);
  }

  #add(filter: string): void {
    let node = this.#root;
    for (const level of filter.split('/')) {
      if (level === '#') {
        node.hash = true;
        return;
      }
      node = node.child(level);
    }
    node.ends = true;
  }

  /**
   * Whether a filter matches the topic (`true`); otherwise the least string from which on topics above
   * this one may match, undefined if none can. In code unit order.
   */
  probe(topic: string): true | string | undefined {
    // [MQTT-4.7.2-1]: a leading wildcard does not match a topic that begins with $.
    const dollar = topic.charCodeAt(0) === DOLLAR;
    let nodes: FilterNode[] = [this.#root];
    for (let at = 0; ; ) {
      const slash = topic.indexOf('/', at);
      const level = slash < 0 ? topic.slice(at) : topic.slice(at, slash);
      const wild = at > 0 || !dollar;
      const next: FilterNode[] = [];
      this.steps += nodes.length;
      for (const node of nodes) {
        if (wild && node.hash) return true;
        const exact = node.exact?.get(level);
        if (exact) next.push(exact);
        if (wild && node.plus) next.push(node.plus);
      }
      if (next.length === 0) return this.#leap(nodes, topic, at, wild);
      nodes = next;
      if (slash < 0) break;
      at = slash + 1;
    }
    // `#` also matches its parent (§4.7.1.2).
    for (const node of nodes) if (node.ends || node.hash) return true;
    return `${topic}\0`;
  }

  /** No filter wants the level at `at`: from where on one may want a greater one. */
  #leap(
    nodes: readonly FilterNode[],
    topic: string,
    at: number,
    wild: boolean,
  ): string | undefined {
    const rest = topic.slice(at);
    let best: string | undefined;
    for (const node of nodes) {
      const start = node.startAfter(rest);
      if (start !== undefined && (best === undefined || start < best)) best = start;
    }
    const root = this.#root;
    if (!wild && (root.hash || root.plus) && (best === undefined || best > '%')) best = '%';
    if (best !== undefined) return topic.slice(0, at) + best;
    // Nothing below this parent: '0' is the character after '/'.
    return at === 0 ? undefined : `${topic.slice(0, at - 1)}0`;
  }
}
