/** The `count` first by code units, in order, without sorting all. */
export function firstByName<T>(entries: Iterable<[string, T]>, count: number): [string, T][] {
  const first: [string, T][] = [];
  const shrink = () => {
    first.sort(([a], [b]) => (a < b ? -1 : 1));
    first.length = Math.min(first.length, count);
  };
  let last: string | null = null;
  for (const entry of entries) {
    if (last !== null && entry[0] >= last) continue;
    first.push(entry);
    if (first.length < 2 * count) continue;
    shrink();
    last = first[count - 1]![0];
  }
  shrink();
  return first;
}
