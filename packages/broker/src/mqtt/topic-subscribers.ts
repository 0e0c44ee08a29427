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
export type Subscribers<V> = V | SubscriberList<V> | SubscriberSet<V>;

/** Adds `value`; returns the container to store instead, or undefined if it was in already. */
export function withSubscriber<V>(
  held: Subscribers<V> | undefined,
  value: V,
): Subscribers<V> | undefined {
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
export const ABSENT = Symbol('absent');

/** Removes `value`; returns the container to store instead, undefined if none is left. */
export function withoutSubscriber<V>(
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

export function visitSubscribers<V>(
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
