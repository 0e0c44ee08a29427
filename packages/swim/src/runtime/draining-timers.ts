import { systemClock } from './system.ts';

/**
 * A turn reads until nothing is left, and 32 datagrams at most (libuv). Fewer than 32, since not all of
 * them were counted: some may have been refused.
 */
const MANY = 8;
/** A socket's buffer holds some hundreds of datagrams: this many turns empty it. */
const TURNS_MAX = 32;
const WATCH_MIN_MS = 5;

/** What {@link DrainingTimers} are made of. */
export interface DrainingTimersInit {
  /** Timers or turns of the event loop that come later than this are a stall. */
  readonly stallThresholdMs: number;
  /** Datagrams and answers read so far; only ever grows. */
  readonly received: () => number;
  readonly onTimer: (token: number) => void;
  /** The event loop did not turn for this long, and turns again. */
  readonly onStall: (lateMs: number) => void;
}

/**
 * Timers that fire only once everything that has arrived is read.
 *
 * Node.js runs timers before it looks at sockets: after a stall, a timeout would be believed though
 * the answer lies in the socket's buffer. Each timer that is due therefore waits for a turn of the
 * event loop that left nothing unread:
 *
 *     due ──▶ one turn of the loop ──few datagrams──▶ fires
 *                   ▲        └──── many ──────────┐
 *                   └─────────────────────────────┘   at most TURNS_MAX times
 *
 * Stalls are told before any timer that was due during them.
 */
export class DrainingTimers {
  readonly #init: DrainingTimersInit;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #watch: NodeJS.Timeout;
  readonly #watchMs: number;
  #due: number[] = [];
  #turn: NodeJS.Immediate | undefined;
  #turns = 0;
  #receivedBefore = 0;
  #expectedMs: number;
  #heldSinceMs: number | undefined;

  constructor(init: DrainingTimersInit) {
    this.#init = init;
    this.#watchMs = Math.max(WATCH_MIN_MS, init.stallThresholdMs / 2);
    this.#expectedMs = systemClock() + this.#watchMs;
    this.#watch = setInterval(() => this.#onWatch(), this.#watchMs);
  }

  set(token: number, afterMs: number): void {
    // A timer that became due during its own step has a negative delay, of which Node.js would warn.
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.#due.push(token);
        this.#drain();
      },
      Math.max(0, afterMs),
    );
    this.#timers.add(timer);
  }

  /** From now on nothing fires, until {@link resume}. */
  hold(): void {
    this.#heldSinceMs ??= systemClock();
    clearImmediate(this.#turn);
    this.#turn = undefined;
  }

  /** Tells the time held as a stall, and fires what was due meanwhile. */
  resume(): void {
    if (this.#heldSinceMs === undefined) return;
    const heldMs = systemClock() - this.#heldSinceMs;
    this.#heldSinceMs = undefined;
    this.#init.onStall(heldMs);
    if (this.#due.length > 0) this.#drain();
  }

  /** Nothing fires any more. */
  close(): void {
    clearInterval(this.#watch);
    clearImmediate(this.#turn);
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#due = [];
  }

  #onWatch(): void {
    const nowMs = systemClock();
    const lateMs = nowMs - this.#expectedMs;
    this.#expectedMs = nowMs + this.#watchMs;
    if (this.#heldSinceMs === undefined && lateMs > this.#init.stallThresholdMs) {
      this.#init.onStall(lateMs);
    }
  }

  #drain(): void {
    if (this.#turn !== undefined || this.#heldSinceMs !== undefined) return;
    this.#turns = 0;
    this.#nextTurn();
  }

  /** An immediate runs right after the loop has looked at the sockets. */
  #nextTurn(): void {
    this.#turns++;
    this.#receivedBefore = this.#init.received();
    this.#turn = setImmediate(() => {
      this.#turn = undefined;
      const isEmpty = this.#init.received() - this.#receivedBefore < MANY;
      if (isEmpty || this.#turns >= TURNS_MAX) this.#fire();
      else this.#nextTurn();
    });
  }

  #fire(): void {
    const due = this.#due;
    this.#due = [];
    for (const token of due) this.#init.onTimer(token);
  }
}
