import type { SwimConfig } from '../config.ts';
import { EVENT_PREFIX_BYTES } from './codec.ts';
import { Dissemination } from './dissemination.ts';
import { decodeEvent, encodeEvent, setEventAge, type UserEvent } from './event-codec.ts';

/** Share of each datagram for events that wait. */
const SHARE = 0.25;
/** Sequence numbers remembered per member; older ones count as seen. */
const WINDOW = 1_024;
/** Above what a member may broadcast: events come late, and some together. */
const OTHERS_RATE = 4;
const NOTHING: Uint8Array[] = [];

type Settings = Pick<SwimConfig, 'eventsMax' | 'eventRateMax' | 'eventKeepMs' | 'membersMax'>;

/** What became of a record: a new event, or why it is none. */
export type Received = UserEvent | 'seen' | 'refused' | 'malformed';

/** An event that is kept for those whom gossip missed. */
interface Kept {
  readonly key: string;
  readonly record: Uint8Array;
  /** When it was broadcast, by the own clock. */
  readonly bornMs: number;
}

/** What was seen of one life of one member. */
interface Origin {
  highest: number;
  /** Bit `sequence % WINDOW` is set for those seen, down to `highest - WINDOW`. */
  readonly seen: Uint32Array;
  lastMs: number;
  allowance: number;
  allowanceMs: number;
}

/**
 * User events: what any member tells all of them, spread beside the updates.
 *
 * Each is gossiped as often as an update, and kept for `eventKeepMs`. It comes along when two members
 * exchange everything, so each present member gets it in the end, even if gossip missed it. No member
 * gets one twice: sequence numbers are remembered for as long as an event can be under way, and older
 * events are refused. A joiner gets none that is older than its membership.
 *
 *     datagram:  │ updates │ events │     events wait: their share is a quarter at least, saved up
 *                                         for the next one if it is larger; updates wait: no more
 *
 * Bounds: `eventsMax` to be gossiped (beyond, those sent most are left to the exchanges), as many kept
 * (beyond, the oldest goes), `eventRateMax` a second from here, four times that from each other member,
 * one window of numbers per member, `membersMax` of them.
 */
export class Events {
  /** Boot epoch of the own events; a new one does not restart their numbers. */
  bootEpoch: number;
  /** Events given up for want of room. */
  dropped = 0;
  readonly #settings: Settings;
  readonly #origin: string;
  readonly #queue: Dissemination;
  readonly #kept = new Map<string, Kept>();
  readonly #origins = new Map<string, Origin>();
  readonly #bornMs = new WeakMap<Uint8Array, number>();
  #sequence = 0;
  #allowance: number;
  #allowanceMs = Number.NEGATIVE_INFINITY;
  #credit = 0;

  constructor(settings: Settings, origin: string, bootEpoch: number) {
    this.#settings = settings;
    this.#origin = origin;
    this.bootEpoch = bootEpoch;
    this.#queue = new Dissemination(settings.eventsMax, EVENT_PREFIX_BYTES);
    this.#allowance = this.#burst();
  }

  /** Events that wait to be gossiped. */
  get size(): number {
    return this.#queue.size;
  }

  /** Members whose sequence numbers are remembered. */
  get originCount(): number {
    return this.#origins.size;
  }

  /** Events that wait for an exchange. */
  get keptCount(): number {
    return this.#kept.size;
  }

