/**
 * A snapshot that was interrupted goes on where it was: what a learner notes of the part that it has.
 *
 * Entries come in ascending order, and an entry that was let go is never referred to again. So all that a
 * later snapshot refers to, up to where this one had come, is on the learner's disk already, as long as
 * both logs are the same there. The state itself is sent anew.
 */
import { BytesError } from '../bytes.ts';
import type { ReplicaHost, ShardMachine } from './host.ts';
import { entryKey, partialKey } from './keys.ts';
import { decodePartial, encodePartial, type Partial } from './record.ts';

/** A copy of a shard, as it writes down what it has. */
interface Learner {
  readonly shard: number;
  readonly host: ReplicaHost;
  readonly machine: ShardMachine;
}

const PAGE = 1024;
const PAGE_BYTES = 256 * 1024;

export function putPartial(copy: Learner, partial: Partial): void {
  copy.host.batch.put(partialKey(copy.shard), encodePartial(partial));
}

export function dropPartial(copy: Learner): void {
  copy.host.batch.put(partialKey(copy.shard), null);
}

/** @param done with what was noted, or null if there is nothing that can be read */
export function readPartial(copy: Learner, done: (partial: Partial | null) => void): void {
  copy.host.store.getMany([partialKey(copy.shard)], ([bytes]) =>
    done(bytes ? readable(bytes) : null),
  );
}

function readable(bytes: Uint8Array): Partial | null {
  try {
    return decodePartial(bytes);
  } catch (e) {
    if (!(e instanceof BytesError)) throw e;
    return null;
  }
}

/**
 * Deletes entries up to `upto` that the restored machine does not refer to.
 *
 * @param going false once something else has begun
 * @param done whether every entry that it refers to is there
 */
export function keepLive(
  copy: Learner,
  upto: number,
  going: () => boolean,
  done: (whole: boolean) => void,
): void {
  const live = new Set(copy.machine.liveIndexes().filter((index) => index <= upto));
  const page = (from: number): void => {
    const lt = entryKey(copy.shard, upto + 1);
    copy.host.store.scan(entryKey(copy.shard, from), lt, PAGE, PAGE_BYTES, (records, more) => {
      if (!going()) return;
      let last = from;
      for (const { key } of records) {
        last = new DataView(key.buffer, key.byteOffset).getUint16(4) * 2 ** 32;
        last += new DataView(key.buffer, key.byteOffset).getUint32(6);
        if (!live.delete(last)) copy.host.batch.put(key, null);
      }
      if (more) page(last + 1);
      else done(live.size === 0);
    });
  };
  page(0);
}
