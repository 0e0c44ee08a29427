import { Checker } from './checker.ts';

/** A fault may still show for so long after its end: membership has to find the others again. */
const FAULT_SHOWS_MS = 15_000;

/** What a core reports of a view that it has established. */
interface Established {
  readonly counter: number;
  readonly leader: string;
  readonly active: readonly string[];
}

/**
 * Invariant 15: a planned change never has fewer active copies than min(old R, new R), but for copies
 * that do not answer.
 *
 * Judged at every view that is established. While no fault is under way no node is silent, so that no
 * excuse of a planned change counts then, and no view may have fewer copies than the one before.
 */
export class CopiesKept extends Checker {
  readonly invariant = '15 planned changes keep copies';
  readonly #replicas: number;
  readonly #last = new Map<number, Established>();

  constructor(replicas: number) {
    super();
    this.#replicas = replicas;
  }

  override onPhase(node: string, phase: string, fields?: Record<string, unknown>): void {
    if (phase !== 'established' || fields === undefined) return;
    const shard = Number(fields['shard']);
    const counter = Number(fields['counter']);
    const active = names(fields['active']);
    const before = this.#last.get(shard);
    // Views are ordered by counter, then leader: two may have one counter.
    if (
      before &&
      (before.counter > counter || (before.counter === counter && before.leader >= node))
    )
      return;
    this.#last.set(shard, { counter, leader: node, active });
    if (!before) return;
    const lost = before.active.filter((name) => !active.includes(name));
    const disturbed = this.history.disturbed(
      this.history.nowMs - FAULT_SHOWS_MS,
      this.history.nowMs,
    );
    // An election follows from a fault: who can be reached then decides.
    if (disturbed && fields['planned'] !== true) return;
    // Slow links may draw a first election out beyond that; its candidate waits for no node for ever.
    const excused = disturbed || fields['planned'] !== true ? names(fields['unheard']) : [];
    const wanted = Math.min(this.#replicas, Number(fields['wanted'] ?? this.#replicas));
    const least =
      Math.min(before.active.length, wanted) - lost.filter((n) => excused.includes(n)).length;
    if (active.length >= least) return;
    this.fail(
      `shard ${shard}: view ${counter} of ${node} has active ${active.join(' ')}, view ` +
        `${before.counter} had ${before.active.join(' ')}; ${wanted} wanted, ` +
        `${excused.join(' ') || 'nobody'} unheard`,
    );
  }
}

function names(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
