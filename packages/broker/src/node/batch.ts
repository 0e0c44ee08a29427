/** What a turn changes on disk, and who waits for it: one batch for all shards. */

import type { ClusterSettings } from '../cluster-settings.ts';
import type { Counters } from '../counters.ts';
import type { Store, StoreChange } from '../ports.ts';

/** What a batch counts, and by which clock. */
export interface BatchHost {
  readonly counters: Pick<Counters, 'fsyncs' | 'fsyncLatency' | 'storeBytesWritten'>;
  nowMs(): number;
  /** From now on something counts as durable that a loss of power would take. */
  onUnsynced?(): void;
  /** Asks for a flush: changes wait, or a write has become durable and its waiters have run. */
  schedule(): void;
}

/**
 * Bytes given to the store and not written yet; beyond, other nodes and publishers are asked to wait.
 * The writes of one turn may go beyond.
 */
const UNWRITTEN_BYTES_MAX = 8 * 1024 * 1024;

export class Batch {
  readonly #store: Store;
  readonly #host: BatchHost;
  readonly #cluster: Pick<ClusterSettings, 'durability'>;
  #changes: StoreChange[] = [];
  #waiting: (() => void)[] = [];
  #sync = false;
  #unsynced = false;
  /** Bytes of the changes of this turn, and of those that the store has not written yet. */
  #bytes = 0;
  #unwritten = 0;

  constructor(store: Store, cluster: Pick<ClusterSettings, 'durability'>, host: BatchHost) {
    this.#store = store;
    this.#cluster = cluster;
    this.#host = host;
  }

  put(key: Uint8Array, value: Uint8Array | null, sync = false): void {
    this.#changes.push({ key, value });
    const bytes = key.length + (value?.length ?? 0);
    this.#bytes += bytes;
    this.#host.counters.storeBytesWritten += bytes;
    if (sync) this.#sync = true;
    this.#host.schedule();
  }

  onDurable(fn: () => void): void {
    this.#waiting.push(fn);
    this.#host.schedule();
  }

  get empty(): boolean {
    return this.#changes.length === 0 && this.#waiting.length === 0;
  }

  /** The disk does not keep up with what comes. */
  get behind(): boolean {
    return this.#unwritten + this.#bytes >= UNWRITTEN_BYTES_MAX;
  }

  flush(): void {
    if (this.empty) return;
    const bytes = this.#bytes;
    this.#bytes = 0;
    this.#unwritten += bytes;
    const waiting = this.#waiting;
    // `memory` syncs only what elections depend on.
    const sync = this.#sync || this.#cluster.durability !== 'memory';
    const host = this.#host;
    if (!sync && !this.#unsynced) {
      this.#unsynced = true;
      host.onUnsynced?.();
    }
    const atMs = host.nowMs();
    this.#store.write(this.#changes, sync, () => {
      if (sync) {
        host.counters.fsyncs++;
        host.counters.fsyncLatency.observe(host.nowMs() - atMs);
      }
      this.#unwritten -= bytes;
      for (const fn of waiting) fn();
      host.schedule();
    });
    this.#changes = [];
    this.#waiting = [];
    this.#sync = false;
  }
}
