/**
 * A node's data folder: the store, and beside it records that show whether the store is whole.
 *
 * ```
 *   store/   LevelDB: logs, promises, views, identity
 *   run      the last run: machine, boot epoch, durability, damage found (run-record.ts)
 *   marks    what each copy was known to hold (node/members/marks.ts)
 * ```
 * Opening: the record of the last run and LevelDB's logs are read first; damage is put on record
 * before LevelDB is opened, which would hide it, and stays until the store itself says which copies are
 * not whole.
 */
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { BytesError } from '../../bytes.ts';
import { BrokerError } from '../../errors.ts';
import type { Identity } from '../../node/members/identity.ts';
import { Marks } from '../../node/members/marks.ts';
import type { Log, MarkFile } from '../../ports.ts';
import { syncFolder } from './durable-file.ts';
import { readLevelLogs } from './level-log.ts';
import { LevelStore, type LevelStoreInit } from './level-store.ts';
import {
  damageOfRun,
  machineBoot,
  type RunRecord,
  readRunRecord,
  writeRunRecord,
} from './run-record.ts';

/** Marks are synced this long after they were written, at the earliest. */
const MARKS_SYNC_MS = 1000;

export interface DataFolderInit {
  readonly dir: string;
  readonly durability: 'disk' | 'memory';
  readonly onFatal: LevelStoreInit['onFatal'];
  readonly log: Log;
}

export class DataFolder {
  readonly store: LevelStore;
  /** Why no copy in the store can be believed; null if nothing speaks against it. */
  damage: string | null;
  readonly #init: DataFolderInit;
  readonly #last: RunRecord | null;
  #run: RunRecord | null = null;
  #marks: FileHandle | null = null;
  #marksSyncedMs = 0;
  #runWriting: Promise<void> = Promise.resolve();
  #marksWriting: Promise<void> = Promise.resolve();
  /** The store failed: nothing is certain to be on the disk. */
  readonly #state: { failed: boolean };
  readonly #boot: string;

  private constructor(
    init: DataFolderInit,
    parts: {
      store: LevelStore;
      last: RunRecord | null;
      boot: string;
      damage: string | null;
      state: { failed: boolean };
    },
  ) {
    this.#init = init;
    this.store = parts.store;
    this.#last = parts.last;
    this.#boot = parts.boot;
    this.damage = parts.damage;
    this.#state = parts.state;
  }

  /**
   * Opens the folder, creating it if there is none, and locks it.
   *
   * @throws BrokerError BROKER_ERR_DATA_* and BROKER_ERR_CORRUPT_STORE, as LevelStore.open; the store
   *   is gone from a folder that had one: BROKER_ERR_CORRUPT_STORE
   */
  static async open(init: DataFolderInit): Promise<DataFolder> {
    const { dir } = init;
    try {
      await mkdir(dir, { recursive: true });
    } catch (cause) {
      throw new BrokerError('BROKER_ERR_DATA_PERMISSION', dir, { cause });
    }
    const path = join(dir, 'run');
    const last = await readRunRecord(path);
    const boot = await machineBoot();
    const store = join(dir, 'store');
    if (last && !existsSync(join(store, 'CURRENT')))
      throw new BrokerError('BROKER_ERR_CORRUPT_STORE', `${store} is gone`);
    const damage = await damageOf(last, boot, store);
    // Not while the process that wrote the record may be alive: it has the folder, and opening fails.
    if (last && damage !== null && last.damage === null && !isAlive(last.pid))
      await writeRunRecord(path, { ...last, damage });
    const state = { failed: false };
    const opened = await LevelStore.open(store, {
      onFatal: (code, error) => {
        state.failed = true;
        init.onFatal(code, error);
      },
    });
    return new DataFolder(init, { store: opened, last, boot, damage, state });
  }

