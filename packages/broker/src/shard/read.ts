/** Log entries to send, from memory or disk. */
import type { Store } from '../ports.ts';
import type { LogReading } from './copy.ts';
import { entryKey } from './keys.ts';
import { readBack } from './log.ts';
import { sameNumber } from './view.ts';

/** Entries in one installation beyond which a copy is caught up as a learner first. */
export const INSTALL_ENTRIES_MAX = 1024;
/** Bytes of entries in one append. What is left goes in the next. */
export const APPEND_BYTES_MAX = 1024 * 1024;

/** A copy as its log is read. */
export interface Source {
  readonly shard: number;
  readonly host: { readonly store: Store };
  readonly log: LogReading;
  readonly loading: boolean;
  corrupt(why: string): void;
}

/** Entries after `prev` up to the end of the log or about `bytesMax`, from memory or disk. */
export function readEntries(
  copy: Source,
  prev: number,
  bytesMax: number,
  done: (entries: Uint8Array[]) => void,
): void {
  const out: Uint8Array[] = [];
  let bytes = 0;
  if (prev + 1 >= copy.log.memStart) {
    for (let i = prev + 1; i <= copy.log.end && bytes < bytesMax; i++) {
      const entry = copy.log.get(i)!;
      out.push(entry.bytes);
      bytes += entry.bytes.length;
    }
    return done(out);
  }
  const end = copy.log.end;
  const number = copy.log.numberAt(end);
  const lt = entryKey(copy.shard, Math.min(end + 1, prev + 1 + INSTALL_ENTRIES_MAX));
  copy.host.store.scan(
    entryKey(copy.shard, prev + 1),
    lt,
    INSTALL_ENTRIES_MAX,
    bytesMax,
    (records) => {
      // The log may have been cut or replaced while the disk was read.
      const now = copy.log.numberAt(end);
      if (copy.loading || !number || !now || !sameNumber(number, now) || copy.log.end < end)
        return done([]);
      let expected = prev + 1;
      for (const record of records) {
        if (bytes >= bytesMax) break;
        const entry = readBack(record.value);
        if (entry === null) copy.corrupt(`entry ${expected} is damaged on the disk`);
        if (entry?.index !== expected) break;
        out.push(record.value);
        bytes += record.value.length;
        expected++;
      }
      done(out);
    },
  );
}
