import {
  EVENT_PREFIX_BYTES,
  EVENTS_PER_MESSAGE_MAX,
  encodeMessage,
  encodeUpdate,
  MessageWriter,
  UPDATES_PER_MESSAGE_MAX,
} from './codec.ts';
import type { Context } from './context.ts';
import { retransmitLimit } from './dissemination.ts';
import { isPresent } from './member-list.ts';
import { type Body, commonVersion, type Header, type VersionRange } from './message.ts';
import type { Statement } from './statement.ts';
import type { Timers } from './timers.ts';

/** An answer to a stranger is at most this much longer than its datagram. */
const STRANGER_BYTES = 256;
/** Share of a stream's bytes for user events. */
const EVENTS_STREAM_SHARE = 0.25;
/** Gathers the updates of one moment into one round. */
const GOSSIP_DELAY_MS = 10;
/** If gossip needs longer to tell everything once, exchanges help out. See ADR 0015. */
const BEHIND_MS = 250;
/** Sends of an update that most others know. */
const OLD_NEWS_SENDS = 2;

/** Receiver of an answer: the sender that a datagram names, and the address that it seems to come from. */
export interface Origin {
  readonly name: string;
  readonly bootEpoch: number;
  readonly address: string;
  /** Of the datagram. */
  readonly bytes: number;
}

/**
 * Sends for this member: fills datagrams and streams with updates and events, decides how often each is
 * told, and bounds what a stranger gets.
 */
export class Outbox {
  readonly #context: Context;
  readonly #timers: Timers;
  #gossipArmed = false;

  constructor(context: Context, timers: Timers) {
    this.#context = context;
    this.#timers = timers;
  }

  /**
   * Sends a datagram, filled with updates and events.
   *
   * First the records named in `first`, then those of the queue. A receiver that we do not hold alive
   * always hears that first, so that it can refute (Lifeguard's buddy system). User events get their
   * share, and the room that updates leave.
   */
  send(to: string, body: Body, receiver: Statement | undefined, first: readonly string[] = []) {
    const { datagramBytesMax } = this.#context.config;
    const budget = { bytes: datagramBytesMax, withGossip: true };
    this.#sendWithin(budget, to, body, receiver, first);
  }

