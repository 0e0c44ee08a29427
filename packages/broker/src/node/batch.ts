/** What a turn changes on disk, and who waits for it: one batch for all shards. */
import type { Store, StoreChange } from '../ports.ts';

export class Batch {
  readonly #store: Store;
  readonly #schedule: () => void;
  readonly #onDone: () => void;
  /** `memory` durability syncs only what elections depend on. */
  readonly #syncAll: boolean;
  #changes: StoreChange[] = [];
  #waiting: (() => void)[] = [];
  #sync = false;

  constructor(store: Store, syncAll: boolean, schedule: () => void, onDone: () => void) {
    this.#store = store;
    this.#syncAll = syncAll;
    this.#schedule = schedule;
    this.#onDone = onDone;
  }

  put(key: Uint8Array, value: Uint8Array | null, sync: boolean): void {
    this.#changes.push({ key, value });
    if (sync) this.#sync = true;
    this.#schedule();
  }

  onDurable(fn: () => void): void {
    this.#waiting.push(fn);
    this.#schedule();
  }

  get empty(): boolean {
    return this.#changes.length === 0 && this.#waiting.length === 0;
  }

  flush(): void {
    if (this.empty) return;
    const waiting = this.#waiting;
    const sync = this.#syncAll || this.#sync;
    this.#store.write(this.#changes, sync, () => {
      for (const fn of waiting) fn();
      this.#onDone();
    });
    this.#changes = [];
    this.#waiting = [];
    this.#sync = false;
  }
}
