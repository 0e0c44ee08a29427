import {
  describeMessage,
  filterMatches,
  type HistoryEvent,
  type MessageId,
  type StampedEvent,
} from './history.ts';
import { Lane, SessionLane } from './lane.ts';

/**
 * What a conforming cluster never does. In brackets the invariants of docs/TESTING.md.
 *
 * - `lost-qos1`, `lost-qos2`: acknowledged to the publisher, matching an acknowledged subscription,
 *   never delivered [1]
 * - `duplicate-qos2`: the same message taken as new twice by one session [2]
 * - `order`: a message sent while the session was subscribed, first delivered after a later one of
 *   the same publisher, topic and QoS [7]
 * - `session-lost`: CONNACK without session present although the session had not ended
 * - `session-unexpected`: session present after a clean start, or where none ever was
 * - `packet-id-reuse`: a packet identifier that stands for one QoS 2 message used for another
 * - `phantom`: delivered, but never published, or to a session that never subscribed to it
 * - `qos-raised`: delivered above the published or granted QoS
 * - `refused`: a subscription that was refused
 * - `protocol`: a packet that no conforming server sends
 */
export const VIOLATION_KINDS = [
  'lost-qos1',
  'lost-qos2',
  'duplicate-qos2',
  'order',
  'session-lost',
  'session-unexpected',
  'packet-id-reuse',
  'phantom',
  'qos-raised',
  'refused',
  'protocol',
] as const;
export type ViolationKind = (typeof VIOLATION_KINDS)[number];

export interface Violation {
  readonly kind: ViolationKind;
  readonly client: string;
  /** Publisher, topic, QoS and number of the message, or '' where no message is concerned. */
  readonly message: string;
  readonly detail: string;
  /** Index of the event that showed it; for a loss, that of the acknowledgement. */
  readonly index: number;
}

export interface Verdict {
  readonly ok: boolean;
  readonly counts: Readonly<Record<ViolationKind, number>>;
  /** The first {@link VIOLATIONS_MAX}; `counts` has them all. */
  readonly violations: readonly Violation[];
  readonly figures: CheckerFigures;
}

export interface CheckerFigures {
  /** Distinct messages first sent, by QoS. */
  sentQos1: number;
  sentQos2: number;
  /** Distinct messages acknowledged (PUBACK, PUBREC), by QoS. */
  ackedQos1: number;
  ackedQos2: number;
  /** Publishes answered with a reason code ≥ 0x80. */
  publishesRefused: number;
  /** Unacknowledged publishes that a publisher had to forget because its session was gone. */
  publishesAbandoned: number;
  /** First deliveries over all sessions, by QoS of delivery. */
  deliveredQos1: number;
  deliveredQos2: number;
  /** QoS 1 deliveries after the first: allowed, and counted. */
  repeatsQos1: number;
  /** QoS 2 packets that the client recognised by packet identifier: allowed, and counted. */
  resentQos2: number;
  /** CONNACKs with session present. */
  resumes: number;
}

/** Violations kept in full. */
export const VIOLATIONS_MAX = 1_000;

interface Subscription {
  readonly filter: string;
  readonly granted: 0 | 1 | 2;
  /** Index of the SUBACK. */
  readonly from: number;
  /** Index at which UNSUBSCRIBE was sent, or Infinity. */
  to: number;
}

interface Session {
  /** Whether the server has to know the session at the next CONNECT. */
  exists: 'no' | 'maybe' | 'yes';
  /** `exists` as it was before the CONNECT under way. */
  expected: 'no' | 'maybe' | 'yes';
  subscriptions: Subscription[];
  /** Filters of SUBSCRIBEs that may have reached the server, acknowledged or not. */
  asked: Set<string>;
  lanes: Map<string, SessionLane>;
  /** QoS 2 packet identifiers that the client holds, and the message each stands for. */
  holding: Map<number, string>;
}

/**
 * Judges a history, event by event, in memory proportional to the messages' numbers (a few bytes
 * each) and not to the history.
 *
 * Stricter than MQTT in one point: what was acknowledged before an UNSUBSCRIBE was sent is owed even
 * though [3.10.4] lets a server drop what it had buffered.
 *
 * Pure: no clock, no I/O. Everything but loss is found by the event that shows it. Whether something
 * is lost can only be said once nothing more will come: {@link Checker.missing} says at any time what
 * is still owed, {@link Checker.verdict} calls that lost.
 */
