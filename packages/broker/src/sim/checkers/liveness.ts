import { Checker, type World } from './checker.ts';

/** An actor of the workload that still has something to finish. */
export interface Unfinished {
  /** What it waits for, in words; undefined if done. */
  unfinished(): string | undefined;
}

/**
 * Invariant 10, as `consistent` promises it: once the faults are over, every CONNECT, SUBSCRIBE and
 * PUBLISH finishes within a bound of virtual time. (`available` promises it on every side of a
 * split; that is tested when branches exist.)
 */
export class Liveness extends Checker {
  readonly invariant = '10 liveness';
  readonly #actors: () => readonly Unfinished[];

  constructor(actors: () => readonly Unfinished[]) {
    super();
    this.#actors = actors;
  }

  override pending(_world: World): string | undefined {
    const waiting: string[] = [];
    for (const actor of this.#actors()) {
      const what = actor.unfinished();
      if (what !== undefined) waiting.push(what);
    }
    return waiting.length === 0 ? undefined : `unfinished: ${waiting.slice(0, 6).join('; ')}`;
  }
}