  /**
   * Answers a datagram, without becoming an amplifier: the address it seems to come from may be
   * forged.
   *
   * A member is answered at its own address, wherever the datagram came from. A stranger gets no
   * gossip, and at most {@link STRANGER_BYTES} more than it sent.
   */
  answer(origin: Origin, body: Body, first: readonly string[] = []): void {
    const record = this.#context.members.get(origin.name);
    if (record?.bootEpoch === origin.bootEpoch) {
      this.send(record.address, body, record, first);
    } else {
      const bytes = Math.min(origin.bytes + STRANGER_BYTES, this.#context.config.datagramBytesMax);
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
    const {
      config,
      switches,
      members,
      self,
      queue,
      events: stored,
      counters,
      nowMs,
    } = this.#context;
    const names = new Set(first);
    const isDoubted = receiver !== undefined && receiver.state !== 'alive';
    if (isDoubted && switches.buddySystem) names.add(receiver.name);
    const message = new MessageWriter(this.#header(receiver?.versions), body);
    let left = budget.bytes - message.overheadBytes;
    const updates: Uint8Array[] = [];
    for (const name of names) {
      const record = members.get(name);
      // Names us as accuser to a suspect, so that it answers us.
      const accuser = name === receiver?.name ? self.name : undefined;
      const update = record === undefined ? undefined : this.#encode(record, accuser);
      if (update === undefined || update.length > left) continue;
      left -= update.length;
      updates.push(update);
    }
    const limit = this.retransmitLimit();
    let events: Uint8Array[] = [];
    if (budget.withGossip) {
      for (const update of queue.take(left - stored.reserve(left), limit, names)) {
        left -= update.length;
        updates.push(update);
      }
      // The digest does not cover events, so it does not show a missed one: they are sent more often.
      events = stored.take(left, limit + config.retransmitMult, nowMs);
    }
    const bytes = message.done(updates, events);
    counters.packetsOut++;
    counters.bytesOut += bytes.length;
    this.#context.emit({ type: 'send', to, bytes, isOwn: to === receiver?.address });
  }

  /** A message with these members and the user events of late; the events have a quarter at most. */
  encodeFull(body: Body, records: Iterable<Statement>, version?: number): Uint8Array {
    const { config, events, nowMs } = this.#context;
    const bytesMax = config.streamBytesMax * EVENTS_STREAM_SHARE;
    const recent = events.recent(bytesMax, EVENTS_PER_MESSAGE_MAX, nowMs);
    return this.encodeRecords(body, records, version, recent);
  }

  /** A message with these members, as far as a stream has room; the living go first. */
  encodeRecords(
    body: Body,
    records: Iterable<Statement>,
    version?: number,
    events: readonly Uint8Array[] = [],
  ): Uint8Array {
    const message = new MessageWriter(this.#header(undefined, version), body);
    let left = this.#context.config.streamBytesMax - message.overheadBytes;
    for (const event of events) left -= event.length + EVENT_PREFIX_BYTES;
    const updates: Uint8Array[] = [];
    const dead: Statement[] = [];
    const add = (record: Statement): void => {
      const update = this.#encode(record);
      if (update.length > left || updates.length >= UPDATES_PER_MESSAGE_MAX) {
        this.#context.counters.membersRefused++;
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

  /**
   * Spreads a member's present record, in the name of `accuser` if it is a suspicion.
   *
   * @param isNews false if most others know it: then it is told a few times only
   */
  disseminate(record: Statement, accuser = this.#context.self.name, isNews = true): void {
    const update = this.#encode(record, accuser);
    const rank = Math.max(0, this.retransmitLimit() - OLD_NEWS_SENDS);
    if (isNews) this.#context.queue.enqueue(record.name, update);
    else this.#context.queue.enqueue(record.name, update, rank, OLD_NEWS_SENDS);
    this.armGossip();
  }

  /** One round of gossip; the next is armed while there is more to tell. */
  gossip(): void {
    this.#gossipArmed = false;
    const { config, switches, members, queue, events, nowMs } = this.#context;
    const { gossipFanout, gossipIntervalMs } = config;
    const { gossipToDeadMs } = switches;
    const dead = gossipToDeadMs > 0 ? members.faultyAfter(nowMs - gossipToDeadMs) : [];
    for (const peer of members.pickPeersOr(gossipFanout, dead)) {
      if (queue.size + events.size === 0) break;
      this.send(peer.address, { type: 'gossip' }, peer);
    }
    const isMore = queue.size + events.size > 0;
    if (isMore && members.peerCount() > 0) this.armGossip(gossipIntervalMs);
  }

  /** Whether gossip needs long to tell everything once, with so many more updates. */
  isBehind(more = 0): boolean {
    const { config, queue, self } = this.#context;
    const { gossipFanout, gossipIntervalMs, datagramBytesMax } = config;
    const updates = queue.size + more;
    const updateBytes = queue.nextBytes() || this.#encode(self).length;
    const rounds = (updates * updateBytes) / (gossipFanout * datagramBytesMax);
    return rounds * gossipIntervalMs > BEHIND_MS;
  }

  retransmitLimit(): number {
    const { config, members } = this.#context;
    return retransmitLimit(config.retransmitMult, members.presentCount());
  }

  /** Makes the next round of gossip come soon. */
  armGossip(afterMs = GOSSIP_DELAY_MS): void {
    const { phase, config } = this.#context;
    if (this.#gossipArmed || phase === 'idle') return;
    this.#gossipArmed = true;
    this.#timers.arm({ kind: 'gossip' }, Math.min(afterMs, config.gossipIntervalMs));
  }

  /** Hearsay is no accusation of its own: each is passed on as that of a member that looked. */
  #accuserOf({ name }: Statement): string {
    const { members, self } = this.#context;
    const accusers = members.suspicionOf(name)?.accusers;
    if (accusers === undefined || accusers.has(self.name)) return self.name;
    return accusers.values().next().value ?? '';
  }

  /** @param version that of the request; without one, a version that the receiver speaks */
  #header(receiver: VersionRange | undefined, version?: number): Header {
    const { versions, clusterId, self } = this.#context;
    const common = receiver === undefined ? undefined : commonVersion(versions, receiver);
    return {
      version: version ?? common ?? versions.min,
      clusterId,
      name: self.name,
      bootEpoch: self.bootEpoch,
    };
  }

  /** @param accuser of a suspect; default ourselves if we looked, or else one that did */
  #encode(record: Statement, accuser = this.#accuserOf(record)): Uint8Array {
    const { state } = record;
    const dead = state === 'faulty' || state === 'left';
    const sinceMs = this.#context.members.deadSince(record.name);
    return encodeUpdate({
      ...record,
      ageS: dead ? Math.max(0, Math.floor((this.#context.nowMs - sinceMs) / 1000)) : 0,
      accuser: state === 'suspect' ? accuser : state === 'left' ? record.removedBy : '',
    });
  }
}
