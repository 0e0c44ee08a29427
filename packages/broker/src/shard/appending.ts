/** The leader's entries on their way to the active copies: from memory, or from disk for one that is behind. */
import type { Copy } from './copy.ts';
import { readEntries } from './read.ts';
import { type CopyId, sameNumber } from './view.ts';

/** Bytes of entries in one append. What is left goes in the next. */
export const APPEND_BYTES_MAX = 1024 * 1024;
/** An active copy that lags by more entries than this, and more than memory holds, is dropped. */
export const LAG_ENTRIES_MAX = 8192;

/** Sends what the copy has not been sent, as far as there is room on the way to it. */
export function sendAppend(r: Copy, id: CopyId): void {
  let sent = r.sent.get(id) ?? r.view.startIndex;
  while (sent < r.log.end && !r.host.full?.(id)) {
    const entries: Uint8Array[] = [];
    let bytes = 0;
    const prev = sent;
    while (sent < r.log.end && bytes < APPEND_BYTES_MAX) {
      const entry = r.log.get(sent + 1);
      if (!entry) break;
      entries.push(entry.bytes);
      bytes += entry.bytes.length;
      sent++;
    }
    if (entries.length === 0) return appendFromDisk(r, id, sent);
    r.sent.set(id, sent);
    r.host.trace('append');
    const { number } = r.view;
    r.host.send(id, r.shard, { type: 'append', number, prev, commit: r.commit, entries });
  }
}

/** The next entries are older than memory. */
function appendFromDisk(r: Copy, id: CopyId, prev: number): void {
  if (r.log.end - prev > LAG_ENTRIES_MAX) {
    // It lags so far that it is caught up as a learner instead.
    r.host.trace('append-too-far');
    r.lagging.add(id);
    return;
  }
  if (r.reading.has(id)) return;
  r.reading.add(id);
  const { number } = r.view;
  readEntries(r, prev, APPEND_BYTES_MAX, (entries) => {
    r.reading.delete(id);
    if (r.role !== 'leader' || !r.isActive(id)) return;
    r.host.dirty(r.shard);
    const at = r.sent.get(id) ?? r.view.startIndex;
    if (!sameNumber(number, r.view.number) || at !== prev) return;
    if (entries.length === 0) {
      r.lagging.add(id);
      return;
    }
    r.host.trace('append');
    r.sent.set(id, prev + entries.length);
    r.host.send(id, r.shard, { type: 'append', number, prev, commit: r.commit, entries });
  });
}
