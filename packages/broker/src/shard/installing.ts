/** The starting log on its way to the new active copies: page by page, as far as there is room. */
import { APPEND_BYTES_MAX } from './appending.ts';
import type { Copy } from './copy.ts';
import type { Formation, Installing } from './procedures.ts';
import { readEntries } from './read.ts';
import type { CopyId, View } from './view.ts';

/** Goes on with every copy; called again at each tick. */
export function installMore(r: Copy, f: Formation): void {
  for (const [id, at] of f.installing) sendPage(r, f, f.next!, id, at);
}

function sendPage(r: Copy, f: Formation, next: View, id: CopyId, at: Installing): void {
  if (at.reading || r.host.full?.(id)) return;
  at.reading = true;
  const { prev } = at;
  readEntries(r, prev, APPEND_BYTES_MAX, (entries) => {
    at.reading = false;
    if (r.formation !== f || f.next !== next) return;
    // Nothing where there should be: the step is given up in time.
    if (entries.length === 0 && prev < next.startIndex) return;
    f.stepMs = r.host.nowMs();
    at.prev = prev + entries.length;
    r.host.send(id, r.shard, { type: 'install', view: next, prev, entries });
    if (at.prev >= next.startIndex) f.installing.delete(id);
    else sendPage(r, f, next, id, at);
  });
}
