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

/** The fraction of reads answered at once, as from a cache. */
const CACHED_READS = 0.5;

/**
 * One machine's disk: outlives the processes that use it.
 *
 * A process reaches it through {@link SimDisk.open}, which hands answers to that process alone; the
 * disk goes on syncing while its process is paused, and answers to a dead one reach nobody.
 */
export class SimDisk {
  /** Until this virtual time no sync finishes. */
  stalledUntilMs = 0;
  private readonly scheduler: Scheduler;
  private readonly random: Prng;
  private readonly options: DiskOptions;
  private readonly store: MemoryStore;
  private delayMs = 0;

  constructor(o: { scheduler: Scheduler; random: Prng; options: DiskOptions }) {
    this.scheduler = o.scheduler;
    this.random = o.random;
    this.options = o.options;
    this.store = new MemoryStore({ defer: (fn) => this.scheduler.after(this.delayMs, fn) });
  }

  get records(): number {
    return this.store.size;
  }

  /**
   * A {@link Store} for one process.
   *
   * @param run the process's event loop: runs an answer now, later, or never if it is dead
   */
  open(run: (answer: () => void) => void): Store {
    return {
      write: (changes: readonly StoreChange[], sync: boolean, done: () => void) => {
        this.delayMs = sync ? this.syncDelayMs() : this.random.next() * 0.05;
        this.store.write(changes, sync, () => run(done));
      },
      getMany: (keys, done) => {
        this.delayMs = this.readDelayMs();
        this.store.getMany(keys, (values) => run(() => done(values)));
      },
      scan: (gte, lt, limit, done: (records: readonly StoreRecord[]) => void) => {
        this.delayMs = this.readDelayMs();
        this.store.scan(gte, lt, limit, (records) => run(() => done(records)));
      },
    };
  }

  /** The process died and the machine lives: what the kernel accepted stays. */
  processDied(): void {
    this.store.crash(this.store.unsyncedBatches);
  }

  /** Power is cut: keeps a random prefix of what was not synced; a torn batch is dropped whole. */
  powerCut(): { lost: number } {
    const unsynced = this.store.unsyncedBatches;
    const keep = this.random.int(0, unsynced);
    this.store.crash(keep);
    return { lost: unsynced - keep };
  }

  /** Flips one bit of one stored record; false if nothing is stored. */
  rot(): boolean {
    const records = this.store.syncedView();
    if (records.length === 0) return false;
    return this.store.flipBit(this.random.pick(records).key, this.random.int(0, 1 << 20));
  }

  private syncDelayMs(): number {
    const { syncMinMs, syncMaxMs } = this.options;
    const delayMs = syncMinMs + this.random.next() ** 3 * (syncMaxMs - syncMinMs);
    return Math.max(delayMs, this.stalledUntilMs - this.scheduler.nowMs);
  }

  private readDelayMs(): number {
    return this.random.chance(CACHED_READS) ? 0 : this.random.next() * this.options.readMaxMs;
  }
}
