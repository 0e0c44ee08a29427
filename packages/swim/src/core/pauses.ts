/** A shorter silence says nothing: datagrams are lost. */
const PAUSE_MS_MIN = 500;
/** A longer silence was a split or a host that was gone, and no member waits longer for it, in milliseconds. */
const PAUSE_MS_MAX = 20_000;
const PAUSE_MULT = 1.5;
const KEEP_MS = 3_600_000;

/** How long a member was silent, and when that was over. */
interface Pause {
  readonly lastedMs: number;
  readonly endMs: number;
}

/**
 * Remembers for how long members were silent before they went on.
 *
 * A member that has paused may pause again: its virtual machine is moved, its host is overloaded. It may
 * be silent for half as long again as its longest recent pause. One entry for each member at most.
 */
export class Pauses {
  readonly #longest = new Map<string, Pause>();

  get size(): number {
    return this.#longest.size;
  }

  /** A member that was suspected, or called faulty, for so long went on as the same process. */
  note(name: string, lastedMs: number, nowMs: number): void {
    if (lastedMs < PAUSE_MS_MIN || lastedMs > PAUSE_MS_MAX) return;
    const known = this.#longest.get(name);
    const isLonger =
      known === undefined || lastedMs >= known.lastedMs || this.#isOver(known, nowMs);
    if (isLonger) this.#longest.set(name, { lastedMs, endMs: nowMs });
    else this.#longest.set(name, { ...known, endMs: nowMs });
  }

  /** How long this member may be silent because of what it did before; 0 if it never paused. */
  toleranceMs(name: string, nowMs: number): number {
    const known = this.#longest.get(name);
    if (known === undefined || this.#isOver(known, nowMs)) return 0;
    return Math.min(PAUSE_MS_MAX, known.lastedMs * PAUSE_MULT);
  }

  /** The member is not known any more. */
  drop(name: string): void {
    this.#longest.delete(name);
  }

  /** Drops old pauses, and those of members that are gone. */
  forget(nowMs: number, isKnown: (name: string) => boolean): void {
    for (const [name, pause] of this.#longest) {
      if (this.#isOver(pause, nowMs) || !isKnown(name)) this.#longest.delete(name);
    }
  }

  #isOver({ endMs }: Pause, nowMs: number): boolean {
    return nowMs - endMs > KEEP_MS;
  }
}
