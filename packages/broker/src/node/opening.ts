/**
 * OPEN at the shard's leader: who has the session now, and what becomes of who had it.
 *
 * A connection of another node whose session has a Will may have said DISCONNECT there a moment ago,
 * and its CLOSE may be under way: the OPEN waits for it, at most `timings.willNodeGraceMs`.
 *
 * ```
 *   OPEN ──▶ old connection has a Will, at another node ──▶ told to yield ── its CLOSE ──▶ logged
 *       └──▶ nobody has it, or has no Will ───────────────────────────────────────────────▶ logged
 *   committed ──▶ its Will, if it fired, has arrived (death before the birth that follows) ──▶ answered
 * ```
 */
import { ReasonCode } from '../mqtt/reason-code.ts';
import type { Operation, Origin } from '../session/operation.ts';
import type { Session } from '../session/session.ts';
import type { Taker } from './context.ts';
import { addressOf } from './delivering.ts';
import type { Respond, ShardLeader } from './leader.ts';
import { type Opened, type Reply, reply, Status } from './request.ts';

type Open = Operation & { type: 'open' };

function takerOf({ gateway, connection }: Open): Taker {
  return { node: gateway, connection };
}

/** An OPEN that waits for the CLOSE of the connection before it. */
interface Waiting {
  readonly q: Open;
  readonly origin: Origin;
  respond: Respond;
  /** Of the connection that yields. */
  readonly epoch: number;
  readonly deadlineMs: number;
}

/** An answer that waits for a Will to arrive. */
interface Due {
  readonly deadlineMs: number;
  readonly run: () => void;
}

export class Opening {
  readonly #leader: ShardLeader;
  /** In the order in which they came; bounded by what the gateways have opening. */
  #waiting: Waiting[] = [];
  readonly #due = new Set<Due>();
  /** Wills that fired and have not arrived everywhere, by Client Identifier. */
  readonly #wills = new Map<string, number>();

  constructor(leader: ShardLeader) {
    this.#leader = leader;
  }

  stop(): void {
    this.#waiting = [];
    this.#due.clear();
    this.#wills.clear();
  }

  open(origin: Origin, q: Open, respond: Respond): void {
    const { state, node, deadlines } = this.#leader;
    const old = state.sessions.get(q.clientId);
    // Held up on its way while the client connected elsewhere: it must not take that over.
    if (old && q.hlc < old.openedHlc) return this.#overtaken(q, old, respond);
    if (old) deadlines.expireIfDue(old);
    if (!old || !this.#mayHaveEnded(old, q)) return this.#log(origin, q, respond);
    const { epoch } = old;
    for (const w of this.#waiting) {
      if (!isSame(w.q, q)) continue;
      // Sent again, by a gateway that has lost the link.
      w.respond = respond;
      return;
    }
    if (!this.#waiting.some((w) => w.epoch === epoch))
      node.kick(addressOf(old), ReasonCode.SessionTakenOver, takerOf(q), true);
    const deadlineMs = node.nowMs() + node.willNodeGraceMs;
    this.#waiting.push({ origin, q, respond, epoch, deadlineMs });
  }

  /** Its gateway may have had a DISCONNECT from it that is not known here yet. */
  #mayHaveEnded(old: Session, q: Open): boolean {
    return (
      old.connected &&
      old.willIndex !== 0 &&
      old.gateway !== q.gateway &&
      !this.#leader.node.gatewayGone(old.gateway, old.gatewayEpoch)
    );
  }

  #overtaken(q: Open, s: Session | undefined, respond: Respond): void {
    const answer = takenOver(!q.cleanStart && (s?.persistent ?? false));
    this.#leader.afterCommit(() => respond(answer));
  }

