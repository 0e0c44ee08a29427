import type { Context } from './context.ts';
import { isPresent } from './member-list.ts';
import type { Membership } from './membership.ts';
import type { Body, ProbeTarget } from './message.ts';
import type { Notices } from './notices.ts';
import type { Origin, Outbox } from './outbox.ts';
import type { Parts } from './parts.ts';
import type { Statement } from './statement.ts';
import type { Timers } from './timers.ts';

/** Between the end of a probe and its verdict. */
const DRAIN_MS = 5;
/** Verdicts put off for one probe; then it ends without one. */
const REARMS_MAX = 3;
/** Answers over streams only, by one member or by all, after which lost datagrams are reported. */
const LOST_OF_ONE = 3;
const LOST_IN_A_ROW = 5;
/** Members counted for that. */
const STREAM_ONLY_MAX = 1_024;
const LOST_NOTICE_MS = 10_000;
/** Members that probe others at once when one has ended, and how many each. */
const LOOKERS_AROUND = 32;
const AROUND = 2;
/** Others asked to look at a host that refuses, and how many must be refused, too. */
const WITNESSES_ASKED = 4;
const WITNESSES_WANTED = 2;
const NACK_FRACTION = 0.8;
const HELP_MS_MAX = 30_000;
const HELP_GRACE_MS = 1_000;

/** Why a member is probed. */
export type ProbeKind =
  /** Its turn in the round. */
  | 'round'
  /** A hint said that it may be gone. */
  | 'hint'
  /** It is faulty: does it answer again? No verdict follows. */
  | 'faulty';

type ProbePhase = 'direct' | 'verdict' | 'final' | 'refused';

interface Probe {
  readonly name: string;
  /** Where it was pinged. */
  readonly address: string;
  readonly bootEpoch: number;
  readonly kind: ProbeKind;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  /** Stalls counted when the present phase began: a later stall voids the silence since. */
  stalls: number;
  helpers: number;
  nacks: number;
  rearmed: number;
  /** Asked over a stream, too. */
  streamed: boolean;
  /** How many others must be refused a connection as well; undefined while we were not refused. */
  witnessesWanted: number | undefined;
  readonly witnesses: Set<string>;
  token: number;
}

/** A probe made for another member (ping-req). */
interface Help {
  readonly origin: Origin;
  readonly originSeq: number;
  readonly target: string;
  /** Of a look: whether the host refused, and whether the target had time to answer. */
  readonly look: { refused: boolean; waited: boolean } | undefined;
  token: number;
}

/** Opens a stream to ask the target there too. */
export type FallbackProbe = (record: Statement, seq: number) => void;

/**
 * The probe cycle of SWIM §3.1, with Lifeguard's nacks.
 *
 *     ping ──probe timeout──▶ ping-req × k, stream ──end of period──▶ verdict
 *
 *                            └─refused─▶ look × 4 ──refused × 2──▶ verdict
 *
 * An ack at any time ends it. A verdict of a process that stalled meanwhile is put off: acks may
 * lie unread. Probes and helps are each at most `probesMax`; beyond, none begins.
 */
export class Prober {
  readonly #context: Context;
  readonly #timers: Timers;
  readonly #outbox: Outbox;
  readonly #notices: Notices;
  readonly #membership: Membership;
  readonly #fallback: FallbackProbe;
  readonly #probes = new Map<number, Probe>();
  readonly #helps = new Map<number, Help>();
  #lastSeq: number;
  /** Times in a row that a member answered over a stream only. */
  readonly #streamOnly = new Map<string, number>();
  #streamOnlyInARow = 0;
  #lostNoticeMs = Number.NEGATIVE_INFINITY;

  constructor(parts: Parts, membership: Membership, fallback: FallbackProbe) {
    this.#context = parts.context;
    this.#timers = parts.timers;
    this.#outbox = parts.outbox;
    this.#notices = parts.notices;
    this.#membership = membership;
    this.#fallback = fallback;
    // A random start, so that acks of a former life do not match.
    this.#lastSeq = Math.floor(parts.context.random() * 0x1_0000_0000);
  }

  /** Probes under way for ourselves. */
  get probeCount(): number {
    return this.#probes.size;
  }

  /** Probes under way for others. */
  get helpCount(): number {
    return this.#helps.size;
  }

  /** One protocol period: probes the next member of the round. */
  onPeriod(): void {
    const target = this.#context.members.nextTarget();
    if (target !== undefined) this.begin(target, 'round');
  }

  /** One process has ended: the next of the round are probed at once, by about as many members as that needs. */
  lookAround(): void {
    const { members, random } = this.#context;
    if (random() * members.presentCount() >= LOOKERS_AROUND) return;
    for (let n = 0; n < AROUND; n++) this.onPeriod();
  }

