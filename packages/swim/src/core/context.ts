import type { SwimConfig } from '../config.ts';
import type { SwimErrorCode } from '../errors.ts';
import type { Random } from '../ports.ts';
import {
  EVENT_PREFIX_BYTES,
  EVENTS_PER_MESSAGE_MAX,
  encodeMessage,
  encodeUpdate,
  MessageWriter,
  UPDATES_PER_MESSAGE_MAX,
} from './codec.ts';
import { newCounters, type SwimCounters } from './counters.ts';
import { CutDetector, type HostOf } from './cut-detector.ts';
import { Dissemination, retransmitLimit } from './dissemination.ts';
import type { SwimEffect, TimerTask } from './event.ts';
import type { UserEvent } from './event-codec.ts';
import { Events } from './events.ts';
import { LocalHealth } from './local-health.ts';
import { isPresent, MemberList } from './member-list.ts';
import {
  type Body,
  commonVersion,
  type Header,
  type Update,
  type VersionRange,
} from './message.ts';
import type { Statement, StatementTable } from './statement.ts';
import { SWIM_SWITCHES, type SwimSwitches } from './switches.ts';

/** Who is to be answered: who a datagram says that it is from, and where it seems to come from. */
export interface Origin {
  readonly name: string;
  readonly bootEpoch: number;
  readonly address: string;
  /** Of the datagram. */
  readonly bytes: number;
}

/**
 * What the parts of the core share: identity, members, queue, timers and the effects of this step.
 *
 * The parts (membership, prober, sync) decide; this only carries out.
 */
export class Context {
  readonly config: SwimConfig;
  readonly switches: SwimSwitches;
  readonly random: Random;
  readonly members: MemberList;
  readonly queue: Dissemination;
  readonly health: LocalHealth;
  readonly cut: CutDetector;
  readonly events: Events;
  readonly counters: SwimCounters = newCounters();
  readonly versions: VersionRange;
  clusterId: string;
  phase: 'idle' | 'running' | 'leaving' | 'left' = 'idle';
  nowMs = 0;
  /** Since when this member belongs to the cluster. */
  memberSinceMs = 0;
  /** When `members()` last changed. */
  changedMs = Number.NEGATIVE_INFINITY;
  #lastStallMs = Number.NEGATIVE_INFINITY;
  #effects: SwimEffect[] = [];
  #changed = false;
  readonly #timers = new Map<number, { readonly task: TimerTask; readonly dueMs: number }>();
  #lastToken = 0;
  #gossipArmed = false;
  #cutToken = 0;
  #cutWakeMs = Number.POSITIVE_INFINITY;
  readonly #noticedMs = new Map<string, number>();

  constructor(options: {
    readonly config: SwimConfig;
    readonly random: Random;
    readonly clusterId: string;
    readonly versions: VersionRange;
    readonly self: Omit<Update, 'ageS' | 'accuser' | 'versions'>;
    readonly table: StatementTable;
    readonly hostOf?: HostOf | undefined;
    readonly switches?: SwimSwitches | undefined;
    readonly known?: MemberList | undefined;
  }) {
    this.config = options.config;
    this.switches = options.switches ?? SWIM_SWITCHES;
    this.random = options.random;
    this.clusterId = options.clusterId;
    this.versions = options.versions;
    const self = options.table.intern({ ...options.self, versions: options.versions }, '');
    this.members = new MemberList(self, options.random, options.table);
    if (options.known !== undefined) this.members.adoptAll(options.known);
    this.queue = new Dissemination(options.config.updatesMax);
    this.health = new LocalHealth(options.config.localHealthMax);
    this.events = new Events(options.config, self.name, self.bootEpoch);
    this.cut = new CutDetector(this.members, options.config, options.hostOf);
  }

  get self(): Statement {
    return this.members.self;
  }

