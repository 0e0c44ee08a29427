import assert from 'node:assert/strict';
import type { SwimAgentCounters } from '../runtime/handle.ts';

/*
 * Memory that both threads see, in words of 8 bytes:
 *
 *   0 beats of the main loop │ 1 local health score │ 2 … counters, in an order agreed at the start
 */
const BEATS = 0;
const HEALTH = 1;
const COUNTERS = 2;
/** Counters that fit into the memory shared with the thread; more fail an assertion. */
const COUNTERS_MAX = 126;

/** Names of the counters in the order of their words. */
export type CounterNames = readonly (keyof SwimAgentCounters)[];

/** A heartbeat one way and figures the other, without a message. */
export class SharedStatus {
  readonly memory: SharedArrayBuffer;
  readonly #words: BigInt64Array;

  constructor(memory = new SharedArrayBuffer((COUNTERS + COUNTERS_MAX) * 8)) {
    this.memory = memory;
    this.#words = new BigInt64Array(memory);
  }

  /** By the main loop. */
  beat(): void {
    Atomics.add(this.#words, BEATS, 1n);
  }

  get beats(): number {
    return Number(Atomics.load(this.#words, BEATS));
  }

  /** By the thread. */
  publish(health: number, counters: Readonly<SwimAgentCounters>, names: CounterNames): void {
    assert(names.length <= COUNTERS_MAX, 'every counter has a word');
    Atomics.store(this.#words, HEALTH, BigInt(health));
    for (const [at, name] of names.entries()) {
      Atomics.store(this.#words, COUNTERS + at, BigInt(counters[name]));
    }
  }

  get health(): number {
    return Number(Atomics.load(this.#words, HEALTH));
  }

  counters(names: CounterNames): SwimAgentCounters {
    return Object.fromEntries(
      names.map((name, at) => [name, Number(Atomics.load(this.#words, COUNTERS + at))]),
    ) as unknown as SwimAgentCounters;
  }
}
