import { ReasonCode } from '../mqtt/reason-code.ts';
import type { ProcessNode } from './process-port.ts';

/** `stop`: the node keeps its place and comes back to it. `leave`: it was removed and is needed no more. */
export type EndingKind = 'stop' | 'leave';

/**
 * How a node ends in order.
 *
 * ```
 *            clients told ──▶ answered ──stop──▶ leadership handed over ──▶ peers told ──▶ over
 *                                └─────leave──────────────────────────────────────────────▲
 * ```
 * Each wait ends when there is nothing to wait for, and after half of the configured time.
 */
export class Ending {
  readonly #core: ProcessNode;
  readonly #waitMs: number;
  #kind: EndingKind | null = null;
  #step: 'answers' | 'handing over' | 'over' = 'answers';
  #deadlineMs = 0;

  constructor(core: ProcessNode, stopTimeoutMs: number) {
    this.#core = core;
    this.#waitMs = stopTimeoutMs / 2;
  }

  /** The way in which the node ends; null while it does not. */
  get kind(): EndingKind | null {
    return this.#kind;
  }

  /** Ends the clients. A second call changes nothing: the first one goes on. */
  begin(kind: EndingKind, nowMs: number): void {
    if (this.#kind !== null) return;
    this.#kind = kind;
    this.#deadlineMs = nowMs + this.#waitMs;
    const { ServerShuttingDown, ServerMoved } = ReasonCode;
    this.#core.disconnectAll(kind === 'stop' ? ServerShuttingDown : ServerMoved);
  }

  /** @returns true once: nothing is waited for any more */
  tick(nowMs: number): boolean {
    const core = this.#core;
    if (this.#kind === null || this.#step === 'over') return false;
    if (this.#step === 'answers') {
      if (core.unanswered > 0 && nowMs < this.#deadlineMs) return false;
      if (this.#kind === 'leave') return this.#over();
      core.handOverAll();
      this.#step = 'handing over';
      this.#deadlineMs = nowMs + this.#waitMs;
    }
    if (core.canHandOver && nowMs < this.#deadlineMs) return false;
    core.peers.sayStopped();
    core.flush();
    return this.#over();
  }

  #over(): true {
    this.#step = 'over';
    return true;
  }
}
