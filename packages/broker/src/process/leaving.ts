import { isDrained, type LeavingNode, takeBackPromises } from '../node/members/drained.ts';

/** Between two looks whether this node is still needed. */
const LOOK_MS = 200;
/**
 * Looks in a row at which no view needs the node. A leader that has not heard yet that it leaves may take
 * it in once more; within a second gossip has reached every member that can be reached.
 */
const CLEAR_LOOKS = 5;

/** Whether a node that leaves is needed no more; takes back what it promised beyond the announced views. */
export function lookDrained(core: LeavingNode): boolean {
  const drained = isDrained(core);
  if (!drained) takeBackPromises(core);
  return drained;
}

/**
 * A node that is being removed, until nothing needs it.
 *
 * ```
 *   serving ──begin──▶ leaving: placement takes its shards away ──no view needs it, 5 looks──▶ free
 * ```
 * That it leaves is part of what the member says of itself, so no other node has to remember it; a node that is
 * started again meanwhile is an ordinary member again.
 */
export class Leaving {
  #underWay = false;
  #lookedMs = 0;
  #clearLooks = 0;

  get underWay(): boolean {
    return this.#underWay;
  }

  begin(nowMs: number): void {
    this.#underWay = true;
    this.#lookedMs = nowMs;
  }

  /** @returns true once: the node may go */
  tick(nowMs: number, drained: () => boolean): boolean {
    if (!this.#underWay || nowMs - this.#lookedMs < LOOK_MS) return false;
    this.#lookedMs = nowMs;
    this.#clearLooks = drained() ? this.#clearLooks + 1 : 0;
    if (this.#clearLooks < CLEAR_LOOKS) return false;
    this.#underWay = false;
    return true;
  }
}