  #log(origin: Origin, q: Open, respond: Respond): void {
    const { state, node, delivering, retaining } = this.#leader;
    const old = state.sessions.get(q.clientId);
    const previous = old?.connected ? addressOf(old) : null;
    const sentUpto = old ? delivering.sentUpto(old) : -1;
    node.trace(previous ? 'takeover' : 'open');
    if (old) delivering.ended(old);
    const present = !q.cleanStart && (old?.persistent ?? false);
    const epoch = this.#leader.append({ ...q, sentUpto }, origin, () => {
      if (previous) {
        node.counters.takeovers++;
        node.kick(previous, ReasonCode.SessionTakenOver, takerOf(q));
      }
      this.#afterWill(q.clientId, () => {
        const s = this.#leader.live(q.clientId, epoch);
        if (!s) return respond(takenOver(present));
        respond({ status: Status.Ok, opened: opened(s) });
        delivering.attach(s);
        retaining.connected(s);
      });
    });
  }

  /** The gateway has no answer and asks again: this leader, or one before it, may have logged it. */
  again(origin: Origin, q: Open, respond: Respond): void {
    const { state, delivering } = this.#leader;
    const s = state.sessions.get(q.clientId);
    const same =
      s?.gateway === q.gateway &&
      s.gatewayEpoch === q.gatewayEpoch &&
      s.connection === q.connection;
    if (same) {
      this.#leader.afterCommit(() => {
        respond({ status: Status.Ok, opened: opened(s) });
        // What was sent before the gateway knew of the session is lost there.
        delivering.attach(s);
      });
    } else if (s && q.hlc <= s.openedHlc) this.#overtaken(q, s, respond);
    else this.open(origin, q, respond);
  }

  /** A Will of this client's has fired in the entry at `index`. */
  onWill(clientId: string, index: number): void {
    this.#wills.set(clientId, index);
    this.#leader.owing.whenDone(index, () => {
      if (this.#wills.get(clientId) === index) this.#wills.delete(clientId);
    });
  }

  /** Runs `run` when everybody has the client's Will, or it takes too long. */
  #afterWill(clientId: string, run: () => void): void {
    const index = this.#wills.get(clientId);
    if (index === undefined) return run();
    const { node, owing } = this.#leader;
    const due: Due = { deadlineMs: node.nowMs() + node.willNodeGraceMs, run };
    this.#due.add(due);
    owing.whenDone(index, () => {
      if (this.#due.delete(due)) run();
    });
  }

  /** An OPEN of this client waits for the end of its connection before. */
  awaits(clientId: string): boolean {
    return this.#waiting.some(({ q }) => q.clientId === clientId);
  }

  /** A connection has ended, or owns its session no more. */
  onClosed(clientId: string): void {
    if (this.#waiting.length === 0) return;
    this.#goOn((w) => w.q.clientId === clientId && !this.#leader.live(clientId, w.epoch));
  }

  tick(nowMs: number): void {
    if (this.#waiting.length > 0) {
      const overdue = (w: Waiting) => {
        const s = this.#leader.live(w.q.clientId, w.epoch);
        return nowMs >= w.deadlineMs || !s || !this.#mayHaveEnded(s, w.q);
      };
      this.#goOn(overdue, nowMs);
    }
    for (const due of this.#due) {
      if (nowMs < due.deadlineMs) continue;
      this.#due.delete(due);
      due.run();
    }
  }

  #goOn(ready: (w: Waiting) => boolean, nowMs = Number.NEGATIVE_INFINITY): void {
    const due = this.#waiting.filter(ready);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((w) => !due.includes(w));
    for (const { q, origin, respond, deadlineMs, epoch } of due)
      this.#leader.whenOpen(() => {
        const s = this.#leader.state.sessions.get(q.clientId);
        // Its time is up, and the same connection has it still: it is taken over as it is.
        if (nowMs >= deadlineMs && s?.epoch === epoch && q.hlc >= s.openedHlc)
          this.#log(origin, q, respond);
        else this.open(origin, q, respond);
      });
  }
}

function isSame(a: Open, b: Open): boolean {
  return (
    a.clientId === b.clientId &&
    a.gateway === b.gateway &&
    a.gatewayEpoch === b.gatewayEpoch &&
    a.connection === b.connection
  );
}

function takenOver(present: boolean): Reply {
  return { ...reply(Status.TakenOver), opened: { epoch: 0, birth: 0, present, subscriptions: [] } };
}

function opened(s: Session): Opened {
  return {
    epoch: s.epoch,
    birth: s.birth,
    present: s.present,
    subscriptions: [...(s.subscriptions?.values() ?? [])],
  };
}
