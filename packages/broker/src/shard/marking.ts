/** What is noted of a copy apart from its log: see {@link Mark}. */
import { crc32c } from '../bytes.ts';
import type { Marks } from './host.ts';
import type { ViewNumber } from './view.ts';

/** Tells numbers of equal counter apart in a {@link Mark}. */
export function printOf(number: ViewNumber): number {
  return crc32c(Buffer.from(`${number.leader} ${number.bootEpoch}`));
}

/** The record of promises and view is durable. `keeps`: the log still has what it held in this view. */
export function markHard(
  marks: Marks,
  shard: number,
  promised: number,
  number: ViewNumber,
  keeps: boolean,
): void {
  const m = marks.get(shard);
  const print = printOf(number);
  const same = keeps && m !== undefined && m.view === number.counter && m.print === print;
  marks.set(shard, {
    promised: Math.max(m?.promised ?? 0, promised),
    view: number.counter,
    print,
    durable: same ? m.durable : 0,
    commit: m?.commit ?? 0,
  });
}