export class Checker {
  readonly #lanes = new Map<string, Lane>();
  readonly #sessions = new Map<string, Session>();
  readonly #counts = Object.fromEntries(VIOLATION_KINDS.map((kind) => [kind, 0])) as Record<
    ViolationKind,
    number
  >;
  readonly #violations: Violation[] = [];
  readonly #figures: CheckerFigures = {
    sentQos1: 0,
    sentQos2: 0,
    ackedQos1: 0,
    ackedQos2: 0,
    publishesRefused: 0,
    publishesAbandoned: 0,
    deliveredQos1: 0,
    deliveredQos2: 0,
    repeatsQos1: 0,
    resentQos2: 0,
    resumes: 0,
  };

  observe(event: StampedEvent): void {
    switch (event.type) {
      case 'connect-sent':
        this.#onConnectSent(event);
        return;
      case 'connected':
        this.#onConnected(event);
        return;
      case 'subscribe-sent':
        this.#session(event.client).asked.add(event.filter);
        return;
      case 'subscribed':
        this.#onSubscribed(event);
        return;
      case 'unsubscribe-sent':
        for (const subscription of this.#session(event.client).subscriptions) {
          if (subscription.filter === event.filter && subscription.to === Infinity) {
            subscription.to = event.index;
          }
        }
        return;
      case 'publish-sent':
        this.#onPublishSent(event);
        return;
      case 'publish-acked':
        this.#onPublishAcked(event);
        return;
      case 'publish-refused':
        this.#figures.publishesRefused++;
        return;
      case 'publish-abandoned':
        this.#figures.publishesAbandoned++;
        return;
      case 'received':
        this.#onReceived(event);
        return;
      case 'protocol-violation':
        this.#report('protocol', event.client, '', event.what, event.index);
        return;
      default:
        return;
    }
  }

  /** What is owed and has not come, over all sessions; the list holds at most `max` of them. */
  missing(max = VIOLATIONS_MAX): { count: number; examples: Violation[] } {
    let count = 0;
    const examples: Violation[] = [];
    for (const [client, session] of this.#sessions) {
      for (const [key, lane] of this.#lanes) {
        const windows = session.subscriptions.filter(
          (s) => s.granted > 0 && filterMatches(s.filter, lane.topic),
        );
        if (windows.length === 0) continue;
        const got = session.lanes.get(key);
        lane.forEachAcked((seq, sentAt, ackedAt) => {
          if (got?.has(seq)) return;
          if (!windows.some((w) => sentAt > w.from && ackedAt < w.to)) return;
          count++;
          if (examples.length >= max) return;
          const message = describeMessage({ ...lane, seq });
          const detail = `sent at ${sentAt}, acknowledged at ${ackedAt}, not delivered`;
          examples.push({ kind: lossOf(lane.qos), client, message, detail, index: ackedAt });
        });
      }
    }
    return { count, examples };
  }

  /** Violations so far, without what is still owed. */
  get violationCount(): number {
    return Object.values(this.#counts).reduce((sum, n) => sum + n, 0);
  }

  get violations(): readonly Violation[] {
    return this.#violations;
  }

  get figures(): Readonly<CheckerFigures> {
    return this.#figures;
  }

  /** The judgement if nothing more comes. May be asked again after more events. */
  verdict(): Verdict {
    const owed = this.missing(Number.POSITIVE_INFINITY).examples;
    const counts = { ...this.#counts };
    for (const violation of owed) counts[violation.kind]++;
    const violations = [...this.#violations, ...owed].slice(0, VIOLATIONS_MAX);
    const ok = Object.values(counts).every((n) => n === 0);
    return { ok, counts, violations, figures: { ...this.#figures } };
  }

  #onConnectSent(event: StampedEvent & { type: 'connect-sent' }): void {
    const session = this.#session(event.client);
    session.expected = session.exists;
    // Unanswered, it may or may not have begun a session, or with Clean Start ended one.
    if (session.exists === 'no' || event.cleanStart) session.exists = 'maybe';
    if (event.cleanStart) endSession(session);
  }

  #onConnected(event: StampedEvent & { type: 'connected' }): void {
    const { client, cleanStart, sessionPresent, index } = event;
    const session = this.#session(client);
    if (sessionPresent) {
      this.#figures.resumes++;
      const why = cleanStart ? 'after a clean start' : 'although there never was one';
      if (cleanStart || session.expected === 'no') {
        this.#report('session-unexpected', client, '', `session present ${why}`, index);
      }
    } else {
      if (!cleanStart && session.expected === 'yes') {
        // The old subscriptions stay: what they are owed is lost, and is to be counted.
        this.#report('session-lost', client, '', `by ${event.node}: session not present`, index);
      } else {
        endSession(session);
      }
      session.holding.clear();
    }
    session.exists = 'yes';
  }

  #onSubscribed(event: StampedEvent & { type: 'subscribed' }): void {
    const { client, filter, granted, index } = event;
    if (granted > 2) {
      this.#report('refused', client, '', `SUBACK ${granted} for ${filter}`, index);
      return;
    }
    const session = this.#session(client);
    // A repeated SUBSCRIBE replaces the subscription; if it stays, the older window covers it.
    const open = session.subscriptions.find((s) => s.filter === filter && s.to === Infinity);
    if (open && open.granted === granted) return;
    if (open) open.to = index;
    const level = granted as 0 | 1 | 2;
    session.subscriptions.push({ filter, granted: level, from: index, to: Infinity });
  }

  #onPublishSent(event: StampedEvent & { type: 'publish-sent' }): void {
    const lane = this.#lane(event.message);
    if (!lane.sent(event.message.seq, event.index)) return;
    if (event.message.qos === 1) this.#figures.sentQos1++;
    else this.#figures.sentQos2++;
  }

  #onPublishAcked(event: StampedEvent & { type: 'publish-acked' }): void {
    const lane = this.#lane(event.message);
    if (!lane.acked(event.message.seq, event.index)) return;
    if (event.message.qos === 1) this.#figures.ackedQos1++;
    else this.#figures.ackedQos2++;
  }

  #onReceived(event: StampedEvent & { type: 'received' }): void {
    const { client, message, index } = event;
    const session = this.#session(client);
    const name = describeMessage(message);
    if (event.qos === 2 && !this.#holds(session, event, name)) return;
    const lane = this.#lanes.get(keyOf(message));
    if (!lane?.wasSent(message.seq)) {
      this.#report('phantom', client, name, 'delivered, but never published', index);
      return;
    }
    if (![...session.asked].some((filter) => filterMatches(filter, message.topic))) {
      this.#report('phantom', client, name, 'delivered without a subscription', index);
      return;
    }
    if (event.qos > this.#qosMax(session, message)) {
      this.#report('qos-raised', client, name, `delivered at QoS ${event.qos}`, index);
    }
    this.#onDelivery(session, event, name);
  }

  #onDelivery(session: Session, event: StampedEvent & { type: 'received' }, name: string): void {
    const { client, message, qos, index } = event;
    const key = keyOf(message);
    let got = session.lanes.get(key);
    if (!got) {
      got = new SessionLane();
      session.lanes.set(key, got);
    }
    const outcome = got.deliver(message.seq);
    if (outcome === 'repeated') {
      if (qos === 2) {
        const detail = `new again as packet ${event.packetId}, DUP ${event.dup ? 1 : 0}`;
        this.#report('duplicate-qos2', client, name, detail, index);
      } else this.#figures.repeatsQos1++;
      return;
    }
    if (qos === 2) this.#figures.deliveredQos2++;
    else this.#figures.deliveredQos1++;
    if (outcome === 'late' && this.#sentSubscribed(session, message)) {
      this.#report('order', client, name, `first delivered after #${got.highest}`, index);
    }
  }

  /** Whether a QoS 2 packet is a new message; a resent one must stand for the message it stood for. */
  #holds(session: Session, event: StampedEvent & { type: 'received' }, name: string): boolean {
    if (event.isNew) {
      session.holding.set(event.packetId, name);
      return true;
    }
    this.#figures.resentQos2++;
    const held = session.holding.get(event.packetId);
    if (held !== undefined && held !== name) {
      const detail = `packet ${event.packetId} stood for ${held} and was not yet released`;
      this.#report('packet-id-reuse', event.client, name, detail, event.index);
    }
    return false;
  }

  /**
   * Whether the message was first sent while the session was subscribed. Otherwise its first copy was
   * not for this session, and a copy that its publisher sent again may come after later messages.
   */
  #sentSubscribed(session: Session, message: MessageId): boolean {
    const sentAt = this.#lanes.get(keyOf(message))?.sentAt(message.seq) ?? 0;
    return session.subscriptions.some(
      ({ filter, from, to }) =>
        filterMatches(filter, message.topic) && sentAt > from && sentAt < to,
    );
  }

  /** The highest QoS at which `message` may arrive: granted and published, whichever is lower. */
  #qosMax(session: Session, message: MessageId): number {
    const granted = session.subscriptions
      .filter((s) => filterMatches(s.filter, message.topic))
      .map((s) => s.granted);
    // A SUBSCRIBE whose SUBACK has not come may already be in force, at any QoS up to 2.
    const acknowledged = new Set(session.subscriptions.map((s) => s.filter));
    const pending = [...session.asked].some((filter) => !acknowledged.has(filter));
    return Math.min(message.qos, pending ? 2 : Math.max(0, ...granted));
  }

  #lane(message: MessageId): Lane {
    const key = keyOf(message);
    let lane = this.#lanes.get(key);
    if (!lane) {
      lane = new Lane(message);
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #session(client: string): Session {
    let session = this.#sessions.get(client);
    if (!session) {
      session = {
        exists: 'no',
        expected: 'no',
        subscriptions: [],
        asked: new Set(),
        lanes: new Map(),
        holding: new Map(),
      };
      this.#sessions.set(client, session);
    }
    return session;
  }

  #report(
    kind: ViolationKind,
    client: string,
    message: string,
    detail: string,
    index: number,
  ): void {
    this.#counts[kind]++;
    if (this.#violations.length < VIOLATIONS_MAX) {
      this.#violations.push({ kind, client, message, detail, index });
    }
  }
}

/** Judges a whole history at once. */
export function check(events: Iterable<HistoryEvent>): Verdict {
  const checker = new Checker();
  let index = 0;
  for (const event of events) checker.observe({ ...event, index, atMs: index++ });
  return checker.verdict();
}

function endSession(session: Session): void {
  session.subscriptions = [];
  session.asked.clear();
  session.lanes.clear();
  session.holding.clear();
}

function keyOf(message: MessageId): string {
  return `${message.publisher}|${message.topic}|${message.qos}`;
}

function lossOf(qos: 1 | 2): ViolationKind {
  return qos === 1 ? 'lost-qos1' : 'lost-qos2';
}
