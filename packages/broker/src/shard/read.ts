/** Log entries to send, from memory or disk. */
import type { Copy } from './copy.ts';
import { entryKey } from './keys.ts';
import { readBack } from './log.ts';
import { sameNumber } from './view.ts';

/** Entries in one installation beyond which a copy is caught up as a learner first. */
export const INSTALL_ENTRIES_MAX = 1024;

/** Entries after `prev` up to the end of the log or about `bytesMax`, from memory or disk. */
export function readEntries(
  r: Copy,
  prev: number,
  bytesMax: number,
  done: (entries: Uint8Array[]) => void,
): void {
  const out: Uint8Array[] = [];
  let bytes = 0;
  if (prev + 1 >= r.log.memStart) {
    for (let i = prev + 1; i <= r.log.end && bytes < bytesMax; i++) {
      const entry = r.log.get(i)!;
      out.push(entry.bytes);
      bytes += entry.bytes.length;
    }
    return done(out);
  }
  const end = r.log.end;
  const number = r.log.numberAt(end);
  const lt = entryKey(r.shard, Math.min(end + 1, prev + 1 + INSTALL_ENTRIES_MAX));
  r.host.store.scan(entryKey(r.shard, prev + 1), lt, INSTALL_ENTRIES_MAX, bytesMax, (records) => {
    // The log may have been cut or replaced while the disk was read.
    const now = r.log.numberAt(end);
    if (r.loading || !number || !now || !sameNumber(number, now) || r.log.end < end)
      return done([]);
    let expected = prev + 1;
    for (const record of records) {
      if (bytes >= bytesMax) break;
      const entry = readBack(record.value);
      if (entry === null) r.corrupt(`entry ${expected} is damaged on the disk`);
      if (entry?.index !== expected) break;
      out.push(record.value);
      bytes += record.value.length;
      expected++;
    }
    done(out);
  });
}
