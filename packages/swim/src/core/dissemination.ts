/**
 * Updates waiting to be piggybacked, those sent least first (SWIM §4.1).
 *
 * One update per member: a newer one replaces the older and starts anew. An update leaves after
 * `limit` sends. Entries lie in one insertion-ordered map per number of sends:
 *
 *     sent 0: c → d        a packet takes c, d, a, b while they fit,
 *     sent 1: a → b        and each moves one row down
 */
export class Dissemination {
  private rows: Map<string, Uint8Array>[] = [];
  private readonly rowOf = new Map<string, number>();
  private readonly sizeMax: number;
  private readonly prefixBytes: number;

  /** @param prefixBytes what each takes in a packet beside its own bytes */
  constructor(sizeMax: number, prefixBytes = 0) {
    this.sizeMax = sizeMax;
    this.prefixBytes = prefixBytes;
  }

  get size(): number {
    return this.rowOf.size;
  }

  /** Bytes that the next one takes in a packet; 0 if there is none. */
  nextBytes(): number {
    for (const row of this.rows) {
      for (const update of row.values()) return update.length + this.prefixBytes;
    }
    return 0;
  }

  has(name: string): boolean {
    return this.rowOf.has(name);
  }

  /** Spreads this update about `name` instead of any earlier one. */
  enqueue(name: string, update: Uint8Array): void {
    this.remove(name);
    if (this.rowOf.size >= this.sizeMax) this.dropMostSent();
    this.row(0).set(name, update);
    this.rowOf.set(name, 0);
  }

  remove(name: string): void {
    const row = this.rowOf.get(name);
    if (row === undefined) return;
    this.rows[row]?.delete(name);
    this.rowOf.delete(name);
  }

  clear(): void {
    this.rows = [];
    this.rowOf.clear();
  }

  /**
   * Takes updates for one packet: at most `bytesMax` together, none about `exclude`.
   *
   * @param limit sends after which an update is dropped, ≥ 1
   */
  take(bytesMax: number, limit: number, exclude?: ReadonlySet<string>): Uint8Array[] {
    const taken: Uint8Array[] = [];
    const moved: [name: string, update: Uint8Array, row: number][] = [];
    let left = bytesMax;
    // A few that do not fit may be skipped for smaller ones; not more, to bound the walk.
    let misfits = 0;
    walk: for (let row = 0; row < this.rows.length; row += 1) {
      for (const [name, update] of this.rows[row] ?? []) {
        if (exclude?.has(name)) continue;
        if (update.length + this.prefixBytes > left) {
          misfits += 1;
          if (misfits > MISFITS_MAX) break walk;
          continue;
        }
        left -= update.length + this.prefixBytes;
        taken.push(update);
        moved.push([name, update, row]);
      }
    }
    for (const [name, update, row] of moved) {
      this.remove(name);
      if (row + 1 >= limit) continue;
      this.row(row + 1).set(name, update);
      this.rowOf.set(name, row + 1);
    }
    return taken;
  }

  private row(index: number): Map<string, Uint8Array> {
    let row = this.rows[index];
    if (row === undefined) {
      while (this.rows.length <= index) this.rows.push(new Map());
      row = this.rows[index] as Map<string, Uint8Array>;
    }
    return row;
  }

  private dropMostSent(): void {
    for (let row = this.rows.length - 1; row >= 0; row -= 1) {
      for (const name of this.rows[row]?.keys() ?? []) {
        this.remove(name);
        return;
      }
    }
  }
}

const MISFITS_MAX = 4;

/** Times each member sends one update: λ log n (SWIM §4.1). */
export function retransmitLimit(retransmitMult: number, members: number): number {
  return retransmitMult * Math.ceil(Math.log10(members + 1));
}
