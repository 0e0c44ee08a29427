import type { Prng, Scheduler } from '@shoal/swim/sim';
import type { MarkFile, NodeEnv } from '../ports.ts';
import type { CoreIdentity } from './core-port.ts';
import type { SimDisk } from './disk.ts';

/** Marks are synced this long after they were synced before, as in edge/store/data-folder.ts. */
const MARKS_SYNC_MS = 1000;
/** Writes of marks reach the kernel within this. */
const MARKS_WRITE_MS = 2;
const PAGE_BYTES = 4096;

/** What the last run said of itself, durable when its process goes on. */
interface Run {
  readonly bootEpoch: number;
  readonly machineBoot: number;
  readonly durability: 'disk' | 'memory';
  readonly damage: string | null;
}

/** What a process is told of its folder. */
export interface Found {
  /** Why no copy in the store can be believed. */
  readonly damage: string | null;
  /** Boot epoch of the last run, 0 for none. */
  readonly lastRun: number;
  readonly env: Pick<NodeEnv, 'marks' | 'unsynced' | 'adopted' | 'damageNoted'>;
}

/**
 * One machine's data folder: the store, and beside it the record of the last run and the marks, as
 * edge/store/data-folder.ts keeps them of real files.
 */
export class SimFolder {
  readonly disk: SimDisk;
  /** What reading the store's log before it is opened finds. */
  logDamage: string | null = null;
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  #run: Run | undefined;
  #machineBoot = 1;
  #marks: Uint8Array = new Uint8Array(0);
  #syncedMarks: Uint8Array = new Uint8Array(0);
  #marksSyncedMs = 0;

  constructor(o: { scheduler: Scheduler; random: Prng; disk: SimDisk }) {
    this.#scheduler = o.scheduler;
    this.#random = o.random;
    this.disk = o.disk;
  }

  /**
   * A process has read the store's identity and begins its run.
   *
   * @param alive whether that process still lives
   */
  identified(identity: CoreIdentity, durability: Run['durability'], alive: () => boolean): Found {
    // A store that lost its identity is refused, and its operator starts with an empty folder.
    const last = identity.fresh ? undefined : this.#run;
    if (identity.fresh) {
      this.logDamage = null;
      this.#marks = this.#syncedMarks = new Uint8Array(0);
    }
    const { heldEpoch, bootEpoch } = identity;
    let damage = last?.damage ?? this.logDamage;
    if (last?.durability === 'memory' && last.machineBoot !== this.#machineBoot)
      damage ??= 'the machine started anew under durability memory';
    if (last !== undefined && heldEpoch !== undefined && heldEpoch < last.bootEpoch)
      damage ??= `the store knows of run ${heldEpoch}, the last one was ${last.bootEpoch}`;
    this.logDamage = null;
    this.#run = { bootEpoch, machineBoot: this.#machineBoot, durability, damage };
    const note = (change: Partial<Run>) => {
      if (this.#run !== undefined && alive()) this.#run = { ...this.#run, ...change };
    };
    return {
      damage,
      lastRun: last?.bootEpoch ?? 0,
      env: {
        marks: this.#openMarks(alive),
        adopted: (adopted) => note({ durability: adopted }),
        unsynced: () => note({ durability: 'memory' }),
        damageNoted: () => note({ damage: null }),
      },
    };
  }

  /** Boot epoch of the last run; 0 before the first. */
  get lastRun(): number {
    return this.#run?.bootEpoch ?? 0;
  }

  processDied(): void {
    this.disk.processDied();
  }

  powerCut(): { lost: number } {
    this.#machineBoot++;
    // Pages of the marks that were not synced may have been written back, or not.
    const marks = this.#marks.slice();
    for (let at = 0; at < marks.length; at += PAGE_BYTES) {
      if (this.#random.chance(0.5)) continue;
      marks.fill(0, at, at + PAGE_BYTES);
      marks.set(this.#syncedMarks.subarray(at, at + PAGE_BYTES), at);
    }
    this.#marks = marks;
    this.#syncedMarks = marks;
    return this.disk.powerCut();
  }

  #openMarks(alive: () => boolean): MarkFile {
    return {
      initial: this.#marks.slice(),
      write: (at, bytes, done) => {
        this.#scheduler.after(this.#random.next() * MARKS_WRITE_MS, () => {
          if (!alive()) return;
          const marks = new Uint8Array(Math.max(this.#marks.length, at + bytes.length));
          marks.set(this.#marks);
          marks.set(bytes, at);
          this.#marks = marks;
          if (this.#scheduler.nowMs - this.#marksSyncedMs >= MARKS_SYNC_MS) {
            this.#marksSyncedMs = this.#scheduler.nowMs;
            this.#syncedMarks = marks;
          }
          done();
        });
      },
    };
  }
}
