/** Messages of groups in the shard's log: in memory, or read from disk when their turn comes. */
import { LRUCache } from 'lru-cache';
import { Reader } from '../../bytes.ts';
import { type Logged, readOperation } from '../../session/operation.ts';
import { entryKey } from '../../shard/keys.ts';
import { readBack } from '../../shard/log.ts';
import type { Lead } from './parts.ts';

/** Bytes of entries that were read from disk and wait for a member, for each shard. One larger passes alone. */
const READ_BYTES_MAX = 8_388_608;

export class GroupEntries {
  readonly #leader: Lead;
  #cache: LRUCache<number, Logged> | null = null;
  /** Counts the times that all was forgotten. */
  #term = 0;

  constructor(leader: Lead) {
    this.#leader = leader;
  }

  get(index: number): Logged | null {
    const held = this.#leader.recent(index) ?? this.#cache?.get(index);
    if (held) return held;
    const entry = this.#leader.replica.log.get(index);
    return entry ? readOperation(new Reader(entry.operation)) : null;
  }

  /**
   * Reads the entry of `first`, and as many of the next as there is room for beside it: it is here when
   * `done` runs, whatever else was read.
   *
   * @param bytesOf of the message, negative for one that is not wanted any more
   */
  read(
    first: number,
    next: readonly number[],
    bytesOf: (index: number) => number,
    done: () => void,
  ): void {
    const indexes = [first];
    let room = READ_BYTES_MAX / 2 - Math.max(0, bytesOf(first));
    for (const index of next) {
      const bytes = bytesOf(index);
      if (index === first || bytes < 0 || this.get(index)) continue;
      room -= bytes;
      if (room < 0) break;
      indexes.push(index);
    }
    const { shard, node } = this.#leader;
    const term = this.#term;
    node.env.store.getMany(
      indexes.map((index) => entryKey(shard, index)),
      (values) => {
        if (term !== this.#term) return;
        // The first last: what is kept last stays longest.
        for (let i = indexes.length - 1; i >= 0; i--) this.#keep(indexes[i]!, values[i]);
        done();
      },
    );
  }

  #keep(index: number, value: Uint8Array | null | undefined): void {
    const entry = value && readBack(value);
    if (!entry) {
      if (this.#held(index)) this.#leader.replica.corrupt('a message of a group cannot be read');
      return;
    }
    this.#cache ??= new LRUCache({ maxSize: READ_BYTES_MAX });
    // The cache refuses what is larger than itself.
    const size = Math.min(entry.operation.length, READ_BYTES_MAX);
    this.#cache.set(index, readOperation(new Reader(entry.operation)), { size });
  }

  /** Some group still waits for it. */
  #held(index: number): boolean {
    for (const { messages } of this.#leader.state.groups.byKey.values())
      if (messages.has(index)) return true;
    return false;
  }

  /** The message is with a member. */
  forget(index: number): void {
    this.#cache?.delete(index);
  }

  clear(): void {
    this.#term++;
    this.#cache = null;
  }
}
