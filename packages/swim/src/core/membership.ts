import { Claims } from './claims.ts';
import type { Context } from './context.ts';
import { comparePrecedence, isPresent, type Suspicion } from './member-list.ts';
import { INCARNATION_MAX, type MemberState, type Update } from './message.ts';
import type { Notices } from './notices.ts';
import type { Outbox } from './outbox.ts';
import type { Parts } from './parts.ts';
import { Pauses } from './pauses.ts';
import type { Statement } from './statement.ts';
import {
  refusalBounds,
  type SuspicionBounds,
  silenceBounds,
  suspicionBounds,
  suspicionTimeoutMs,
} from './suspicion.ts';
import type { Timers } from './timers.ts';

/** Boot epochs that one process takes over from lives that the cluster knows. */
const RISES_MAX = 3;

/**
 * Beliefs about members: applies statements in the order of precedence, suspects, refutes.
 *
 *             suspicion                 timeout              operator
 *     alive ─────────────▶ suspect ─────────────▶ faulty ────────▶ left: or said by the member itself
 *       ▲                     │                     │               │
 *       └─────────────────────┴─────────────────────┴───────────────┘
 *            alive with a higher incarnation (refutation) or boot epoch (rebirth)
 */
export class Membership {
  readonly #context: Context;
  readonly #timers: Timers;
  readonly #outbox: Outbox;
  readonly #notices: Notices;
  readonly #claims: Claims;
  readonly #pauses = new Pauses();
  #rises = 0;
  #risingTo = 0;
  readonly #verify: (record: Statement) => void;
  readonly #lookAround: () => void;
  readonly #onState: (name: string, state: MemberState) => void;

  /**
   * @param hooks.verify probes a member at once, by this process's own means
   * @param hooks.lookAround probes a few others, so that members that fail together are found together
   * @param hooks.onState hears every change of a member's state
   */
  constructor(
    parts: Parts,
    hooks: {
      readonly verify: (record: Statement) => void;
      readonly lookAround: () => void;
      readonly onState: ((name: string, state: MemberState) => void) | undefined;
    },
  ) {
    this.#context = parts.context;
    this.#claims = new Claims(parts);
    this.#timers = parts.timers;
    this.#outbox = parts.outbox;
    this.#notices = parts.notices;
    this.#verify = hooks.verify;
    this.#lookAround = hooks.lookAround;
    this.#onState = hooks.onState ?? (() => {});
  }

  /** Members whose pauses are remembered. */
  get pauseCount(): number {
    return this.#pauses.size;
  }

  /** Names of present members that other processes want, too. */
  get claimCount(): number {
    return this.#claims.size;
  }