  /**
   * The store has told whose it is: begins this run's record.
   *
   * @returns the marks of the copies
   * @throws BrokerError BROKER_ERR_CORRUPT_STORE if the store lost its identity,
   *   BROKER_ERR_DATA_NEWER_FORMAT
   */
  async identified(identity: Identity): Promise<MarkFile> {
    const { dir } = this.#init;
    const durability = identity.settings?.durability ?? this.#init.durability;
    const last = this.#last;
    if (last && identity.fresh)
      throw new BrokerError('BROKER_ERR_CORRUPT_STORE', `${dir} was of store ${last.storeId}`);
    if (last && identity.heldEpoch !== undefined && identity.heldEpoch < last.bootEpoch)
      this.damage ??= `the store knows of run ${identity.heldEpoch}, the last one was ${last.bootEpoch}`;
    const { storeId, bootEpoch } = identity;
    this.#run = {
      storeId,
      bootEpoch,
      machineBoot: this.#boot,
      durability,
      clean: false,
      damage: this.damage,
      pid: process.pid,
    };
    await this.#writeRun();
    return this.#openMarks(identity.fresh);
  }

  /** Boot epoch of the last run, as noted beside the store; 0 for none. */
  get lastRun(): number {
    return this.#last?.bootEpoch ?? 0;
  }

  /** What the core tells of its folder. */
  readonly hooks = {
    /** The store itself says which copies are not whole. */
    damageNoted: () => this.#note({ damage: null }),
    /** A joiner has learned how its cluster acknowledges; it has acknowledged nothing before. */
    adopted: (durability: 'disk' | 'memory') => this.#note({ durability }),
    /** Acknowledged is, from now on, what a loss of power would take. */
    unsynced: () => {
      if (this.#run?.durability !== 'memory') this.#note({ durability: 'memory' });
    },
  };

  #note(change: Partial<RunRecord>): void {
    if (this.#run) this.#run = { ...this.#run, ...change };
    this.#writeRun().catch((error: unknown) => this.#complain(error));
  }

  /** Closes the store, then says that nothing is missing from it. */
  async close(): Promise<void> {
    await this.store.close();
    await this.#marksWriting;
    await this.#marks?.datasync().catch((error: unknown) => this.#complain(error));
    await this.#marks?.close();
    if (!this.#run || this.#state.failed) return;
    try {
      if (this.#run.durability === 'memory') await syncFolder(join(this.#init.dir, 'store'));
      this.#run = { ...this.#run, clean: true };
      await this.#writeRun();
    } catch (error) {
      this.#complain(error);
    }
  }

  /** One write after the other: each replaces the whole. */
  #writeRun(): Promise<void> {
    this.#runWriting = this.#runWriting
      .catch(() => {})
      .then(async () => {
        if (this.#run) await writeRunRecord(join(this.#init.dir, 'run'), this.#run);
      });
    return this.#runWriting;
  }

  async #openMarks(fresh: boolean): Promise<MarkFile> {
    const path = join(this.#init.dir, 'marks');
    const handle = await open(path, fresh || !existsSync(path) ? 'w+' : 'r+', 0o600);
    this.#marks = handle;
    const file: MarkFile = {
      initial: await handle.readFile(),
      write: (at, bytes, done) => {
        this.#marksWriting = this.#marksWriting
          .then(() => this.#writeMarks(handle, at, bytes))
          // A disk that fails is reported by the store; marks that are behind it do no harm.
          .catch((error: unknown) => this.#complain(error))
          .then(done);
      },
    };
    try {
      new Marks(file);
    } catch (error) {
      if (!(error instanceof BytesError)) throw error;
      throw new BrokerError('BROKER_ERR_DATA_NEWER_FORMAT', `${path}: ${error.message}`);
    }
    return file;
  }

  async #writeMarks(handle: FileHandle, at: number, bytes: Uint8Array): Promise<void> {
    if (this.#state.failed) return;
    await handle.write(bytes, 0, bytes.length, at);
    const nowMs = performance.now();
    if (nowMs - this.#marksSyncedMs < MARKS_SYNC_MS) return;
    this.#marksSyncedMs = nowMs;
    await handle.datasync();
  }

  #complained = false;

  #complain(error: unknown): void {
    if (this.#complained) return;
    this.#complained = true;
    this.#init.log('warn', 'cannot write a file beside the store', { why: String(error) });
  }
}

async function damageOf(
  last: RunRecord | null,
  boot: string,
  store: string,
): Promise<string | null> {
  const ofRun = last && damageOfRun(last, boot);
  if (ofRun) return ofRun;
  const { damage, torn } = await readLevelLogs(store);
  if (damage !== null) return damage;
  // A process that is killed tears no record; only a machine that loses power may.
  if (torn && last?.machineBoot === boot) return 'the last record of the log is damaged';
  return null;
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