  begin(record: Statement, kind: ProbeKind): void {
    if (this.#probes.size >= this.#context.config.probesMax) return;
    for (const probe of this.#probes.values()) if (probe.name === record.name) return;
    const { config, health, nowMs, counters, self } = this.#context;
    if (record.address === self.address) {
      // This address is ours, so that member is gone.
      this.#membership.declareFaulty(record);
      return;
    }
    counters.probes++;
    const seq = this.#nextSeq();
    const timeoutMs = health.scale(config.probeTimeoutMs);
    const probe: Probe = {
      name: record.name,
      address: record.address,
      bootEpoch: record.bootEpoch,
      kind,
      timeoutMs,
      deadlineMs: nowMs + health.scale(config.protocolPeriodMs) - DRAIN_MS,
      stalls: counters.stalls,
      helpers: 0,
      nacks: 0,
      rearmed: 0,
      streamed: false,
      witnessesWanted: undefined,
      witnesses: new Set(),
      token: this.#timers.arm({ kind: 'probe', seq, phase: 'direct' }, timeoutMs),
    };
    this.#probes.set(seq, probe);
    this.#ping(record, seq);
    // A hint has a cause: the host may confirm it at once.
    if (kind === 'hint' && this.#context.switches.believesRefusals)
      this.#stream(record, seq, probe);
  }

  onTimer(seq: number, phase: ProbePhase, late: boolean): void {
    const probe = this.#probes.get(seq);
    if (probe === undefined) return;
    if (phase === 'refused') {
      this.onRefused(seq, probe.name);
      return;
    }
    const { stalls } = this.#context.counters;
    if (late || stalls !== probe.stalls) {
      this.#rearm(seq, probe, phase);
      return;
    }
    if (phase === 'final' || (phase === 'direct' && probe.kind === 'faulty')) {
      this.#probes.delete(seq);
      if (phase === 'final') this.#verdict(probe);
    } else if (phase === 'direct') {
      this.#askHelpers(seq, probe);
    } else if (!this.#context.switches.stallAwareness) {
      this.#probes.delete(seq);
      this.#verdict(probe);
    } else {
      // Once more around the event loop, so that what has arrived is read before the verdict.
      probe.token = this.#timers.arm({ kind: 'probe', seq, phase: 'final' }, DRAIN_MS);
    }
  }

  /** As {@link onAck}, by a stream: no datagram came through in time. */
  onStreamAck(seq: number, target: string): void {
    const context = this.#context;
    const streamOnly = this.#streamOnly;
    const probe = this.#probes.get(seq);
    if (probe?.name === target) {
      context.counters.streamAcks++;
      if (streamOnly.size >= STREAM_ONLY_MAX && !streamOnly.has(target)) streamOnly.clear();
      const times = (streamOnly.get(target) ?? 0) + 1;
      streamOnly.set(target, times);
      this.#streamOnlyInARow++;
      const isLost = times >= LOST_OF_ONE || this.#streamOnlyInARow >= LOST_IN_A_ROW;
      if (isLost && context.nowMs - this.#lostNoticeMs >= LOST_NOTICE_MS) {
        this.#lostNoticeMs = context.nowMs;
        this.#notices.say('SWIM_ERR_DATAGRAMS_LOST', probe.address);
      }
    }
    this.#acked(seq, target);
  }

  /** Ends our probe, or passes the answer on to the member that we help. */
  onAck(seq: number, target: string): void {
    this.#streamOnly.delete(target);
    this.#streamOnlyInARow = 0;
    this.#acked(seq, target);
  }

  #acked(seq: number, target: string): void {
    const probe = this.#probes.get(seq);
    if (probe?.name === target) {
      this.#end(seq, probe);
      this.#context.health.adjust(-1);
      return;
    }
    const help = this.#helps.get(seq);
    if (help?.target !== target) return;
    this.#endHelp(seq, help);
    const digest = this.#context.members.digest();
    this.#answer(help, { type: 'ack', seq: help.originSeq, digest, target });
  }

  /**
   * The target's host refused a connection: no process listens there. A firewall may refuse, too, so
   * others are asked to look. An answer in time, to them or to us, ends the probe.
   */
  onRefused(seq: number, target: string): void {
    if (!this.#context.switches.believesRefusals) return;
    const probe = this.#probes.get(seq);
    if (probe?.name === target) {
      if (probe.kind !== 'faulty') this.#onProbeRefused(seq, probe);
      return;
    }
    const help = this.#helps.get(seq);
    if (help?.target !== target || help.look === undefined) return;
    help.look.refused = true;
    if (help.look.waited) this.#witness(seq, help);
  }

  /** Another member was refused, too. */
  onWitness(seq: number, target: string, witness: string): void {
    const probe = this.#probes.get(seq);
    if (probe?.name !== target || probe.witnessesWanted === undefined) return;
    probe.witnesses.add(witness);
    if (probe.witnesses.size >= probe.witnessesWanted) this.#refusedVerdict(seq, probe);
  }

  onNack(seq: number, target: string): void {
    const probe = this.#probes.get(seq);
    if (probe?.name === target && probe.nacks < probe.helpers) probe.nacks++;
  }

  /** The target's address answered, and is another member's now: only that address can say so. */
  onNotMe(seq: number, target: string, from: string): void {
    const probe = this.#probes.get(seq);
    if (probe?.name !== target) return;
    if (!isSameAddress(probe.address, from)) {
      this.#context.counters.strangersRefused++;
      return;
    }
    this.#end(seq, probe);
    const record = this.#context.members.get(target);
    // Waiting out a suspicion would serve a ghost; if it only moved, it refutes.
    if (record?.bootEpoch === probe.bootEpoch) this.#membership.declareFaulty(record);
  }

  /** ping-req: probes the target for the origin, and says in time if it stays silent. */
  onPingReq(
    origin: Origin,
    request: { readonly seq: number; readonly remainingMs: number } & ProbeTarget,
  ): void {
    const context = this.#context;
    const record = context.members.get(request.target);
    const seq = this.#nextSeq();
    const remainingMs = Math.min(request.remainingMs, HELP_MS_MAX);
    const help: Help = {
      origin,
      originSeq: request.seq,
      target: request.target,
      look: undefined,
      token: 0,
    };
    if (record === undefined || this.#helps.size >= context.config.probesMax) {
      this.#answer(help, { type: 'nack', seq: help.originSeq, target: help.target });
      return;
    }
    if (record.bootEpoch > request.targetBootEpoch) {
      // The present life cannot answer for a former one: the prober hears of the present one.
      const body = { type: 'nack', seq: help.originSeq, target: help.target } as const;
      this.#outbox.answer(origin, body, [help.target]);
      return;
    }
    // Lifeguard: in time for the prober to count it, at 80 % of what is left.
    help.token = this.#timers.arm(
      { kind: 'help', seq, phase: 'nack' },
      remainingMs * NACK_FRACTION,
    );
    this.#helps.set(seq, help);
    this.#ping(record, seq);
  }

  /** look: connects to the target for the origin; answered only if that is refused, or by an ack. */
  onLook(origin: Origin, request: { readonly seq: number } & ProbeTarget): void {
    const context = this.#context;
    const { target, targetBootEpoch } = request;
    const record = context.members.get(target);
    if (record?.bootEpoch !== targetBootEpoch || this.#helps.size >= context.config.probesMax)
      return;
    const seq = this.#nextSeq();
    const look = { refused: false, waited: false };
    const token = this.#timers.arm(
      { kind: 'help', seq, phase: 'look' },
      context.config.probeTimeoutMs / 2,
    );
    this.#helps.set(seq, { origin, originSeq: request.seq, target, look, token });
    this.#ping(record, seq);
    this.#fallback(record, seq);
  }

  onHelpTimer(seq: number, phase: 'nack' | 'look' | 'end', late: boolean): void {
    const help = this.#helps.get(seq);
    if (help === undefined) return;
    if (phase === 'look' && help.look !== undefined) {
      help.look.waited = true;
      if (help.look.refused && !late) this.#witness(seq, help);
      else help.token = this.#timers.arm({ kind: 'help', seq, phase: 'end' }, HELP_GRACE_MS);
      return;
    }
    if (phase === 'end') {
      this.#helps.delete(seq);
      return;
    }
    // A helper that stalled does not vouch for its own hearing.
    if (!late) this.#answer(help, { type: 'nack', seq: help.originSeq, target: help.target });
    // An ack that comes after all is still passed on.
    help.token = this.#timers.arm({ kind: 'help', seq, phase: 'end' }, HELP_GRACE_MS);
  }

  #askHelpers(seq: number, probe: Probe): void {
    const context = this.#context;
    const record = context.members.get(probe.name);
    if (record === undefined) {
      this.#end(seq, probe);
      return;
    }
    const remainingMs = Math.max(0, probe.deadlineMs - context.nowMs);
    const helpers = context.members.pickPeers(context.config.indirectProbes, probe.name);
    probe.helpers = helpers.length;
    for (const helper of helpers) {
      const body: Body = { type: 'ping-req', seq, remainingMs, ...targetOf(record) };
      this.#outbox.send(helper.address, body, helper);
    }
    this.#stream(record, seq, probe);
    if (remainingMs === 0 && !context.switches.stallAwareness) {
      this.#probes.delete(seq);
      this.#verdict(probe);
      return;
    }
    probe.token = this.#timers.arm({ kind: 'probe', seq, phase: 'verdict' }, remainingMs);
  }

  /** Asks over a stream, once. */
  #stream(record: Statement, seq: number, probe: Probe): void {
    if (probe.streamed || !this.#context.config.fallbackProbe) return;
    probe.streamed = true;
    this.#fallback(record, seq);
  }

  #onProbeRefused(seq: number, probe: Probe): void {
    const context = this.#context;
    const record = context.members.get(probe.name);
    if (record === undefined || record.bootEpoch !== probe.bootEpoch) return;
    if (isPresent(record)) {
      const { name, bootEpoch } = record;
      context.emit({ type: 'refused', name, bootEpoch, isFirstHand: true });
    }
    const witnesses = context.members.pickPeers(WITNESSES_ASKED, probe.name);
    const isFirst = probe.witnessesWanted === undefined;
    probe.witnessesWanted = Math.min(WITNESSES_WANTED, witnesses.length);
    for (const witness of isFirst ? witnesses : []) {
      const body: Body = { type: 'look', seq, ...targetOf(record) };
      this.#outbox.send(witness.address, body, witness);
    }
    if (witnesses.length > 0) return;
    // No other member can look: this one does, once more.
    if (isFirst) this.#timers.arm({ kind: 'probe', seq, phase: 'refused' }, probe.timeoutMs / 2);
    else this.#refusedVerdict(seq, probe);
  }

