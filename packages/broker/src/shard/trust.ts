/**
 * Whether a copy's word holds: what a copy does that finds itself short, and its leader when it hears.
 *
 * An acknowledgement is a promise to have the entry. A copy that has lost what it acknowledged, or a part
 * of its log, says so and is replaced by a snapshot; a leader that sees it first tells it.
 */
import type { Copy } from './copy.ts';
import { abandon } from './formation.ts';
import type { ShardMessage } from './message.ts';
import { dropPartial } from './partial.ts';
import { type CopyId, sameNumber } from './view.ts';

/** This copy is not whole: its log does not count any more, its leader hears of it, and people do. */
export function short(r: Copy, why: string): void {
  if (r.valid) {
    r.host.trace('corrupt', { shard: r.shard, why });
    r.host.report?.(r.shard, 'short', why);
    r.valid = false;
    r.putHard();
  }
  if (r.formation || r.role !== 'follower') abandon(r, 'corrupt');
  tellLeader(r);
}

/** Says to the leader of the recorded view that this copy is not whole. */
export function tellLeader(r: Copy): void {
  const { number } = r.view;
  if (number.leader !== r.self && r.isActive(r.self))
    r.host.send(number.leader, r.shard, { type: 'broken', number });
}

/** An active copy of ours is not whole: nothing counts on it until a new view has made it anew. */
export function onBroken(r: Copy, from: CopyId, m: ShardMessage & { type: 'broken' }): void {
  if (r.role !== 'leader' || !sameNumber(m.number, r.view.number) || !r.isActive(from)) return;
  r.broken.add(from);
}

/**
 * Our leader knows that this copy acknowledged more than it has now.
 *
 * @param m `index` is what it acknowledged in this view
 */
export function onShort(r: Copy, m: ShardMessage & { type: 'short' }): void {
  if (!sameNumber(m.number, r.view.number) || !r.isActive(r.self) || r.durable >= m.index) return;
  short(r, `the log ends at ${r.log.end}, acknowledged is ${m.index}`);
}

/**
 * An operator gives up what only this copy has: it becomes a learner of the view that lacks it. Or, where
 * every other copy is gone, goes on with what this one still has.
 *
 * @returns what was done, or null if there is nothing to recover here
 */
export function recover(r: Copy): 'discarded' | 'restored' | null {
  if (r.loading || r.receiving) return null;
  if (r.contradiction !== null) {
    r.contradiction = null;
    r.commit = 0;
    r.valid = false;
    r.putHard();
    const mark = r.host.marks?.get(r.shard);
    if (mark) r.host.marks!.set(r.shard, { ...mark, durable: 0, commit: 0 });
    return 'discarded';
  }
  if (r.valid || !r.isActive(r.self)) return null;
  r.valid = true;
  dropPartial(r);
  r.putHard();
  return 'restored';
}
