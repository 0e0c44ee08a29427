/**
 * Answers to the leader of a group's shard that wait until a stored member has room for more messages.
 *
 * That leader counts an unanswered message as under way to the member, and passes over a member whose window is
 * full. So at most a window of answers waits here for each such leader, and none for a member that is away.
 */
import type { Session } from '../../session/session.ts';

interface Waiting {
  readonly group: string;
  readonly window: number;
  readonly run: () => void;
}

function waits(s: Session, { group, window }: Waiting): boolean {
  return s.connected && s.pending >= window && s.subscriptions?.has(group) === true;
}

export class GiveAnswers {
  readonly #waiting = new Map<Session, Waiting[]>();

  /** Runs `run` when fewer than `window` messages of the session are unsettled, or it is away or no member. */
  whenRoom(s: Session, group: string, window: number, run: () => void): void {
    const answer = { group, window, run };
    if (!waits(s, answer)) return run();
    const waiting = this.#waiting.get(s);
    if (waiting) waiting.push(answer);
    else this.#waiting.set(s, [answer]);
  }

  /** Messages have been settled, or the connection is over. */
  settled(s: Session | undefined): void {
    const waiting = s && this.#waiting.get(s);
    if (!waiting) return;
    const left = waiting.filter((each) => waits(s, each));
    if (left.length === 0) this.#waiting.delete(s);
    else this.#waiting.set(s, left);
    for (const each of waiting) if (!left.includes(each)) each.run();
  }

  /** The session is over. */
  ended(s: Session): void {
    const waiting = this.#waiting.get(s) ?? [];
    this.#waiting.delete(s);
    for (const { run } of waiting) run();
  }

  tick(): void {
    for (const s of [...this.#waiting.keys()]) this.settled(s);
  }

  stop(): void {
    this.#waiting.clear();
  }
}
