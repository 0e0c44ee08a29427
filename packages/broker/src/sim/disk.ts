import type { Prng, Scheduler } from '@shoal/swim/sim';
import type { Store, StoreChange, StoreRecord } from '../ports.ts';
import { MemoryStore } from '../store/memory-store.ts';

/** How a simulated disk behaves. Times in milliseconds. */
export interface DiskOptions {
  /** A sync takes between these. */
  readonly syncMinMs: number;
  readonly syncMaxMs: number;
  /** A read takes between nothing and this. */
  readonly readMaxMs: number;
}

/** Batches that a journal remembers. */
const JOURNAL_MAX = 200;

/** One batch, as it was before and after it. */
interface Journalled {
  readonly before: readonly StoreChange[];
  readonly after: readonly StoreChange[];
}

/** The fraction of reads answered at once, as from a cache. */
const CACHED_READS = 0.5;

/**
 * One machine's disk: outlives the processes that use it.
 *
 * A process reaches it through {@link SimDisk.open}, which hands answers to that process alone; the
 * disk goes on syncing while its process is paused, and answers to a dead one are lost.
 */
export class SimDisk {
  /** Until this virtual time no sync finishes. */
  stalledUntilMs = 0;
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #options: DiskOptions;
  readonly #store: MemoryStore;
  #delayMs = 0;
  #journal: Journalled[] | undefined;

  constructor(o: { scheduler: Scheduler; random: Prng; options: DiskOptions }) {
    this.#scheduler = o.scheduler;
    this.#random = o.random;
    this.#options = o.options;
    this.#store = new MemoryStore({ defer: (fn) => this.#scheduler.after(this.#delayMs, fn) });
  }

  get records(): number {
    return this.#store.size;
  }

  /**
   * A {@link Store} for one process.
   *
   * @param run the process's event loop: runs an answer now, later, or never if it is dead
   */
  open(run: (answer: () => void) => void): Store {
    return {
      write: (changes: readonly StoreChange[], sync: boolean, done: () => void) => {
        this.#delayMs = sync ? this.#syncDelayMs() : this.#random.next() * 0.05;
        this.#note(changes);
        this.#store.write(changes, sync, () => run(done));
      },
      getMany: (keys, done) => {
        this.#delayMs = this.#readDelayMs();
        this.#store.getMany(keys, (values) => run(() => done(values)));
      },
      scan: (gte, lt, limit, bytesMax, done) => {
        this.#delayMs = this.#readDelayMs();
        this.#store.scan(gte, lt, limit, bytesMax, (records, more) =>
          run(() => done(records, more)),
        );
      },
    };
  }

  /** The process died and the machine lives: what the kernel accepted stays. */
  processDied(): void {
    this.#store.crash(this.#store.unsyncedBatches);
  }

  /** Power is cut: keeps a random prefix of what was not synced; a torn batch is dropped whole. */
  powerCut(): { lost: number } {
    const unsynced = this.#store.unsyncedBatches;
    const keep = this.#random.int(0, unsynced);
    this.#store.crash(keep);
    if (unsynced > keep) this.#journal?.splice(keep - unsynced);
    return { lost: unsynced - keep };
  }

  /** Flips one bit of one stored record that `may` be damaged; false if there is none. */
  rot(may: (key: Uint8Array) => boolean): boolean {
    const keys = this.#store.syncedView().map(({ key }) => key);
    const records = keys.filter(may);
    if (records.length === 0) return false;
    return this.#store.flipBit(this.#random.pick(records), this.#random.int(0, 1 << 20));
  }

  /** What the disk holds, as a backup takes it. */
  copy(): readonly StoreRecord[] {
    return this.#store.syncedView();
  }

  /** Holds nothing but this copy from now on; no process may have it open. */
  become(records: readonly StoreRecord[]): void {
    const gone = this.#store.syncedView().map(({ key }) => ({ key, value: null }));
    this.#change([...gone, ...records]);
  }

  #change(changes: readonly StoreChange[]): void {
    this.#delayMs = 0;
    this.#store.write(changes, true, () => {});
  }

  /** Keeps what is needed to lose the newest batches although they were synced. */
  keepJournal(): void {
    this.#journal = [];
  }

  /**
   * Loses the newest `batches` although they were synced, or of those only the first, as a store does
   * that drops the rest of a damaged block of its log.
   *
   * @returns how many were lost
   */
  tear(batches: number, whole: boolean): number {
    const journal = this.#journal ?? [];
    const newest = journal.splice(-batches);
    const undo = newest.toReversed().flatMap((batch) => batch.before);
    const again = whole ? [] : newest.slice(Math.ceil(newest.length / 2));
    const changes = [...undo, ...again.flatMap((batch) => batch.after)];
    if (changes.length > 0) this.#change(changes);
    return newest.length - again.length;
  }

  #note(changes: readonly StoreChange[]): void {
    const journal = this.#journal;
    if (journal === undefined) return;
    const copied = changes.map(({ key, value }) => ({
      key: key.slice(),
      value: value?.slice() ?? null,
    }));
    const before = copied.map(({ key }) => ({ key, value: this.#store.peek(key) ?? null }));
    journal.push({ before: before.toReversed(), after: copied });
    if (journal.length > JOURNAL_MAX) journal.shift();
  }

  #syncDelayMs(): number {
    const { syncMinMs, syncMaxMs } = this.#options;
    const delayMs = syncMinMs + this.#random.next() ** 3 * (syncMaxMs - syncMinMs);
    return Math.max(delayMs, this.stalledUntilMs - this.#scheduler.nowMs);
  }

  #readDelayMs(): number {
    return this.#random.chance(CACHED_READS) ? 0 : this.#random.next() * this.#options.readMaxMs;
  }
}