  /** Ends a step: its effects, the change of members last. */
  takeEffects(): SwimEffect[] {
    if (this.#changed) this.#effects.push({ type: 'members-changed' });
    this.#changed = false;
    if (this.phase !== 'idle') this.#detectCut();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** Timers that are wanted. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Notices that are not to be repeated yet. */
  get noticeCount(): number {
    return this.#noticedMs.size;
  }

  /** Gives a new stable view, if there is one, and asks to be woken for the next. */
  #detectCut(): void {
    const { change, massBegan } = this.cut.step(this.nowMs);
    if (massBegan) {
      this.counters.massSuspicions++;
      this.health.adjust(1);
    }
    if (change !== undefined) {
      this.counters.viewChanges++;
      this.emit({ type: 'view-changed', ...change });
    }
    this.#armCut();
  }

  /** Looks again in time; at least now and then, so that few timers wait though the time changes. */
  #armCut(): void {
    const { nowMs } = this;
    const isLeft = this.phase === 'left';
    const wakeMs = isLeft ? Number.POSITIVE_INFINITY : Math.max(nowMs, this.cut.dueMs);
    if (this.#cutWakeMs > nowMs && this.#cutWakeMs <= wakeMs) return;
    this.disarm(this.#cutToken);
    const afterMs = Math.min(wakeMs - nowMs, CUT_WAKE_MS_MAX);
    this.#cutWakeMs = wakeMs === Number.POSITIVE_INFINITY ? wakeMs : nowMs + afterMs;
    if (wakeMs < Number.POSITIVE_INFINITY) this.#cutToken = this.arm({ kind: 'cut' }, afterMs);
  }

  emit(effect: SwimEffect): void {
    this.#effects.push(effect);
  }

  /** Tells the operator, the same at most once in ten seconds. */
  notice(code: SwimErrorCode, address: string): void {
    const key = `${code} ${address}`;
    const lastMs = this.#noticedMs.get(key);
    if (lastMs !== undefined && this.nowMs - lastMs < NOTICE_INTERVAL_MS) return;
    if (this.#noticedMs.size >= NOTICES_MAX) this.#noticedMs.clear();
    this.#noticedMs.set(key, this.nowMs);
    this.emit({ type: 'notice', code, address });
  }

  /** Records a change that `members()` shows. */
  touch(): void {
    this.changedMs = this.nowMs;
    this.#changed = true;
  }

  arm(task: TimerTask, afterMs: number): number {
    this.#lastToken++;
    const token = this.#lastToken;
    this.#timers.set(token, { task, dueMs: this.nowMs + afterMs });
    this.emit({ type: 'timer', token, afterMs, task });
    return token;
  }

  disarm(token: number): void {
    this.#timers.delete(token);
  }

  disarmAll(): void {
    this.#timers.clear();
  }

  /**
   * The task of a timer that has come, undefined if it is stale; notices a stall of this process.
   *
   * Datagrams that waited meanwhile are still unread when a late timer runs: Node.js runs timers
   * first. That is why a late verdict is put off rather than given.
   */
  takeTimer(token: number): { readonly task: TimerTask; readonly late: boolean } | undefined {
    const timer = this.#timers.get(token);
    if (timer === undefined) return undefined;
    this.#timers.delete(token);
    const lateMs = this.nowMs - timer.dueMs;
    const late = this.switches.stallAwareness && lateMs > this.config.stallThresholdMs;
    if (late) this.noteStall();
    return { task: timer.task, late };
  }

  /** This process could not look for a while: it doubts itself, and verdicts under way are put off. */
  noteStall(): void {
    // What comes late together is one stall.
    if (this.nowMs - this.#lastStallMs > this.config.stallThresholdMs) {
      this.counters.stalls++;
      this.health.adjust(1);
    }
    this.#lastStallMs = this.nowMs;
  }

  /** Whether this process stalls now, or did so lately: what waits for it may still be on its way in. */
  isStalling(): boolean {
    if (this.nowMs - this.#lastStallMs < this.config.probeTimeoutMs) return true;
    return this.switches.stallAwareness && this.#isOverdue();
  }

  /** Whether some timer should have come by now: a part of this process may stall, and others not. */
  #isOverdue(): boolean {
    const latestMs = this.nowMs - this.config.stallThresholdMs;
    for (const { dueMs } of this.#timers.values()) if (dueMs < latestMs) return true;
    return false;
  }

  /**
   * Sends a datagram, filled with what is to be told.
   *
   * First the records named in `first`, then those of the queue. A receiver that is not alive in
   * our eyes always hears that first, so that it can refute (Lifeguard's buddy system). User events
   * have their share, and what updates leave.
   */
  send(to: string, body: Body, receiver: Statement | undefined, first: readonly string[] = []) {
    const { datagramBytesMax } = this.config;
    const budget = { bytes: datagramBytesMax, withGossip: true };
    this.#sendWithin(budget, to, body, receiver, first);
  }

  /**
   * Answers a datagram, without making us anybody's tool: the address it seems to come from may be
   * forged.
   *
   * A member is answered at its own address, wherever the datagram came from. Anybody else gets no
   * gossip, and at most {@link STRANGER_BYTES} more than it sent.
   */
  answer(origin: Origin, body: Body, first: readonly string[] = []): void {
    const record = this.members.get(origin.name);
    if (record?.bootEpoch === origin.bootEpoch) {
      this.send(record.address, body, record, first);
    } else {
      const bytes = Math.min(origin.bytes + STRANGER_BYTES, this.config.datagramBytesMax);
      this.#sendWithin({ bytes, withGossip: false }, origin.address, body, undefined, first);
    }
  }

  #sendWithin(
    budget: { readonly bytes: number; readonly withGossip: boolean },
    to: string,
    body: Body,
    receiver: Statement | undefined,
    first: readonly string[],
  ): void {
    const names = new Set(first);
    const isDoubted = receiver !== undefined && receiver.state !== 'alive';
    if (isDoubted && this.switches.buddySystem) names.add(receiver.name);
    const message = new MessageWriter(this.#header(receiver?.versions), body);
    let left = budget.bytes - message.overheadBytes;
    const updates: Uint8Array[] = [];
    for (const name of names) {
      const record = this.members.get(name);
      // A suspect is told whom it should answer: us.
      const accuser = name === receiver?.name ? this.self.name : undefined;
      const update = record === undefined ? undefined : this.#encode(record, accuser);
      if (update === undefined || update.length > left) continue;
      left -= update.length;
      updates.push(update);
    }
    const limit = this.retransmitLimit();
    let events: Uint8Array[] = [];
    if (budget.withGossip) {
      for (const update of this.queue.take(left - this.events.reserve(left), limit, names)) {
        left -= update.length;
        updates.push(update);
      }
      // No comparison of hashes finds who has missed one: they are told more often.
      events = this.events.take(left, limit + this.config.retransmitMult, this.nowMs);
    }
    const bytes = message.done(updates, events);
    this.counters.packetsOut++;
    this.counters.bytesOut += bytes.length;
    this.emit({ type: 'send', to, bytes, isOwn: to === receiver?.address });
  }

  /** A message with these members and the user events of late; the events have a quarter at most. */
  encodeFull(body: Body, records: Iterable<Statement>, version?: number): Uint8Array {
    const bytesMax = this.config.streamBytesMax * EVENTS_STREAM_SHARE;
    const events = this.events.recent(bytesMax, EVENTS_PER_MESSAGE_MAX, this.nowMs);
    return this.encodeRecords(body, records, version, events);
  }

  /** A message with these members, as far as a stream has room; the living go first. */
  encodeRecords(
    body: Body,
    records: Iterable<Statement>,
    version?: number,
    events: readonly Uint8Array[] = [],
  ): Uint8Array {
    const message = new MessageWriter(this.#header(undefined, version), body);
    let left = this.config.streamBytesMax - message.overheadBytes;
    for (const event of events) left -= event.length + EVENT_PREFIX_BYTES;
    const updates: Uint8Array[] = [];
    const dead: Statement[] = [];
    const add = (record: Statement): void => {
      const update = this.#encode(record);
      if (update.length > left || updates.length >= UPDATES_PER_MESSAGE_MAX) {
        this.counters.membersRefused++;
        return;
      }
      left -= update.length;
      updates.push(update);
    };
    for (const record of records) {
      if (isPresent(record)) add(record);
      else dead.push(record);
    }
    for (const record of dead) add(record);
    return message.done(updates, events);
  }

  /** A message without updates. */
  encodeBare(body: Body, version?: number): Uint8Array {
    return encodeMessage(this.#header(undefined, version), body, []);
  }

  /** Takes in what came along with a message. */
  hearEvents(records: readonly Uint8Array[]): void {
    for (const record of records) {
      const received = this.events.receive(
        record,
        this.nowMs,
        this.memberSinceMs,
        (name, bootEpoch) => this.members.get(name)?.bootEpoch === bootEpoch,
      );
      if (received === 'malformed') this.counters.malformed++;
      else if (received === 'refused') this.counters.eventsRefused++;
      else if (received !== 'seen') this.deliver(received);
    }
  }

  /** Hands over an event that is new here, and passes it on. */
  deliver(event: UserEvent): void {
    this.counters.events++;
    this.counters.eventsDropped = this.events.dropped;
    this.emit({ type: 'user-event', event });
    this.#armGossip(GOSSIP_DELAY_MS);
  }

  /**
   * Has a member's present record spread, in the name of `accuser` if it is a suspicion.
   *
   * @param isNews false if most others know it: then it is told a few times only
   */
  disseminate(record: Statement, accuser = this.self.name, isNews = true): void {
    const update = this.#encode(record, accuser);
    const rank = Math.max(0, this.retransmitLimit() - OLD_NEWS_SENDS);
    if (isNews) this.queue.enqueue(record.name, update);
    else this.queue.enqueue(record.name, update, rank, OLD_NEWS_SENDS);
    this.#armGossip(GOSSIP_DELAY_MS);
  }

  /** One round of gossip; the next is armed while there is more to tell. */
  gossip(): void {
    this.#gossipArmed = false;
    const { gossipFanout, gossipIntervalMs } = this.config;
    const { gossipToDeadMs } = this.switches;
    const dead = gossipToDeadMs > 0 ? this.members.faultyAfter(this.nowMs - gossipToDeadMs) : [];
    for (const peer of this.members.pickPeersOr(gossipFanout, dead)) {
      if (this.queue.size + this.events.size === 0) break;
      this.send(peer.address, { type: 'gossip' }, peer);
    }
    const isMore = this.queue.size + this.events.size > 0;
    if (isMore && this.members.peerCount() > 0) this.#armGossip(gossipIntervalMs);
  }

  /** Whether so much is to be told, with so many updates more, that gossip takes long to tell it once. */
  isBehind(more = 0): boolean {
    const { gossipFanout, gossipIntervalMs, datagramBytesMax } = this.config;
    const updates = this.queue.size + more;
    const updateBytes = this.queue.nextBytes() || this.#encode(this.self).length;
    const rounds = (updates * updateBytes) / (gossipFanout * datagramBytesMax);
    return rounds * gossipIntervalMs > BEHIND_MS;
  }

  retransmitLimit(): number {
    return retransmitLimit(this.config.retransmitMult, this.members.presentCount());
  }

  #armGossip(afterMs: number): void {
    if (this.#gossipArmed || this.phase === 'idle') return;
    this.#gossipArmed = true;
    this.arm({ kind: 'gossip' }, Math.min(afterMs, this.config.gossipIntervalMs));
  }

  /** Hearsay is no accusation of its own: each is passed on as that of a member that looked. */
  #accuserOf({ name }: Statement): string {
    const accusers = this.members.suspicionOf(name)?.accusers;
    if (accusers === undefined || accusers.has(this.self.name)) return this.self.name;
    return accusers.values().next().value ?? '';
  }

  /** @param version that of the request which is answered; of what the receiver speaks otherwise */
  #header(receiver: VersionRange | undefined, version?: number): Header {
    const common = receiver === undefined ? undefined : commonVersion(this.versions, receiver);
    return {
      version: version ?? common ?? this.versions.min,
      clusterId: this.clusterId,
      name: this.self.name,
      bootEpoch: this.self.bootEpoch,
    };
  }

  /** @param accuser of a suspect; default ourselves if we looked, or else one that did */
  #encode(record: Statement, accuser = this.#accuserOf(record)): Uint8Array {
    const { state } = record;
    const dead = state === 'faulty' || state === 'left';
    const sinceMs = this.members.deadSince(record.name);
    return encodeUpdate({
      ...record,
      ageS: dead ? Math.max(0, Math.floor((this.nowMs - sinceMs) / 1000)) : 0,
      accuser: state === 'suspect' ? accuser : state === 'left' ? record.removedBy : '',
    });
  }
}

/** An answer to one that is no member is at most this much longer than what it sent. */
const STRANGER_BYTES = 256;
/** Of a stream's bytes, what user events may take. */
const EVENTS_STREAM_SHARE = 0.25;
/** Gathers the updates of one moment into one round. */
const GOSSIP_DELAY_MS = 10;
/** The stable view looks at the time at least so often while it waits for something. */
const CUT_WAKE_MS_MAX = 5_000;
/** Time to tell everything once, beyond which exchanges help out. See ADR 0015. */
const BEHIND_MS = 250;
/** Sends of what most others know. */
const OLD_NEWS_SENDS = 2;
const NOTICE_INTERVAL_MS = 10_000;
const NOTICES_MAX = 256;