  #refusedVerdict(seq: number, probe: Probe): void {
    const context = this.#context;
    // An answer may lie unread.
    if (this.#timers.isStalling()) return;
    const record = context.members.get(probe.name);
    this.#end(seq, probe);
    if (record === undefined || record.bootEpoch !== probe.bootEpoch) return;
    context.counters.probesFailed++;
    context.counters.refusals++;
    this.#membership.suspectRefused(record);
  }

  #witness(seq: number, help: Help): void {
    this.#endHelp(seq, help);
    this.#answer(help, { type: 'refused', seq: help.originSeq, target: help.target });
  }

  #rearm(seq: number, probe: Probe, phase: ProbePhase): void {
    const context = this.#context;
    context.counters.probesRearmed++;
    probe.rearmed++;
    const record = context.members.get(probe.name);
    if (probe.rearmed > REARMS_MAX || record === undefined) {
      this.#probes.delete(seq);
      return;
    }
    probe.stalls = context.counters.stalls;
    // Ask again: answers to the first ping may have met a full buffer.
    this.#ping(record, seq);
    const next = phase === 'direct' ? 'direct' : 'verdict';
    probe.token = this.#timers.arm({ kind: 'probe', seq, phase: next }, probe.timeoutMs);
  }

  #verdict(probe: Probe): void {
    const context = this.#context;
    const record = context.members.get(probe.name);
    if (record === undefined || record.bootEpoch !== probe.bootEpoch || !isPresent(record)) return;
    context.counters.probesFailed++;
    // Lifeguard: helpers that nacked show that we hear well, so that the target is to blame.
    context.health.adjust(probe.helpers > 0 ? probe.helpers - probe.nacks : 1);
    this.#membership.suspect(record);
  }

  #ping(record: Statement, seq: number): void {
    const digest = this.#context.members.digest();
    this.#outbox.send(record.address, { type: 'ping', seq, digest, ...targetOf(record) }, record);
  }

  #answer(help: Help, body: Body): void {
    this.#outbox.answer(help.origin, body);
  }

  #end(seq: number, probe: Probe): void {
    this.#timers.disarm(probe.token);
    this.#probes.delete(seq);
  }

  #endHelp(seq: number, help: Help): void {
    this.#timers.disarm(help.token);
    this.#helps.delete(seq);
  }

  #nextSeq(): number {
    this.#lastSeq = (this.#lastSeq + 1) >>> 0;
    return this.#lastSeq;
  }
}

/** Whether a datagram from there can come from this address: of a host name only the port is known. */
function isSameAddress(address: string, from: string): boolean {
  if (address === from) return true;
  const isNumeric = /^(\d+\.\d+\.\d+\.\d+|\[[^\]]*\]):\d+$/.test(address);
  const portOf = (text: string): string => text.slice(text.lastIndexOf(':'));
  return !isNumeric && portOf(address) === portOf(from);
}

function targetOf(record: Statement): ProbeTarget {
  return {
    target: record.name,
    targetBootEpoch: record.bootEpoch,
    targetIncarnation: record.incarnation,
  };
}
