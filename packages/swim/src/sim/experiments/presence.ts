import { isPresent } from '../../core/member-list.ts';
import type { MemberState } from '../../core/message.ts';

/** Who holds whom to be present: a square of bits, n ≤ 10,000. */
export class Presence {
  readonly #size: number;
  readonly #cells: Uint8Array;
  readonly #counts: Int32Array;

  constructor(size: number, present: boolean) {
    this.#size = size;
    this.#cells = new Uint8Array(size * size).fill(present ? 1 : 0);
    this.#counts = new Int32Array(size).fill(present ? size : 0);
    if (!present) for (let n = 0; n < size; n++) this.set(n, n, true);
  }

  /** Takes in a change of state. */
  note(observer: number, member: number, state: MemberState): void {
    this.set(observer, member, isPresent({ state }));
  }

  set(observer: number, member: number, present: boolean): void {
    const at = observer * this.#size + member;
    const value = present ? 1 : 0;
    this.#counts[observer] =
      (this.#counts[observer] as number) + value - (this.#cells[at] as number);
    this.#cells[at] = value;
  }

  has(observer: number, member: number): boolean {
    return this.#cells[observer * this.#size + member] === 1;
  }

  /** Members that this one holds to be present, itself included. */
  count(observer: number): number {
    return this.#counts[observer] as number;
  }

  /** A process that starts anew knows itself only. */
  reset(observer: number): void {
    this.#cells.fill(0, observer * this.#size, (observer + 1) * this.#size);
    this.#counts[observer] = 0;
    this.set(observer, observer, true);
  }
}