  /**
   * Takes in one statement.
   *
   * @param from name of the member that made or passed it on
   * @param isNews false if a member not known here is known to most others
   * @returns whether this member refutes the statement: the sender should hear that at once
   */
  apply(update: Update, from: string, isNews = true): boolean {
    const { members } = this.#context;
    if (update.name === this.#context.self.name) return this.#applyToSelf(update, from);
    const record = members.get(update.name);
    if (record === undefined) {
      this.#admit(update, isNews);
      return false;
    }
    const order = comparePrecedence(update, record);
    if (isPresent(record) && update.address !== record.address) {
      if (update.bootEpoch < record.bootEpoch) return false;
      if (this.#claims.hear(record, update)) this.#verify(record);
      return false;
    }
    if (order === 0 && update.state === 'suspect') {
      if (update.refused === true) this.#hearRefusal(record, update.accuser);
      else this.#confirm(record, update.accuser);
    }
    if (order <= 0) return false;
    const isVerdict = update.bootEpoch === record.bootEpoch && isJudged(update);
    const isHearsay = isVerdict && this.#context.switches.ownVerdicts;
    if (isHearsay && isPresent(record)) this.#hearVerdict(record, update);
    else this.#adopt(update);
    return false;
  }

  /** This process found no sign of life: the first suspicion, or its confirmation. */
  suspect(record: Statement): void {
    if (record.state === 'suspect') {
      this.#confirm(record, this.#context.self.name);
      return;
    }
    if (record.state !== 'alive') return;
    this.#adopt({ ...asUpdate(record), state: 'suspect', accuser: this.#context.self.name });
  }

  /**
   * The member's host refused a connection to this process and to others: the process is gone, as far as
   * hosts can tell. It is suspected for the shortest time, in which it may still refute.
   */
  suspectRefused(record: Statement): void {
    const accuser = this.#context.self.name;
    if (record.state === 'suspect') this.#hearRefusal(record, accuser);
    else if (record.state === 'alive') {
      this.#adopt({ ...asUpdate(record), state: 'suspect', refused: true, accuser });
    }
  }

  /** The owner of this process saw the process of that member end. */
  hearEnd(record: Statement): void {
    if (!isPresent(record)) return;
    this.#adopt({ ...asUpdate(record), state: 'faulty', refused: true });
  }

  /** The time of a suspicion is up. */
  onSuspicionTimer(name: string, late: boolean): void {
    const { members } = this.#context;
    const record = members.get(name);
    const suspicion = members.suspicionOf(name);
    if (record === undefined || suspicion === undefined) return;
    if (late) {
      // A process that could not look does not accuse: the refutation may be waiting unread.
      const { config, switches } = this.#context;
      const waits = !suspicion.asked && switches.asksOnceMore ? 2 : 1;
      this.#rearm(name, suspicion, waits * config.probeTimeoutMs);
      return;
    }
    if (!suspicion.asked && this.#context.switches.asksOnceMore) {
      this.#ask(record, suspicion, Math.max(0, suspicion.endMs - this.#context.nowMs));
      return;
    }
    const { verdict } = suspicion;
    if (verdict?.state === 'left') this.#adopt(verdict);
    else this.declareFaulty(record);
  }

  /**
   * An operator knows that a faulty member never comes back: from now on it counts as left.
   *
   * Said of its current incarnation. A member that lives after all refutes it like any verdict.
   */
  forceLeave(record: Statement): void {
    if (record.state !== 'faulty') return;
    const accuser = this.#context.self.name;
    this.#adopt({ ...asUpdate(record), state: 'left', accuser });
  }

  /** Declares a member faulty on this process's own evidence. */
  declareFaulty(record: Statement): void {
    if (!isPresent(record)) return;
    this.#context.counters.declaredFaulty++;
    this.#adopt({ ...asUpdate(record), state: 'faulty' });
  }

  /** Raises this member's incarnation above any that others tell of it, and tells all members. */
  refute(seenIncarnation: number): void {
    const { self, counters } = this.#context;
    const incarnation = Math.max(self.incarnation, seenIncarnation) + 1;
    if (this.renew({ incarnation })) counters.refutes++;
  }

  /**
   * Says something new of this member itself; with a higher incarnation, so that it is believed.
   *
   * At the highest incarnation this life can refute no more: others believe only a new boot epoch, so
   * the operator is told. That takes 136 years at one a second, or a forgery by a holder of the key.
   */
  renew(change: Partial<Statement>): boolean {
    const { self, members, nowMs } = this.#context;
    const next = { ...self, incarnation: self.incarnation + 1, ...change };
    if (next.incarnation > INCARNATION_MAX) {
      this.#notices.say('SWIM_ERR_INCARNATION', self.address);
      return false;
    }
    members.put(members.intern(next, ''), nowMs);
    this.#context.touch();
    this.#outbox.disseminate(members.self);
    return true;
  }

  /** Drops members that have been dead for longer than they are remembered. */
  forget(): void {
    const { members, nowMs, config } = this.#context;
    for (const record of [...members.dead()]) {
      if (record.name === members.self.name) continue;
      if (nowMs - members.deadSince(record.name) < config.forgetAfterMs) continue;
      members.remove(record.name);
      this.#context.cut.observe(record, undefined, nowMs);
      this.#context.touch();
    }
    this.#claims.forget();
    this.#pauses.forget(nowMs, (name) => members.get(name) !== undefined);
  }

  /**
   * The cluster knows a later life of this name. If that life has our address, or is dead, it was ours:
   * the clock or the disk went back. We take the epoch after it, once that is kept.
   *
   * A few times at most: two processes that give the same address would go on for ever.
   */
  #outlive(update: Update): void {
    const context = this.#context;
    const { self, phase } = context;
    const isOver = update.address === self.address || !isPresent(update);
    const bootEpoch = update.bootEpoch + 1;
    if (!isOver || this.#rises >= RISES_MAX || !Number.isSafeInteger(bootEpoch)) {
      this.#notices.say('SWIM_ERR_NAME_CONFLICT', update.address);
    } else if (phase === 'running' && bootEpoch > this.#risingTo) {
      this.#risingTo = bootEpoch;
      this.#notices.say('SWIM_ERR_BOOT_EPOCH', update.address);
      context.emit({ type: 'boot-epoch', bootEpoch });
    }
  }

  /** The boot epoch wanted is kept, so that no later start repeats it: this life begins anew. */
  riseTo(bootEpoch: number): void {
    const context = this.#context;
    if (context.phase !== 'running' || bootEpoch <= context.self.bootEpoch) return;
    this.#rises++;
    context.counters.epochsRaised++;
    context.events.bootEpoch = bootEpoch;
    this.renew({ bootEpoch, incarnation: 0 });
  }

  #applyToSelf(update: Update, from: string): boolean {
    const { self, phase } = this.#context;
    if (update.bootEpoch > self.bootEpoch) {
      this.#outlive(update);
      return false;
    }
    if (update.bootEpoch === self.bootEpoch && update.address !== self.address) {
      // Refuting would be a fight without end; the operator must hear of it.
      this.#notices.say('SWIM_ERR_NAME_CONFLICT', update.address);
      return false;
    }
    if (phase !== 'running') return false;
    if (update.bootEpoch < self.bootEpoch) {
      // A record of our former life: its sender has not heard of this one.
      this.#outbox.disseminate(self);
      return true;
    }
    // A sender that accuses us itself has not heard our refutation; one that passes it on may have.
    const isAsked = update.state === 'suspect' && update.accuser === from;
    if (update.incarnation < self.incarnation) {
      return isAsked && this.#context.switches.asksOnceMore;
    }
    if (update.incarnation === self.incarnation && update.state === 'alive') return false;
    if (update.state !== 'alive') this.#context.health.adjust(1);
    this.refute(update.incarnation);
    return true;
  }

