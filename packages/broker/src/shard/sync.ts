/** Starting a transfer; the rest is in transfer.ts. */
import type { Copy } from './copy.ts';
import type { CopyId, ViewNumber } from './view.ts';

export function startSync(r: Copy, id: CopyId, number: ViewNumber): void {
  const nowMs = r.host.nowMs();
  r.syncs.set(id, {
    number,
    phase: 'probe',
    acked: 0,
    busy: true,
    ready: false,
    lastMs: nowMs,
    snapshot: null,
  });
  r.host.trace('learner');
  r.host.send(id, r.shard, { type: 'probe', number });
}
