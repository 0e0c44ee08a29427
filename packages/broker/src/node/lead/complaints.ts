/** Log lines about what clients may cause again and again: one a subject and minute. */
import type { Log } from '../../ports.ts';

/** A line about the same subject is not repeated sooner. */
const REPEAT_MS = 60_000;
/** Subjects that are remembered; beyond it all are forgotten. */
const SUBJECTS_MAX = 1000;

export class Complaints {
  readonly #node: { nowMs(): number; readonly log: Log };
  readonly #lastMs = new Map<string, number>();

  constructor(node: { nowMs(): number; readonly log: Log }) {
    this.#node = node;
  }

  warn(subject: string, message: string, fields: Record<string, unknown>): void {
    const nowMs = this.#node.nowMs();
    if (nowMs - (this.#lastMs.get(subject) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    if (this.#lastMs.size >= SUBJECTS_MAX) this.#lastMs.clear();
    this.#lastMs.set(subject, nowMs);
    this.#node.log('warn', message, fields);
  }
}
