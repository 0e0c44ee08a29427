import type { Context } from './context.ts';
import type { TimerTask } from './event.ts';

/**
 * The armed timers. A late one shows that this process stalled.
 *
 * A timer is an effect out and an event in, with a token of its own. One that is disarmed is forgotten,
 * and its event is ignored when it comes.
 */
export class Timers {
  readonly #context: Context;
  readonly #waiting = new Map<number, { readonly task: TimerTask; readonly dueMs: number }>();
  #lastToken = 0;
  #lastStallMs = Number.NEGATIVE_INFINITY;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Timers that are wanted. */
  get size(): number {
    return this.#waiting.size;
  }

  arm(task: TimerTask, afterMs: number): number {
    this.#lastToken++;
    const token = this.#lastToken;
    this.#waiting.set(token, { task, dueMs: this.#context.nowMs + afterMs });
    this.#context.emit({ type: 'timer', token, afterMs, task });
    return token;
  }

  disarm(token: number): void {
    this.#waiting.delete(token);
  }

  disarmAll(): void {
    this.#waiting.clear();
  }

  /**
   * The task of a timer that has come, undefined if it is stale; a late one is a stall of this process.
   *
   * Datagrams that waited meanwhile are still unread when a late timer runs: Node.js runs timers
   * first. That is why a late verdict is put off rather than given.
   */
  take(token: number): { readonly task: TimerTask; readonly late: boolean } | undefined {
    const timer = this.#waiting.get(token);
    if (timer === undefined) return undefined;
    this.#waiting.delete(token);
    const { switches, config, nowMs } = this.#context;
    const late = switches.stallAwareness && nowMs - timer.dueMs > config.stallThresholdMs;
    if (late) this.noteStall();
    return { task: timer.task, late };
  }

  /** This process stalled: it doubts itself, and verdicts under way are put off. */
  noteStall(): void {
    const { config, counters, health, nowMs } = this.#context;
    // Timers that come late together are one stall.
    if (nowMs - this.#lastStallMs > config.stallThresholdMs) {
      counters.stalls++;
      health.adjust(1);
    }
    this.#lastStallMs = nowMs;
  }

  /** Whether this process stalls now or did so lately: datagrams for it may still lie unread. */
  isStalling(): boolean {
    const { config, switches, nowMs } = this.#context;
    if (nowMs - this.#lastStallMs < config.probeTimeoutMs) return true;
    return switches.stallAwareness && this.#isOverdue();
  }

  /** Whether some timer should have come by now: a part of this process may stall, and others not. */
  #isOverdue(): boolean {
    const latestMs = this.#context.nowMs - this.#context.config.stallThresholdMs;
    for (const { dueMs } of this.#waiting.values()) if (dueMs < latestMs) return true;
    return false;
  }
}
