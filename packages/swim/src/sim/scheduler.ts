/** A call that is to run. */
export interface PlannedCall {
  /** Undefined once it ran or was cancelled. */
  fn: (() => void) | undefined;
}

/** Time, and calls at later times: virtual by a {@link Scheduler}, or real. */
export interface TimeSource {
  readonly nowMs: number;
  /** Runs fn delayMs from now, never within this call; of two at one time, the one asked for first. */
  after(delayMs: number, fn: () => void): PlannedCall;
  /** Withdraws a call; one that ran or was cancelled already is left alone. */
  cancel(call: PlannedCall): void;
}

/** A scheduled call; give it to {@link Scheduler.cancel}. */
export interface Handle extends PlannedCall {
  readonly timeMs: number;
  /** Position among all calls ever scheduled; breaks ties of time. */
  readonly order: number;
}

/**
 * Virtual time: a queue of calls ordered by time, then by the order in which they were scheduled.
 *
 * Time advances only by running what is due, so a simulated hour costs what happens in it.
 * The queue is a binary heap; a cancelled call stays in it, emptied, until its time or until more
 * than half of the heap is such (then they are swept out), so memory stays proportional to
 * {@link Scheduler.pending}.
 */
export class Scheduler implements TimeSource {
  #heap: Handle[] = [];
  #cancelled = 0;
  #order = 0;
  #now: number;

  constructor(startMs = 0) {
    this.#now = startMs;
  }

  /** Virtual time, in milliseconds; may be fractional. */
  get nowMs(): number {
    return this.#now;
  }

  /** Calls scheduled and neither run nor cancelled. */
  get pending(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** Runs fn at timeMs; a time already past means now, after what is already due now. */
  at(timeMs: number, fn: () => void): Handle {
    if (Number.isNaN(timeMs)) throw new RangeError('time is not a number');
    const handle: Handle = { timeMs: Math.max(timeMs, this.#now), order: this.#order, fn };
    this.#order++;
    this.#heap.push(handle);
    this.#siftUp(this.#heap.length - 1);
    return handle;
  }

  /** Runs fn delayMs from now. */
  after(delayMs: number, fn: () => void): Handle {
    return this.at(this.#now + delayMs, fn);
  }

  /** Withdraws a call; one that ran or was cancelled already is left alone. */
  cancel(call: PlannedCall): void {
    if (call.fn === undefined) return;
    call.fn = undefined;
    this.#cancelled++;
    if (this.#cancelled > 64 && this.#cancelled * 2 > this.#heap.length) this.#sweep();
  }

  /** Runs the next call, advancing time to it. False if nothing is pending. */
  step(): boolean {
    for (;;) {
      const handle = this.#pop();
      if (handle === undefined) return false;
      const fn = handle.fn;
      if (fn === undefined) {
        this.#cancelled--;
        continue;
      }
      handle.fn = undefined;
      this.#now = handle.timeMs;
      fn();
      return true;
    }
  }

  /** Runs everything due up to and at timeMs, then sets the time to timeMs. */
  runUntil(timeMs: number): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.timeMs > timeMs) break;
      if (first.fn === undefined) {
        this.#pop();
        this.#cancelled--;
        continue;
      }
      this.step();
    }
    if (timeMs > this.#now) this.#now = timeMs;
  }

  #pop(): Handle | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#siftDown(0);
    }
    return first;
  }

  #sweep(): void {
    this.#heap = this.#heap.filter((handle) => handle.fn !== undefined).sort(compare);
    // A sorted array is a heap.
    this.#cancelled = 0;
  }

  #siftUp(start: number): void {
    const heap = this.#heap;
    const handle = heap[start] as Handle;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Handle;
      if (compare(above, handle) <= 0) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = handle;
  }

  #siftDown(start: number): void {
    const heap = this.#heap;
    const handle = heap[start] as Handle;
    let index = start;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && compare(heap[child + 1] as Handle, heap[child] as Handle) < 0)
        child++;
      const below = heap[child] as Handle;
      if (compare(handle, below) <= 0) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = handle;
  }
}

function compare(left: Handle, right: Handle): number {
  return left.timeMs - right.timeMs || left.order - right.order;
}
