import type { Prng, Scheduler } from '@shoal/swim/sim';
import type { Transcript } from './transcript.ts';

/** Standing behaviour of the network between nodes. Chances in [0, 1], times in milliseconds. */
export interface NetworkOptions {
  readonly datagramDrop: number;
  readonly datagramDuplicate: number;
  /** Chance that a datagram is held back by up to `datagramReorderMs`. */
  readonly datagramReorder: number;
  readonly datagramReorderMs: number;
  /** Extra delay of every datagram, uniform up to this. */
  readonly datagramDelayMs: number;
  readonly streamFail: number;
  /** One way, the least and the most; every message draws its own. */
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  /** What a link carries, in bytes a millisecond; 0 for no bound. */
  readonly linkBytesPerMs: number;
  /** A link whose bytes are held for this long is reset. */
  readonly linkTimeoutMs: number;
}

/** One direction of a cut, by node names. */
export interface Cut {
  readonly from: string;
  readonly to: string;
}

/**
 * The wires between nodes: who reaches whom, and how fast.
 *
 * Cuts are counted per direction, so that overlapping faults heal independently. What travels when a
 * cut begins is held (streams) or lost (datagrams), as it would be.
 *
 * This is not the `Network` of `@shoal/swim/sim`. Here cuts and delays hold for membership and for the links
 * between nodes alike; there each packet of UDP and TCP is modelled, for experiments with membership alone. The
 * two draw differently, and a recorded seed must replay.
 */
export class SimNetwork {
  /** While false the standing faults rest: delays stay small and nothing is lost. */
  faulty = true;
  readonly options: NetworkOptions;
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #transcript: Transcript;
  readonly #cuts = new Map<string, number>();
  readonly #onHealed: (() => void)[] = [];

  constructor(o: {
    scheduler: Scheduler;
    random: Prng;
    transcript: Transcript;
    options: NetworkOptions;
  }) {
    this.#scheduler = o.scheduler;
    this.#random = o.random;
    this.#transcript = o.transcript;
    this.options = o.options;
  }

  /** Calls `fn` whenever a cut ends, so that held bytes move again. */
  whenHealed(fn: () => void): void {
    this.#onHealed.push(fn);
  }

  blocked(from: string, to: string): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) > 0;
  }

  /** True if either direction between the two is cut. */
  severed(a: string, b: string): boolean {
    return this.#cuts.size > 0 && (this.blocked(a, b) || this.blocked(b, a));
  }

  cut(cuts: readonly Cut[]): void {
    for (const { from, to } of cuts) {
      const key = `${from}>${to}`;
      this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
    }
  }

  heal(cuts: readonly Cut[]): void {
    for (const { from, to } of cuts) {
      const key = `${from}>${to}`;
      const left = (this.#cuts.get(key) ?? 0) - 1;
      if (left > 0) this.#cuts.set(key, left);
      else this.#cuts.delete(key);
    }
    for (const fn of this.#onHealed) fn();
  }

  healAll(): void {
    this.#cuts.clear();
    for (const fn of this.#onHealed) fn();
  }

  /** One-way delay of one message. */
  delayMs(): number {
    const { delayMinMs, delayMaxMs } = this.options;
    const maxMs = this.faulty ? delayMaxMs : Math.min(delayMaxMs, delayMinMs + 1);
    // Most messages are quick and few are slow.
    return delayMinMs + this.#random.next() ** 4 * (maxMs - delayMinMs);
  }

  /**
   * Sends a datagram: it arrives never, once or twice, in any order.
   *
   * @param arrive called at the destination for every copy that arrives
   */
  datagram(from: string, to: string, bytes: Uint8Array, arrive: (bytes: Uint8Array) => void): void {
    const o = this.options;
    const copies = this.faulty && this.#random.chance(o.datagramDuplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.faulty && this.#random.chance(o.datagramDrop)) {
        this.#transcript.say(from, `datagram to ${to} dropped`);
        continue;
      }
      let delayMs = this.delayMs();
      if (this.faulty) {
        delayMs += this.#random.next() * o.datagramDelayMs;
        if (this.#random.chance(o.datagramReorder))
          delayMs += this.#random.next() * o.datagramReorderMs;
      }
      this.#scheduler.after(delayMs, () => {
        if (this.blocked(from, to)) return;
        this.#transcript.note(to, `datagram from ${from}`, bytes);
        arrive(bytes);
      });
    }
  }

  /**
   * One request on a stream of its own, for push-pull. `answer(null)` means failure; it runs once.
   *
   * @param arrive called at the destination with a function that sends the response
   */
  request(
    from: string,
    to: string,
    timeoutMs: number,
    arrive: (respond: (bytes: Uint8Array) => void) => boolean,
    answer: (bytes: Uint8Array | null) => void,
  ): void {
    let finished = false;
    const finish = (bytes: Uint8Array | null) => {
      if (finished) return;
      finished = true;
      answer(bytes);
    };
    this.#scheduler.after(timeoutMs, () => finish(null));
    if (this.faulty && this.#random.chance(this.options.streamFail)) {
      this.#scheduler.after(this.delayMs() * 2, () => finish(null));
      return;
    }
    // A handshake costs a round trip before the request.
    this.#scheduler.after(this.delayMs() + this.delayMs() + this.delayMs(), () => {
      if (this.severed(from, to)) return;
      const accepted = arrive((bytes) => {
        this.#scheduler.after(this.delayMs(), () => {
          if (this.severed(from, to)) return;
          this.#transcript.note(from, `push-pull answer of ${to}`, bytes);
          finish(bytes);
        });
      });
      if (!accepted) this.#scheduler.after(this.delayMs(), () => finish(null));
    });
  }
}
