/**
 * OPEN at the shard's leader: which connection has the session now, and what becomes of the one before.
 *
 * A connection of another node whose session has a Will may have said DISCONNECT there a moment ago,
 * and its CLOSE may be under way: the OPEN is put off, and its gateway asks again until that CLOSE is
 * here, or `timings.willNodeGraceMs` are over.
 *
 * ```
 *   OPEN ──▶ old connection has a Will, at another node ──▶ told to yield; the gateway asks again
 *       └──▶ no old connection, or no Will, or asked for long enough ──▶ logged
 *   committed ──▶ its Will, if it fired, has arrived (death before the birth that follows) ──▶ answered
 * ```
 */
import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { Operation, Origin } from '../../session/operation.ts';
import type { Session } from '../../session/session.ts';
import type { Taker } from '../link/delivery-codec.ts';
import { type Opened, type Reply, reply, Status } from '../link/request.ts';
import { addressOf } from './delivering.ts';
import type { Lead, Respond } from './parts.ts';

type Open = Operation & { type: 'open' };

function takerOf({ gateway, connection }: Open): Taker {
  return { node: gateway, connection };
}

/** An answer that waits for a Will to arrive. */
interface Due {
  readonly deadlineMs: number;
  readonly run: () => void;
}

export class Opening {
  readonly #leader: Lead;
  /** Connections that were told to yield: Client Identifier → epoch. Each leaves with its CLOSE. */
  readonly #yielding = new Map<string, number>();
  readonly #due = new Set<Due>();
  /** Wills that fired and have not arrived everywhere, by Client Identifier. */
  readonly #wills = new Map<string, number>();

  constructor(leader: Lead) {
    this.#leader = leader;
  }

  stop(): void {
    this.#yielding.clear();
    this.#due.clear();
    this.#wills.clear();
  }

  /** @param insists the gateway has asked for long enough */
  open(origin: Origin, q: Open, insists: boolean, respond: Respond): void {
    const { state, node, deadlines } = this.#leader;
    const old = state.sessions.get(q.clientId);
    // Held up on its way while the client connected elsewhere: it must not take that over.
    // A name that no one had given when the session began may be taken on later.
    if (old && old.user !== '' && old.user !== q.user)
      return this.#leader.afterCommit(() => respond(reply(Status.NotAuthorized)));
    if (old && q.hlc < old.openedHlc) return this.#overtaken(q, old, respond);
    if (old) deadlines.expireIfDue(old);
    if (insists || !old || !this.#mayHaveEnded(old, q)) return this.#log(origin, q, respond);
    if (this.#yielding.get(q.clientId) !== old.epoch) {
      this.#yielding.set(q.clientId, old.epoch);
      node.connections.kick(addressOf(old), ReasonCode.SessionTakenOver, takerOf(q), true);
    }
    respond(reply(Status.PutOff));
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
    node.env.trace?.(previous ? 'takeover' : 'open');
    if (old) delivering.ended(old);
    this.#yielding.delete(q.clientId);
    const present = !q.cleanStart && (old?.persistent ?? false);
    const epoch = this.#leader.append({ ...q, sentUpto }, origin, () => {
      if (previous) {
        node.counters.takeovers++;
        node.connections.kick(previous, ReasonCode.SessionTakenOver, takerOf(q));
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
  again(q: Open, respond: Respond): void {
    const { state, delivering } = this.#leader;
    const s = state.sessions.get(q.clientId);
    const same =
      s?.gateway === q.gateway &&
      s.gatewayEpoch === q.gatewayEpoch &&
      s.connection === q.connection;
    if (same) {
      const { epoch, present } = s;
      this.#leader.afterCommit(() => {
        // Another connection may have the session by then: its epoch is not this one's to know.
        const now = this.#leader.live(q.clientId, epoch);
        if (!now) return respond(takenOver(present));
        respond({ status: Status.Ok, opened: opened(now) });
        // What was sent before the gateway knew of the session is lost there.
        delivering.attach(now);
      });
    } else if (s && q.hlc < s.openedHlc) this.#overtaken(q, s, respond);
    // Logged and over since, or put off and never logged: the two look alike, so it is not logged now.
    else this.#leader.afterCommit(() => respond(reply(Status.NoSession)));
  }

  /** A Will of this client's has fired in the entry at `index`. */
  onWill(clientId: string, index: number): void {
    this.#wills.set(clientId, index);
    this.#leader.owing.whenDone(index, () => {
      if (this.#wills.get(clientId) === index) this.#wills.delete(clientId);
    });
  }

  /** Runs `run` when the client's Will has arrived everywhere, or it takes too long. */
  #afterWill(clientId: string, run: () => void): void {
    const index = this.#wills.get(clientId);
    if (index === undefined) return run();
    const { node, owing } = this.#leader;
    const due: Due = { deadlineMs: node.env.nowMs() + node.willNodeGraceMs, run };
    this.#due.add(due);
    owing.whenDone(index, () => {
      if (this.#due.delete(due)) run();
    });
  }

  /** The connection was told to yield to one elsewhere. */
  yields(clientId: string, epoch: number): boolean {
    return this.#yielding.get(clientId) === epoch;
  }

  /** A connection has ended, or owns its session no more. */
  onClosed(clientId: string): void {
    this.#yielding.delete(clientId);
  }

  tick(nowMs: number): void {
    for (const due of this.#due) {
      if (nowMs < due.deadlineMs) continue;
      this.#due.delete(due);
      due.run();
    }
  }
}

const NOTHING = { epoch: 0, birth: 0, subscriptions: [], first: 0, sentBelow: 0 };

function takenOver(present: boolean): Reply {
  return { ...reply(Status.TakenOver), opened: { ...NOTHING, present } };
}

function opened(s: Session): Opened {
  return {
    epoch: s.epoch,
    birth: s.birth,
    present: s.present,
    subscriptions: [...(s.subscriptions?.values() ?? [])],
    first: s.first,
    sentBelow: s.dupBelow,
  };
}
