/** What waits for the members of one group, what is with them, and who waits for that. */
import type { Member } from '../route/groups.ts';

/** Members of a topic that have left are forgotten when they are so many more than the group has. */
const LEFT_MAX = 16;

/** A message that was with a member. */
export interface Again {
  readonly index: number;
  readonly sinceMs: number;
}

/** Members that were given messages of a topic which is not settled, with the last index of each. */
interface Topic {
  left: number;
  readonly last: Map<Member, number>;
}

interface Held {
  readonly untilMs: number;
  readonly run: () => void;
}

/** The messages of one group in one shard, as its leader sees them. */
export class LedQueue {
  readonly key: string;
  /** Not given yet, ascending; from `at` on. */
  fresh: number[] = [];
  at = 0;
  /** To be given again, in the order in which they came back. */
  again: Again[] = [];
  readonly topics = new Map<string, Topic>();
  /** Given at least once: index → topic. */
  readonly sent = new Map<number, string>();
  reading = false;
  /** Bound, and to be given in this order. */
  readonly bound: number[] = [];
  readingBound = false;
  /** When it was read last, and what. */
  readMs = Number.NEGATIVE_INFINITY;
  readFirst = 0;
  /** When it was looked through for expired messages last. */
  purgedMs = Number.NEGATIVE_INFINITY;
  /** Since when nobody subscribes to the group, 0 while somebody does. */
  emptyMs = 0;
  /** Publishers that wait until less does here. */
  readonly held: Held[] = [];

  constructor(key: string) {
    this.key = key;
  }

  get waiting(): number {
    return this.fresh.length - this.at + this.again.length;
  }

  shift(): void {
    this.at++;
    if (this.at < 1024 && this.at < this.fresh.length) return;
    this.fresh = this.fresh.slice(this.at);
    this.at = 0;
  }

  /** The member is given the message: it gets none of the topic that is older. */
  note(index: number, name: string, member: Member): void {
    let topic = this.topics.get(name);
    if (!topic) {
      topic = { left: 0, last: new Map() };
      this.topics.set(name, topic);
    }
    if (!this.sent.has(index)) {
      this.sent.set(index, name);
      topic.left++;
    }
    topic.last.set(member, Math.max(index, topic.last.get(member) ?? 0));
    // One that never acknowledges keeps the topic, but not all that come and go meanwhile.
    if (topic.last.size <= 2 * member.group.members.length + LEFT_MAX) return;
    for (const m of topic.last.keys()) if (m.left) topic.last.delete(m);
  }

  /** @returns what is to be given again, ascending, and taken out; the first of a topic may come back last */
  takeAgain(): Again[] {
    const again = this.again.sort((a, b) => a.index - b.index);
    this.again = [];
    return again;
  }

  /** Takes out messages that were never given and will be with no member. */
  drop(gone: ReadonlySet<number>): void {
    this.fresh = this.fresh.slice(this.at).filter((index) => !gone.has(index));
    this.at = 0;
  }

  /** The member takes neither this message nor those that were given to it after it: it may have this one next. */
  refused(index: number, member: Member): void {
    const last = this.topics.get(this.sent.get(index) ?? '')?.last;
    if (last && (last.get(member) ?? 0) >= index) last.set(member, index - 1);
  }

  /** The message is with a member, or will be with none. */
  forget(index: number): void {
    const name = this.sent.get(index);
    if (name === undefined) return;
    this.sent.delete(index);
    const topic = this.topics.get(name);
    if (topic && --topic.left === 0) this.topics.delete(name);
  }

  /** Publishers wait until `untilMs` at the most. */
  hold(untilMs: number, run: () => void): void {
    this.held.push({ untilMs, run });
  }

  /** @param room enough of what waited is gone: all may go on */
  release(room: boolean, nowMs: number): void {
    let n = 0;
    while (n < this.held.length && (room || this.held[n]!.untilMs <= nowMs)) n++;
    for (const { run } of this.held.splice(0, n)) run();
  }

  /** @returns all that waits, which is taken out */
  takeWaiting(): number[] {
    const waiting = [...this.again.map(({ index }) => index), ...this.fresh.slice(this.at)];
    this.again = [];
    this.fresh = [];
    this.at = 0;
    return waiting;
  }
}
