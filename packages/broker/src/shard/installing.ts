/** The starting log on its way to the new active copies: page by page, as far as there is room. */
import type { ReplicaHost } from './host.ts';
import type { Attempt, Installing } from './procedures.ts';
import { APPEND_BYTES_MAX, readEntries, type Source } from './read.ts';
import type { CopyId, View } from './view.ts';

interface Installer extends Source {
  readonly host: ReplicaHost;
}

/**
 * Goes on with every copy; called again at each tick.
 *
 * @param going false once the attempt is given up
 */
export function installMore(copy: Installer, f: Attempt, going: () => boolean): void {
  for (const [id, at] of f.installing) sendPage(copy, f, f.next!, id, at, going);
}

function sendPage(
  copy: Installer,
  f: Attempt,
  next: View,
  id: CopyId,
  at: Installing,
  going: () => boolean,
): void {
  const { host, shard } = copy;
  if (at.reading || host.full?.(id)) return;
  at.reading = true;
  const { prev } = at;
  readEntries(copy, prev, APPEND_BYTES_MAX, (entries) => {
    at.reading = false;
    if (!going() || f.next !== next) return;
    // Nothing where there should be: the step is given up in time.
    if (entries.length === 0 && prev < next.startIndex) return;
    f.stepMs = host.nowMs();
    at.prev = prev + entries.length;
    host.send(id, shard, { type: 'install', view: next, prev, entries });
    if (at.prev >= next.startIndex) f.installing.delete(id);
    else sendPage(copy, f, next, id, at, going);
  });
}
