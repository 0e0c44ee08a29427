import { isPresent } from '../core/member-list.ts';
import type { SwimMember } from '../core/message.ts';

/** What is told of single members, beside the whole list; the own one included. */
export interface MemberCallbacks {
  /** It is present (alive or suspect), and was not, or not as this process. */
  onJoin?(member: SwimMember): void;
  /** It is not present any more: faulty or left, or, if still shown as present, replaced or forgotten. */
  onLeave?(member: SwimMember): void;
  /** It is still present, and anything else about it has changed. */
  onUpdate?(member: SwimMember, before: SwimMember): void;
}

/** Tells what differs between one list of members and the next: each change once, in the order of names. */
export class MemberEvents {
  readonly #callbacks: MemberCallbacks;
  readonly #tell: (call: () => void) => void;
  #before: readonly SwimMember[] = [];

  /** @param tell makes the call, now or a little later */
  constructor(callbacks: MemberCallbacks, tell: (call: () => void) => void) {
    this.#callbacks = callbacks;
    this.#tell = tell;
  }

  /** Whether the owner has no callback for single members. */
  get #isIdle(): boolean {
    const { onJoin, onLeave, onUpdate } = this.#callbacks;
    return onJoin === undefined && onLeave === undefined && onUpdate === undefined;
  }

  /** @param after sorted by name */
  take(after: readonly SwimMember[]): void {
    if (this.#isIdle) return;
    const before = this.#before;
    this.#before = after;
    let at = 0;
    for (const member of after) {
      for (; at < before.length && (before[at] as SwimMember).name < member.name; at++) {
        this.#compare(before[at], undefined);
      }
      const old = before[at]?.name === member.name ? before[at] : undefined;
      if (old !== undefined) at++;
      if (old !== member) this.#compare(old, member);
    }
    for (; at < before.length; at++) this.#compare(before[at], undefined);
  }

  #compare(before: SwimMember | undefined, after: SwimMember | undefined): void {
    const callbacks = this.#callbacks;
    const was = before !== undefined && isPresent(before) ? before : undefined;
    const is = after !== undefined && isPresent(after) ? after : undefined;
    if (was !== undefined && is !== undefined && was.bootEpoch === is.bootEpoch) {
      this.#tell(() => callbacks.onUpdate?.(is, was));
      return;
    }
    const left = is === undefined ? (after ?? was) : was;
    if (was !== undefined && left !== undefined) this.#tell(() => callbacks.onLeave?.(left));
    if (is !== undefined) this.#tell(() => callbacks.onJoin?.(is));
  }
}