  /** A new event of this member; undefined if there were too many lately. */
  broadcast(name: string, payload: Uint8Array, nowMs: number): UserEvent | undefined {
    const { eventRateMax } = this.#settings;
    const sinceMs = nowMs - this.#allowanceMs;
    this.#allowance = Math.min(this.#burst(), this.#allowance + (sinceMs / 1000) * eventRateMax);
    this.#allowanceMs = nowMs;
    if (this.#allowance < 1) return undefined;
    this.#allowance--;
    this.#sequence++;
    const { bootEpoch } = this;
    const origin = this.#origin;
    const sequence = this.#sequence;
    const event = { name, payload: payload.slice(), origin, bootEpoch, sequence, ageMs: 0 };
    this.#keep(keyOf(event), encodeEvent(event), nowMs);
    return event;
  }

  /**
   * Takes in a record.
   *
   * A refused record (its origin is unknown or says too much, or there is no room) is not remembered: it
   * may come again.
   *
   * @param sinceMs when this member joined; nothing older is taken
   * @param isCurrent whether this is a member, and this its boot epoch
   */
  receive(
    record: Uint8Array,
    nowMs: number,
    sinceMs: number,
    isCurrent: (name: string, bootEpoch: number) => boolean,
  ): Received {
    const event = decodeEvent(record);
    if (event === undefined) return 'malformed';
    const key = keyOf(event);
    if (event.origin === this.#origin || this.#kept.has(key)) return 'seen';
    const bornMs = nowMs - event.ageMs;
    if (bornMs < sinceMs || event.ageMs >= this.#settings.eventKeepMs) return 'refused';
    const life = `${event.bootEpoch} ${event.origin}`;
    // Late events of a former life count, if that life is known.
    if (!this.#origins.has(life) && !isCurrent(event.origin, event.bootEpoch)) return 'refused';
    const origin = this.#originOf(life, nowMs);
    if (origin === undefined) return 'refused';
    if (isSeen(origin, event.sequence)) return 'seen';
    // No member broadcasts so fast: a forged number would silence it.
    if (origin.highest > 0 && event.sequence > origin.highest + this.#leapMax()) return 'refused';
    if (!this.#allow(origin, nowMs)) return 'refused';
    markSeen(origin, event.sequence);
    origin.lastMs = nowMs;
    this.#keep(key, record.slice(), bornMs);
    return event;
  }

  /**
   * Bytes of the next datagram that updates must leave to events.
   *
   * Adds a quarter of `bytes` to what events have saved, and gives it out once the next event fits.
   */
  reserve(bytes: number): number {
    const next = this.#queue.nextBytes();
    if (next === 0) {
      this.#credit = 0;
      return 0;
    }
    this.#credit += bytes * SHARE;
    const reserved = Math.floor(Math.min(this.#credit, bytes));
    return reserved >= next ? reserved : 0;
  }

  /**
   * Takes events for one datagram.
   *
   * @param bytesMax what updates have left
   * @param limit sends after which an event is only kept, ≥ 1
   */
  take(bytesMax: number, limit: number, nowMs: number): Uint8Array[] {
    if (this.#queue.size === 0) return NOTHING;
    const taken = this.#queue.take(bytesMax, limit);
    for (const record of taken) {
      this.#credit -= record.length + EVENT_PREFIX_BYTES;
      setEventAge(record, nowMs - (this.#bornMs.get(record) ?? nowMs));
    }
    this.#credit = Math.max(0, this.#credit);
    return taken;
  }

  /** Events for an exchange of everything, the newest first. */
  recent(bytesMax: number, countMax: number, nowMs: number): Uint8Array[] {
    this.#expire(nowMs);
    const records: Uint8Array[] = [];
    let left = bytesMax;
    for (const { record, bornMs } of [...this.#kept.values()].reverse()) {
      left -= record.length + EVENT_PREFIX_BYTES;
      if (left < 0 || records.length >= countMax) break;
      setEventAge(record, nowMs - bornMs);
      records.push(record);
    }
    return records;
  }

  #keep(key: string, record: Uint8Array, bornMs: number): void {
    this.#bornMs.set(record, bornMs);
    this.#kept.set(key, { key, record, bornMs });
    if (this.#queue.size >= this.#settings.eventsMax) this.dropped++;
    this.#queue.enqueue(key, record);
    while (this.#kept.size > this.#settings.eventsMax) {
      const [oldest] = this.#kept.keys();
      this.#kept.delete(oldest as string);
    }
  }

  #expire(nowMs: number): void {
    for (const { key, bornMs } of this.#kept.values()) {
      if (nowMs - bornMs < this.#settings.eventKeepMs) continue;
      this.#kept.delete(key);
      this.#queue.remove(key);
    }
  }

  #originOf(key: string, nowMs: number): Origin | undefined {
    const idleMs = 2 * this.#settings.eventKeepMs;
    const known = this.#origins.get(key);
    if (known !== undefined && nowMs - known.lastMs <= idleMs) return known;
    this.#origins.delete(key);
    if (this.#origins.size >= this.#settings.membersMax) {
      // Events of these are refused for their age by now.
      for (const [other, { lastMs }] of this.#origins) {
        if (nowMs - lastMs > idleMs) this.#origins.delete(other);
      }
      if (this.#origins.size >= this.#settings.membersMax) return undefined;
    }
    const origin: Origin = {
      highest: 0,
      seen: new Uint32Array(WINDOW / 32),
      lastMs: nowMs,
      allowance: this.#settings.eventsMax,
      allowanceMs: nowMs,
    };
    this.#origins.set(key, origin);
    return origin;
  }

  #allow(origin: Origin, nowMs: number): boolean {
    const { eventsMax, eventRateMax } = this.#settings;
    const earned = ((nowMs - origin.allowanceMs) / 1000) * eventRateMax * OTHERS_RATE;
    origin.allowance = Math.min(eventsMax, origin.allowance + earned);
    origin.allowanceMs = nowMs;
    if (origin.allowance < 1) return false;
    origin.allowance--;
    return true;
  }

  #burst(): number {
    return 2 * this.#settings.eventRateMax;
  }

  /** More than a member can have broadcast while its last event may still be under way. */
  #leapMax(): number {
    const { eventRateMax, eventKeepMs } = this.#settings;
    return 2 * this.#burst() + 4 * eventRateMax * (eventKeepMs / 1000);
  }
}

function keyOf({ origin, bootEpoch, sequence }: UserEvent): string {
  return `${bootEpoch} ${sequence} ${origin}`;
}

function isSeen({ highest, seen }: Origin, sequence: number): boolean {
  if (sequence > highest) return false;
  if (sequence <= highest - WINDOW) return true;
  const at = sequence % WINDOW;
  return ((seen[at >>> 5] as number) & (1 << (at & 31))) !== 0;
}

function markSeen(origin: Origin, sequence: number): void {
  const { seen, highest } = origin;
  if (sequence - highest >= WINDOW) seen.fill(0);
  else {
    for (let skipped = highest + 1; skipped < sequence; skipped++) {
      const at = skipped % WINDOW;
      seen[at >>> 5] = (seen[at >>> 5] as number) & ~(1 << (at & 31));
    }
  }
  const at = sequence % WINDOW;
  seen[at >>> 5] = (seen[at >>> 5] as number) | (1 << (at & 31));
  origin.highest = Math.max(highest, sequence);
}
