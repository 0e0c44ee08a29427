import type { Store, StoreChange, StoreRecord } from '../ports.ts';
import { OrderedMap } from './ordered-map.ts';

/** What {@link MemoryStore} needs and may be told. */
export interface MemoryStoreInit {
  /**
   * Runs `fn` later, never within the call. A simulator gives this the delay of its disk; calls may
   * run in any order, the store puts its answers back in order.
   */
  readonly defer: (fn: () => void) => void;
  /**
   * Unsynced batches that a crash may still take back, ≥ 1; older ones count as written back, as a
   * kernel does with dirty pages. Default 100,000.
   */
  readonly unsyncedBatchesMax?: number;
}

/** How to undo one change: the value before it, undefined if there was none. */
interface Undo {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** A batch that a crash may take back. */
interface UnsyncedBatch {
  readonly sequence: number;
  readonly undo: readonly Undo[];
}

/** A batch whose `done` has not run. */
interface Waiting {
  readonly sequence: number;
  readonly sync: boolean;
  readonly done: () => void;
  arrived: boolean;
}

const UNSYNCED_BATCHES_MAX = 100_000;

/**
 * A {@link Store} in memory, deterministic and without I/O: for simulation and for trials.
 *
 * It keeps the promises of the port and no more. What was written and not synced can be lost by
 * {@link MemoryStore.crash}, in any prefix of the order in which it was given: the batch that a real
 * disk would tear is dropped whole, since batches are atomic. Bytes are copied in and out, so no
 * caller can change what is stored.
 *
 * Holds every record in memory; the caller bounds how much it stores.
 */
export class MemoryStore implements Store {
  readonly #defer: (fn: () => void) => void;
  readonly #unsyncedBatchesMax: number;
  readonly #records = new OrderedMap<Uint8Array>();
  /** Oldest first. */
  #unsynced: UnsyncedBatch[] = [];
  #waiting: Waiting[] = [];
  #sequence = 0;
  /** Answers to requests of before a crash carry an older life and are dropped. */
  #life = 0;

  constructor(init: MemoryStoreInit) {
    this.#defer = init.defer;
    this.#unsyncedBatchesMax = init.unsyncedBatchesMax ?? UNSYNCED_BATCHES_MAX;
  }

  /** Records held, synced or not. */
  get size(): number {
    return this.#records.size;
  }

  /** Batches that `crash(0)` would take back. */
  get unsyncedBatches(): number {
    return this.#unsynced.length;
  }

  write(changes: readonly StoreChange[], sync: boolean, done: () => void): void {
    const undo: Undo[] = [];
    for (const change of changes) {
      const key = stringOf(change.key);
      undo.push({ key, value: this.#records.get(key) });
      if (change.value === null) this.#records.delete(key);
      else this.#records.set(key, new Uint8Array(change.value));
    }
    const sequence = ++this.#sequence;
    this.#unsynced.push({ sequence, undo });
    if (this.#unsynced.length > this.#unsyncedBatchesMax) this.#unsynced.shift();
    const waiting: Waiting = { sequence, sync, done, arrived: false };
    this.#waiting.push(waiting);
    this.#later(() => {
      waiting.arrived = true;
      this.#answer();
    });
  }

  getMany(
    keys: readonly Uint8Array[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void {
    const values = keys.map((key) => this.#records.get(stringOf(key))?.slice());
    this.#later(() => done(values));
  }

  scan(
    gte: Uint8Array,
    lt: Uint8Array,
    limit: number,
    bytesMax: number,
    done: (records: readonly StoreRecord[], more: boolean) => void,
  ): void {
    const records: StoreRecord[] = [];
    let bytes = 0;
    let more = limit <= 0;
    if (!more) {
      this.#records.range(stringOf(gte), stringOf(lt), (key, value) => {
        records.push({ key: bytesOf(key), value: value.slice() });
        bytes += value.length;
        more = records.length >= limit || bytes >= bytesMax;
        return !more;
      });
    }
    this.#later(() => done(records, more));
  }

  /**
   * Cuts the power: takes back every batch since the last sync that finished, except the oldest
   * `keepUnsyncedBatches` of them, and drops all answers that are due. The next process can use the store at
   * once.
   */
  crash(keepUnsyncedBatches: number): void {
    for (let i = this.#unsynced.length - 1; i >= keepUnsyncedBatches; i--) {
      this.#undo(this.#unsynced[i]!);
    }
    this.#unsynced = [];
    this.abandon();
  }

  /**
   * The process died and the machine lives: drops all answers that are due. What was
   * written stays, and what was not synced can still be lost by a later {@link crash}.
   */
  abandon(): void {
    this.#waiting = [];
    this.#life++;
  }

  /** What `crash(0)` would leave, in key order; changes nothing. */
  syncedView(): StoreRecord[] {
    const view = new OrderedMap<Uint8Array>();
    for (const [key, value] of this.#records.entries()) view.set(key, value);
    for (let i = this.#unsynced.length - 1; i >= 0; i--) {
      for (const { key, value } of this.#unsynced[i]!.undo.toReversed()) {
        if (value === undefined) view.delete(key);
        else view.set(key, value);
      }
    }
    return [...view.entries()].map(([key, value]) => ({
      key: bytesOf(key),
      value: value.slice(),
    }));
  }

  /** The value of a key now, synced or not. */
  peek(key: Uint8Array): Uint8Array | undefined {
    return this.#records.get(stringOf(key))?.slice();
  }

  /**
   * Damages a stored value, as a failing disk does: flips `bit` (modulo its length in bits).
   *
   * @returns false if the key has no value or an empty one; nothing changes then
   */
  flipBit(key: Uint8Array, bit: number): boolean {
    const old = this.#records.get(stringOf(key));
    if (old === undefined || old.length === 0) return false;
    const value = old.slice();
    const at = bit % (value.length * 8);
    value[at >> 3]! ^= 1 << (at & 7);
    this.#records.set(stringOf(key), value);
    return true;
  }

  #later(fn: () => void): void {
    const life = this.#life;
    this.#defer(() => {
      if (life === this.#life) fn();
    });
  }

  /** Answers every batch that has arrived and has no unanswered one before it. */
  #answer(): void {
    while (this.#waiting[0]?.arrived) {
      const { sequence, sync, done } = this.#waiting.shift()!;
      if (sync) {
        while (this.#unsynced.length > 0 && this.#unsynced[0]!.sequence <= sequence) {
          this.#unsynced.shift();
        }
      }
      done();
    }
  }

  #undo(batch: UnsyncedBatch): void {
    for (let i = batch.undo.length - 1; i >= 0; i--) {
      const { key, value } = batch.undo[i]!;
      if (value === undefined) this.#records.delete(key);
      else this.#records.set(key, value);
    }
  }
}

/** One character per byte: strings then compare as unsigned bytes do. */
function stringOf(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
