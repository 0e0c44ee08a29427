const MISFITS_MAX = 4;

/** One update that waits, in the list of those sent as often. */
interface Waiting {
  readonly name: string;
  readonly update: Uint8Array;
  row: number;
  /** Sends after which it leaves, if the limit is not lower. */
  readonly leaveAt: number;
  before: Waiting | undefined;
  after: Waiting | undefined;
}

/** Those sent equally often, the longest waiting first. */
interface Row {
  first: Waiting | undefined;
  last: Waiting | undefined;
}

/**
 * Updates waiting to be piggybacked, those sent least first (SWIM §4.1).
 *
 * One update per member: a newer one replaces the older and starts anew. An update leaves after
 * `limit` sends. Entries lie in one linked list per number of sends:
 *
 *     sent 0: c → d        a packet takes c, d, a, b while they fit,
 *     sent 1: a → b        and each moves one row down
 */
export class Dissemination {
  #rows: Row[] = [];
  readonly #entries = new Map<string, Waiting>();
  readonly #sizeMax: number;
  readonly #prefixBytes: number;

  /** @param prefixBytes what each takes in a packet beside its own bytes */
  constructor(sizeMax: number, prefixBytes = 0) {
    this.#sizeMax = sizeMax;
    this.#prefixBytes = prefixBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Bytes that the next one takes in a packet; 0 if there is none. */
  nextBytes(): number {
    for (const { first } of this.#rows) {
      if (first !== undefined) return first.update.length + this.#prefixBytes;
    }
    return 0;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /**
   * Spreads this update about `name` instead of any earlier one.
   *
   * @param sent times it counts as sent already: those sent less often go first
   * @param sends times it is sent at most
   */
  enqueue(name: string, update: Uint8Array, sent = 0, sends = Number.POSITIVE_INFINITY): void {
    this.remove(name);
    if (this.#entries.size >= this.#sizeMax) this.#dropMostSent();
    const leaveAt = sent + sends;
    const entry = { name, update, row: sent, leaveAt, before: undefined, after: undefined };
    this.#entries.set(name, entry);
    this.#append(entry);
  }

  remove(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#unlink(entry);
    this.#entries.delete(name);
  }

  clear(): void {
    this.#rows = [];
    this.#entries.clear();
  }

  /**
   * Takes updates for one packet: at most `bytesMax` together, none about `exclude`.
   *
   * @param limit sends after which an update is dropped, ≥ 1
   */
  take(bytesMax: number, limit: number, exclude?: ReadonlySet<string>): Uint8Array[] {
    const taken: Waiting[] = [];
    let left = bytesMax;
    // A few that do not fit may be skipped for smaller ones; not more, to bound the walk.
    let misfits = 0;
    walk: for (const row of this.#rows) {
      for (let entry = row.first; entry !== undefined; entry = entry.after) {
        if (exclude?.has(entry.name)) continue;
        const bytes = entry.update.length + this.#prefixBytes;
        if (bytes > left) {
          misfits++;
          if (misfits > MISFITS_MAX) break walk;
          continue;
        }
        left -= bytes;
        taken.push(entry);
      }
    }
    for (const entry of taken) {
      this.#unlink(entry);
      entry.row++;
      if (entry.row < Math.min(limit, entry.leaveAt)) this.#append(entry);
      else this.#entries.delete(entry.name);
    }
    return taken.map(({ update }) => update);
  }

  #append(entry: Waiting): void {
    while (this.#rows.length <= entry.row) this.#rows.push({ first: undefined, last: undefined });
    const row = this.#rows[entry.row] as Row;
    entry.before = row.last;
    entry.after = undefined;
    if (row.last === undefined) row.first = entry;
    else row.last.after = entry;
    row.last = entry;
  }

  #unlink(entry: Waiting): void {
    const { before, after } = entry;
    const row = this.#rows[entry.row] as Row;
    if (before === undefined) row.first = after;
    else before.after = after;
    if (after === undefined) row.last = before;
    else after.before = before;
  }

  #dropMostSent(): void {
    for (let row = this.#rows.length - 1; row >= 0; row--) {
      const entry = this.#rows[row]?.first;
      if (entry === undefined) continue;
      this.remove(entry.name);
      return;
    }
  }
}

/** Times each member sends one update: λ log n (SWIM §4.1). */
export function retransmitLimit(retransmitMult: number, members: number): number {
  return retransmitMult * Math.ceil(Math.log10(members + 1));
}
