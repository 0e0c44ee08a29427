/**
 * Session expiry and delayed wills, in logged time.
 *
 * The shard's clock advances by TICK operations of its leader only: an outage or a step of the wall
 * clock expires no session. A shard without a deadline logs nothing.
 */
import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { Session } from '../../session/session.ts';
import { addressOf } from './delivering.ts';
import type { Lead } from './parts.ts';

/** Logged at least this often while a deadline is pending, so that a failover forgets little. */
const TICK_MS = 60_000;
const CHECK_MS = 250;

export class Deadlines {
  readonly #leader: Lead;
  #tickedMs = 0;
  #checkedMs = 0;
  #busy = false;
  /** Gateways' connections are looked at for ended processes. */
  #sweptMs = 0;

  constructor(leader: Lead) {
    this.#leader = leader;
  }

  start(): void {
    this.#tickedMs = this.#leader.node.env.nowMs();
    this.#checkedMs = 0;
    this.#sweptMs = 0;
    this.#busy = false;
  }

  tick(nowMs: number): void {
    if (nowMs - this.#checkedMs < CHECK_MS) return;
    this.#checkedMs = nowMs;
    this.#sweep(nowMs);
    const { state } = this.#leader;
    if (state.dated.size === 0 || this.#busy) {
      if (state.dated.size === 0) this.#tickedMs = nowMs;
      return;
    }
    const elapsedMs = nowMs - this.#tickedMs;
    const clockMs = state.clockMs + elapsedMs;
    let due = elapsedMs >= TICK_MS;
    for (const s of state.dated) {
      if (s.expiresAtMs > 0 && s.expiresAtMs <= clockMs) due = true;
      else if (s.willAtMs > 0 && s.willAtMs <= clockMs) due = true;
    }
    if (!due) return;
    this.#busy = true;
    this.#leader.appendOwn(
      () => {
        const elapsedMs = this.takeElapsed();
        this.#leader.node.env.trace?.('tick');
        this.#busy = false;
        return { type: 'tick', elapsedMs };
      },
      () => this.#expire(),
    );
  }

  /** Time since the last operation that carried it; the next one carries it. Whole milliseconds. */
  takeElapsed(): number {
    const elapsed = Math.max(0, Math.floor(this.#leader.node.env.nowMs() - this.#tickedMs));
    this.#tickedMs += elapsed;
    return elapsed;
  }

  #expire(): void {
    const { state, node } = this.#leader;
    for (const s of [...state.dated]) {
      if (this.expireIfDue(s)) continue;
      if (s.willAtMs === 0 || s.willAtMs > state.clockMs) continue;
      node.env.trace?.('will');
      this.#own({ type: 'will', clientId: s.clientId, birth: s.birth });
    }
  }

  #own(operation: { type: 'will' | 'expire'; clientId: string; birth: number }): void {
    this.#leader.appendOwn(() => operation);
  }

  /** Ends a session whose time is over by the shard's clock. */
  expireIfDue(s: Session): boolean {
    const { state, node } = this.#leader;
    if (s.expiresAtMs === 0 || s.expiresAtMs > state.clockMs) return false;
    node.env.trace?.('expire');
    if (s.persistent) node.counters.sessionsExpired++;
    this.#own({ type: 'expire', clientId: s.clientId, birth: s.birth });
    return true;
  }

  /** Connections whose gateway process has ended are closed here, so that wills fire. */
  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptMs < CHECK_MS * 2) return;
    this.#sweptMs = nowMs;
    const { node, state } = this.#leader;
    for (const s of state.sessions.values()) {
      if (!s.connected || !node.gatewayGone(s.gateway, s.gatewayEpoch)) continue;
      this.#close(s);
    }
  }

  /** Membership gave the gateway up. If the gateway is alive after all, the kick ends the connection there. */
  #close(s: Session): void {
    const { clientId, epoch } = s;
    const address = addressOf(s);
    const { delivering, node } = this.#leader;
    this.#leader.appendOwn(
      () =>
        this.#leader.live(clientId, epoch)
          ? {
              type: 'close',
              clientId,
              epoch,
              abnormal: true,
              graceMs: 0,
              expirySeconds: -1,
              sentUpto: delivering.sentUpto(s),
              elapsedMs: this.takeElapsed(),
            }
          : null,
      () => node.connections.kick(address, ReasonCode.SessionTakenOver, null),
    );
  }
}
