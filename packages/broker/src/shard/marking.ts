/** What is noted of a copy apart from its log: see {@link Mark}. */
import { crc32c } from '../bytes.ts';
import type { Mark, Marks } from './host.ts';
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

/** The marks of one copy: how far it has come. */
export class Marking {
  readonly #shard: number;
  readonly #marks: Marks;
  #commit = -1;
  #durable = -1;

  constructor(shard: number, marks: Marks) {
    this.#shard = shard;
    this.#marks = marks;
  }

  get mark(): Mark | undefined {
    return this.#marks.get(this.#shard);
  }

  /** The record of promises and view is durable; see {@link markHard}. */
  onHard(promised: number, number: ViewNumber, keeps: boolean): void {
    markHard(this.#marks, this.#shard, promised, number, keeps);
  }

  /**
   * Notes how far the log is durable and committed.
   *
   * @param vouched the view for which the copy acknowledges, null if it does for none
   */
  note(durable: number, commit: number, vouched: ViewNumber | null): void {
    if (commit === this.#commit && durable === this.#durable) return;
    const m = this.mark;
    if (!m) return;
    // The record of this view is not durable yet.
    if (vouched && (m.view !== vouched.counter || m.print !== printOf(vouched))) return;
    this.#commit = commit;
    this.#durable = durable;
    this.#marks.set(this.#shard, {
      ...m,
      durable: vouched ? Math.max(m.durable, durable) : m.durable,
      commit: Math.max(m.commit, Math.min(commit, durable)),
    });
  }

  /** An operator gave up what was acknowledged, and what was committed after `commit`. */
  lower(commit: number): void {
    const m = this.mark;
    if (m) this.#marks.set(this.#shard, { ...m, durable: 0, commit });
  }
}
