/**
 * Checkpoints of one copy: the state is encoded at the end of the log, and written once all of that is
 * committed. Until then nothing that it replaces is deleted.
 */
import type { ReplicaHost, ShardMachine } from './host.ts';
import { checkpointKey, entryKey } from './keys.ts';
import type { Log } from './log.ts';
import { encodeCheckpoint } from './record.ts';

/** State at `index`, encoded when that was the end of the log; written once it is committed. */
interface Pending {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly deletes: readonly number[];
  readonly kept: number[];
  readonly tailStart: number;
}

export class Checkpoints {
  readonly #shard: number;
  readonly #host: ReplicaHost;
  readonly #machine: ShardMachine;
  readonly #log: Log;
  #index = 0;
  /** Freed entries above tailStart, still on disk for copies that return. */
  #kept: number[] = [];
  #pending: Pending | null = null;

  constructor(shard: number, host: ReplicaHost, machine: ShardMachine, log: Log) {
    this.#shard = shard;
    this.#host = host;
    this.#machine = machine;
    this.#log = log;
  }

  /** Index of the one on disk; 0 if there is none. */
  get index(): number {
    return this.#index;
  }

  /** Enough has been appended since the last checkpoint. */
  get due(): boolean {
    if (this.#pending) return false;
    // What is kept is written with each checkpoint: the more of it, the fewer of them.
    const every = Math.max(this.#host.limits.checkpointEvery, this.#kept.length / 4);
    return this.#log.end - this.#index >= every;
  }

  /**
   * Encodes the state, which is that of the end of the log.
   *
   * @param heldFrom entries after this index are wanted on disk
   */
  take(heldFrom: number, commit: number): void {
    const index = this.#log.end;
    const { tailKeep } = this.#host.limits;
    const tailStart = Math.max(this.#log.tailStart, Math.min(index - tailKeep, heldFrom));
    const deletes: number[] = [];
    const kept: number[] = [];
    for (const i of this.#kept) (i <= tailStart ? deletes : kept).push(i);
    for (const i of this.#machine.takeFreed()) (i <= tailStart ? deletes : kept).push(i);
    this.#kept = [];
    const bytes = this.#encode(index, index, tailStart, kept);
    this.#pending = { index, bytes, deletes, kept, tailStart };
    this.write(commit);
  }

  /** Writes the pending checkpoint once what it covers is committed. */
  write(commit: number): void {
    const p = this.#pending;
    if (!p || p.index > commit) return;
    this.#pending = null;
    this.#host.batch.put(checkpointKey(this.#shard), p.bytes);
    for (const i of p.deletes) this.#host.batch.put(entryKey(this.#shard, i), null);
    this.#kept = p.kept.concat(this.#kept);
    this.#index = p.index;
    this.#log.tailStart = Math.max(this.#log.tailStart, p.tailStart);
    this.#host.trace('checkpoint');
  }

  /** Entries after `index` are gone: a checkpoint that covers them may not be written. */
  truncate(index: number): void {
    if (this.#pending && this.#pending.index > index) this.#pending = null;
  }

  /** A snapshot replaces the log: no checkpoint of before may be written, and none is to be read. */
  discard(): void {
    this.#pending = null;
    this.#host.batch.put(checkpointKey(this.#shard), null);
  }

  /** The machine was given the state at `index`, the log starts there: written at once. */
  restart(index: number, commit: number): void {
    this.resume(index, []);
    this.#host.batch.put(checkpointKey(this.#shard), this.#encode(index, commit, index, []));
  }

  /** The log starts from the checkpoint on disk at `index`. */
  resume(index: number, kept: readonly number[]): void {
    this.#pending = null;
    this.#index = index;
    this.#kept = [...kept];
  }

  /** @param commit last index known to be committed once the record is written */
  #encode(index: number, commit: number, tailStart: number, kept: readonly number[]): Uint8Array {
    const { terms } = this.#log;
    const state = this.#machine.encode();
    return encodeCheckpoint({ index, commit, tailStart, terms, kept, state });
  }
}
