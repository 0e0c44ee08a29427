import type { SwimErrorCode } from '../errors.ts';
import type { Context } from './context.ts';
import type { Notices } from './notices.ts';
import type { Parts } from './parts.ts';

export const SEEDS_AT_ONCE = 8;
/** Seeds that are kept, the first ones of the list. */
const SEEDS_MAX = 256;
/** A seed that fails this long after the start is not just a little late. */
const SEED_PATIENCE_MS = 2_000;
/** Between the first two notices of one seed; doubles. */
const SEED_NOTICE_MS = 10_000;
/** Longest time between two notices of one seed that leads nowhere, in milliseconds. */
const SEED_NOTICE_MS_MAX = 600_000;

/** Addresses through which this member joins, and which of them lead nowhere. */
export class Seeds {
  readonly #context: Context;
  readonly #notices: Notices;
  #addresses: string[] = [];
  #at = 0;
  #startMs = 0;
  /** Seeds that did not let us in, and when that is said again. */
  readonly #complaints = new Map<string, { untilMs: number; intervalMs: number }>();

  constructor({ context, notices }: Parts) {
    this.#context = context;
    this.#notices = notices;
  }

  start(seeds: readonly string[]): void {
    this.#startMs = this.#context.nowMs;
    this.#addresses = this.#usable(seeds);
  }

  /** Replaces the seeds. @returns a few of the new ones that are no member's address */
  replace(seeds: readonly string[]): string[] {
    const { members } = this.#context;
    const asked = new Set(this.#addresses);
    this.#addresses = this.#usable(seeds);
    const fresh = this.#addresses.filter((seed) => !asked.has(seed) && !members.hasPeerAt(seed));
    return fresh.slice(0, SEEDS_AT_ONCE);
  }

  /** The next few, all in turn. */
  *next(count: number): Iterable<string> {
    for (let n = 0; n < Math.min(count, this.#addresses.length); n++) {
      const seed = this.#addresses[this.#at % this.#addresses.length] as string;
      this.#at++;
      yield seed;
    }
  }

  /** A random seed that is no peer's address. */
  stranger(): string | undefined {
    const { members, random } = this.#context;
    const strangers = this.#addresses.filter((seed) => !members.hasPeerAt(seed));
    if (strangers.length === 0) return undefined;
    return strangers[Math.floor(random() * strangers.length)];
  }

  /** The address turned out to be our own. */
  drop(address: string): void {
    this.#addresses = this.#addresses.filter((seed) => seed !== address);
  }

  /** A seed that leads nowhere is told while no other member is known: more and more seldom. */
  complain(error: SwimErrorCode, address: string): void {
    const { counters, members, nowMs } = this.#context;
    counters.seedsFailed++;
    if (members.peerCount() > 0) {
      this.#complaints.clear();
      return;
    }
    // Nodes that start together wait for each other.
    if (nowMs - this.#startMs < SEED_PATIENCE_MS || !this.#addresses.includes(address)) return;
    const last = this.#complaints.get(address);
    if (last !== undefined && nowMs < last.untilMs) return;
    const intervalMs = Math.min(SEED_NOTICE_MS_MAX, (last?.intervalMs ?? SEED_NOTICE_MS / 2) * 2);
    if (this.#complaints.size >= SEEDS_MAX) this.#complaints.clear();
    this.#complaints.set(address, { untilMs: nowMs + intervalMs, intervalMs });
    this.#notices.say(error, address);
  }

  #usable(seeds: readonly string[]): string[] {
    const others = [...new Set(seeds)].filter((seed) => seed !== this.#context.self.address);
    return others.slice(0, SEEDS_MAX);
  }
}
