/**
 * QoS 2 messages that arrived from other shards, so that a re-driven one is not taken twice.
 *
 * Bounded by what the publishing shards still owe: each message says the oldest index its shard still
 * owes, and everything below is known to have arrived.
 */
import type { Reader, Writer } from '../bytes.ts';
import type { Rx2Id } from './message.ts';

interface Window {
  low: number;
  readonly indexes: Set<number>;
}

export class SeenSet {
  readonly #shards = new Map<number, Window>();

  has(id: Rx2Id): boolean {
    const window = this.#shards.get(id.shard);
    return window !== undefined && (id.index < window.low || window.indexes.has(id.index));
  }

  add(id: Rx2Id): void {
    let window = this.#shards.get(id.shard);
    if (!window) {
      window = { low: 0, indexes: new Set() };
      this.#shards.set(id.shard, window);
    }
    window.indexes.add(id.index);
    if (id.low <= window.low) return;
    window.low = id.low;
    for (const index of window.indexes) if (index < id.low) window.indexes.delete(index);
  }

  /** It has not arrived after all. What its shard does not owe any more stays. */
  delete(id: Rx2Id): void {
    this.#shards.get(id.shard)?.indexes.delete(id.index);
  }

  clear(): void {
    this.#shards.clear();
  }

  write(w: Writer): void {
    w.list([...this.#shards], (o, [shard, window]) => {
      o.varint(shard);
      o.varint(window.low);
      o.list([...window.indexes], (p, index) => p.varint(index));
    });
  }

  read(r: Reader): void {
    for (const [shard, window] of r.list(
      (i) =>
        [i.varint(), { low: i.varint(), indexes: new Set(i.list((p) => p.varint())) }] as const,
    ))
      this.#shards.set(shard, window);
  }
}