  #admit(update: Update, isNews: boolean): void {
    const context = this.#context;
    const { members, config } = context;
    if (update.ageS * 1000 >= config.forgetAfterMs) return;
    if (members.size >= config.membersMax) {
      const oldest = isPresent(update) ? members.oldestDead() : undefined;
      if (oldest === undefined) {
        context.counters.membersRefused++;
        return;
      }
      members.remove(oldest.name);
      this.#pauses.drop(oldest.name);
      context.cut.observe(oldest, undefined, context.nowMs);
      context.queue.remove(oldest.name);
    }
    this.#adopt(update, isNews);
  }

  /** Makes a statement the present record, whatever it was before, and spreads it if it is news. */
  #adopt(update: Update, isNews = true): void {
    const context = this.#context;
    const { members } = context;
    const before = members.get(update.name);
    if (before !== undefined) this.#notePause(before, update);
    this.#endSuspicion(update.name);
    const record = members.intern(update, update.state === 'left' ? update.accuser : '');
    members.put(record, context.nowMs - update.ageS * 1000);
    if (before?.state !== record.state) this.#onState(record.name, record.state);
    if (update.state === 'suspect') this.#beginSuspicion(record, update.accuser);
    context.cut.observe(before, record, context.nowMs);
    context.touch();
    this.#outbox.disseminate(record, update.accuser, isNews);
    const claim = this.#claims.grant(record);
    if (claim !== undefined) this.#adopt(claim);
  }

  #beginSuspicion(record: Statement, accuser: string): void {
    const context = this.#context;
    context.counters.suspicions++;
    const bounds = this.#boundsFor(record);
    const timeoutMs = suspicionTimeoutMs(bounds, 0);
    const task = { kind: 'suspicion', name: record.name } as const;
    const isAsked = bounds.confirmations === 0 && !record.refused;
    const token = this.#timers.arm(task, isAsked ? timeoutMs : this.#untilAsked(timeoutMs));
    context.members.setSuspicion(record.name, {
      startMs: context.nowMs,
      sinceMs: context.nowMs,
      bounds,
      accusers: new Set(accuser === '' ? [] : [accuser]),
      settled: false,
      verdict: undefined,
      endMs: context.nowMs + timeoutMs,
      asked: isAsked,
      token,
    });
    if (record.refused) {
      this.#lookAround();
      this.#hintOf(record, accuser);
    }
    if (!context.switches.verifiesSuspicions) return;
    // Some look for themselves at once instead of at their next turn: about as many as are needed
    // to confirm, whatever the size. A suspect that lives hears the accusation from them, too.
    const wanted = context.config.suspicionConfirmations + 1;
    const others = Math.max(1, context.members.presentCount() - 2);
    if (accuser !== context.self.name && context.random() * others < wanted) this.#verify(record);
  }

  /**
   * Another member's verdict counts as every confirmation, and no more: the member has the shortest
   * timeout, from when this process first heard, to refute.
   *
   * After a split each side calls all of the other faulty; taken at its word, it would have this
   * side drop members that answer it.
   */
  #hearVerdict(record: Statement, update: Update): void {
    const context = this.#context;
    const isOpen = context.members.suspicionOf(record.name) !== undefined;
    if (!isOpen || update.incarnation > record.incarnation) {
      // Not an accusation by the sender: it passes the verdict on and may not have probed.
      this.#adopt({ ...update, state: 'suspect', ageS: 0, accuser: '' });
    }
    const current = context.members.get(record.name);
    if (update.refused === true && current !== undefined) this.#hearRefusal(current, '');
    const suspicion = context.members.suspicionOf(record.name);
    if (suspicion === undefined) return;
    const leftMs = suspicion.startMs + suspicion.bounds.minMs - context.nowMs;
    if (leftMs <= 0) {
      this.#adopt(update);
      return;
    }
    // A removal by an operator outweighs a death.
    if (suspicion.verdict?.state !== 'left') suspicion.verdict = update;
    if (suspicion.settled) return;
    suspicion.settled = true;
    this.#context.cut.observe(record, record, this.#context.nowMs);
    this.#rearm(record.name, suspicion, leftMs);
  }

  /** Others were refused, too: from now on the shortest suspicion applies, unless less is left. */
  #hearRefusal(record: Statement, accuser: string): void {
    const context = this.#context;
    const { members, nowMs } = context;
    const suspicion = members.suspicionOf(record.name);
    if (suspicion === undefined || record.refused || !context.switches.believesRefusals) return;
    const refused = members.intern({ ...record, refused: true }, '');
    members.put(refused, nowMs);
    suspicion.bounds = this.#boundsFor(refused);
    suspicion.startMs = nowMs;
    suspicion.asked = false;
    if (accuser !== '') suspicion.accusers.add(accuser);
    const leftMs = Math.min(suspicion.endMs - nowMs, suspicion.bounds.minMs);
    this.#rearm(record.name, suspicion, Math.max(0, leftMs));
    context.cut.observe(record, refused, nowMs);
    this.#outbox.disseminate(refused, accuser);
    this.#hintOf(refused, accuser);
  }

  /** Others were refused: tells the owner at once. The prober tells what this process found itself. */
  #hintOf({ name, bootEpoch }: Statement, accuser: string): void {
    if (accuser === this.#context.self.name) return;
    this.#context.emit({ type: 'refused', name, bootEpoch, isFirstHand: false });
  }

  /** How long this member may be suspect. */
  #boundsFor(record: Statement): SuspicionBounds {
    const { config, switches, members, nowMs } = this.#context;
    const { suspicionMembersMin } = switches;
    const bounds = suspicionBounds({ ...config, suspicionMembersMin }, members.presentCount());
    if (record.refused) return refusalBounds(bounds);
    const pauseMs = config.silenceMs === 0 ? 0 : this.#pauses.toleranceMs(record.name, nowMs);
    return silenceBounds(bounds, Math.max(config.silenceMs, pauseMs));
  }

  /** A member that goes on as the same process was paused for as long as it was silent. */
  #notePause(before: Statement, after: Update): void {
    if (after.state !== 'alive' || after.bootEpoch !== before.bootEpoch || before.refused) return;
    const { members, nowMs } = this.#context;
    const suspicion = members.suspicionOf(before.name);
    if (suspicion !== undefined) {
      this.#pauses.note(before.name, nowMs - suspicion.sinceMs, nowMs);
    } else if (before.state === 'faulty') {
      const sinceMs = members.deadSince(before.name) - this.#boundsFor(before).minMs;
      this.#pauses.note(before.name, nowMs - sinceMs, nowMs);
    }
  }

  /** An independent suspicion shortens the timeout and is passed on (Lifeguard). */
  #confirm(record: Statement, accuser: string): void {
    const suspicion = this.#context.members.suspicionOf(record.name);
    if (suspicion === undefined || suspicion.settled) return;
    if (accuser === '' || suspicion.accusers.has(accuser)) return;
    if (suspicion.accusers.size > suspicion.bounds.confirmations) return;
    suspicion.accusers.add(accuser);
    // So many cannot all have missed a sign of life: the suspect is not asked once more.
    if (suspicion.accusers.size > suspicion.bounds.confirmations) suspicion.asked = true;
    const context = this.#context;
    const confirmed = Math.max(0, suspicion.accusers.size - 1);
    const timeoutMs = suspicionTimeoutMs(suspicion.bounds, confirmed);
    const leftMs = Math.max(0, suspicion.startMs + timeoutMs - context.nowMs);
    context.cut.observe(record, record, context.nowMs);
    this.#rearm(record.name, suspicion, leftMs);
    this.#outbox.disseminate(record, accuser);
  }

  #rearm(name: string, suspicion: Suspicion, afterMs: number): void {
    const context = this.#context;
    this.#timers.disarm(suspicion.token);
    suspicion.endMs = context.nowMs + afterMs;
    const waitMs = suspicion.asked ? afterMs : this.#untilAsked(afterMs);
    suspicion.token = this.#timers.arm({ kind: 'suspicion', name }, waitMs);
  }

  /** The suspect is asked a probe timeout before the end. */
  #untilAsked(afterMs: number): number {
    const { config, switches } = this.#context;
    return switches.asksOnceMore ? Math.max(0, afterMs - config.probeTimeoutMs) : afterMs;
  }

  /**
   * Asks the suspect before its time is up: gossip may have failed to bring its refutation here.
   *
   * Every message to a suspect begins with the suspicion, and a suspect that lives answers with a
   * refutation.
   */
  #ask(record: Statement, suspicion: Suspicion, afterMs: number): void {
    this.#outbox.send(record.address, { type: 'gossip' }, record);
    suspicion.asked = true;
    this.#rearm(record.name, suspicion, afterMs);
  }

  #endSuspicion(name: string): void {
    const { members } = this.#context;
    const suspicion = members.suspicionOf(name);
    if (suspicion === undefined) return;
    this.#timers.disarm(suspicion.token);
    members.setSuspicion(name, undefined);
  }
}

/** Whether it is a verdict of others: the member may live, and is asked first. */
function isJudged({ state, accuser }: Update): boolean {
  return state === 'faulty' || (state === 'left' && accuser !== '');
}

function asUpdate(record: Statement): Update {
  return { ...record, ageS: 0, accuser: '' };
}
