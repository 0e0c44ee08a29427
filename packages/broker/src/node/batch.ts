/** What a turn changes on disk, and who waits for it: one batch for all shards. */
import type { Counters } from '../counters.ts';
import type { Store, StoreChange } from '../ports.ts';

/** What a batch counts, and by which clock. */
export interface BatchHost {
  readonly counters: Pick<Counters, 'fsyncs' | 'fsyncLatency' | 'storeBytesWritten'>;
  nowMs(): number;
  /** There is something to flush, or somebody has been told that it is durable. */
  schedule(): void;
}

export class Batch {
  readonly #store: Store;
  readonly #host: BatchHost;
  /** `memory` durability syncs only what elections depend on. */
  readonly #syncAll: boolean;
  #changes: StoreChange[] = [];
  #waiting: (() => void)[] = [];
  #sync = false;

  constructor(store: Store, syncAll: boolean, host: BatchHost) {
    this.#store = store;
    this.#syncAll = syncAll;
    this.#host = host;
  }

  put(key: Uint8Array, value: Uint8Array | null, sync: boolean): void {
    this.#changes.push({ key, value });
    this.#host.counters.storeBytesWritten += key.length + (value?.length ?? 0);
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

  flush(): void {
    if (this.empty) return;
    const waiting = this.#waiting;
    const sync = this.#syncAll || this.#sync;
    const host = this.#host;
    const atMs = host.nowMs();
    this.#store.write(this.#changes, sync, () => {
      if (sync) {
        host.counters.fsyncs++;
        host.counters.fsyncLatency.observe(host.nowMs() - atMs);
      }
      for (const fn of waiting) fn();
      host.schedule();
    });
    this.#changes = [];
    this.#waiting = [];
    this.#sync = false;
  }
}
