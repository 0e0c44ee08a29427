import type { Sides } from './sides.ts';

/** Something published, by a client or as a Will. */
export interface Message {
  readonly id: number;
  readonly kind: 'message' | 'will';
  /**
   * Ordering domain: what one publisher sent in one session (QoS 1 and 2) or on one connection
   * (QoS 0, and sessions that end with their connection).
   */
  readonly domain: string;
  readonly publisher: string;
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  /** Message Expiry Interval, 0 for none. */
  readonly expirySeconds: number;
  /** An empty retained message: deletes. */
  readonly deletion: boolean;
  /** Rises within (domain, topic, QoS). */
  readonly sequence: number;
  /** When the first PUBLISH left, or the CONNECT that set the Will. */
  sentAtMs: number;
  /** When the last PUBLISH left. */
  lastSentAtMs: number;
  /** PUBLISH packets sent, the first included. */
  sends: number;
  /** PUBACK or PUBREC with success arrived. */
  ackedAtMs: number | undefined;
  /** The node that sent it, '' while none has or where it is not recorded. */
  ackedBy: string;
  /** The broker reported a reason code ≥ 0x80. */
  refused: boolean;
  /** The exchange is over for the publisher, or its session was given up. */
  settled: boolean;
}

/** One filter of one session, from SUBSCRIBE to UNSUBSCRIBE. */
export interface Subscription {
  readonly filter: string;
  readonly qos: number;
  /** Subscription Identifier, 0 for none. */
  readonly identifier: number;
  readonly sentAtMs: number;
  /** First SUBACK with success. */
  ackedAtMs: number | undefined;
  /** The node that sent it. */
  ackedBy: string;
  /** UNSUBSCRIBE left, or the session was given up: nothing is owed from here. */
  endSentAtMs: number | undefined;
  /** UNSUBACK arrived: nothing may be added from here. */
  endAckedAtMs: number | undefined;
}

/** What a session received of one message, as the application saw it. */
export interface Receipt {
  readonly message: Message;
  /** Deliveries with retain = 0. */
  live: number;
  /** Deliveries with retain = 1: retained copies, one per SUBSCRIBE. */
  retained: number;
  firstAtMs: number;
  /** Deliveries as QoS 2, with retain = 0. */
  exact: number;
}

/** One Session State, from the CONNECT that created it to the one that discarded it. */
export interface Session {
  readonly client: string;
  /** Counts the sessions of one client. */
  readonly generation: number;
  /** False: ends with its connection. */
  readonly persistent: boolean;
  /** CONNECT left. */
  readonly sentAtMs: number;
  /** First CONNACK. */
  ackedAtMs: number | undefined;
  /** A CONNECT with Clean Start left, or the connection of a session that ends with it is gone. */
  endedAtMs: number | undefined;
  /**
   * An older connection of the client asked for a Clean Start and has no answer: a node that hangs may take
   * it for a new one when it wakes, and end this session.
   */
  doubtful: boolean;
  readonly subscriptions: Subscription[];
  readonly receipts: Map<number, Receipt>;
}

/** One network connection of a client. */
export interface Connection {
  readonly id: number;
  readonly client: string;
  readonly node: string;
  readonly cleanStart: boolean;
  readonly persistent: boolean;
  readonly sentAtMs: number;
  readonly will: Message | undefined;
  readonly willDelayMs: number;
  connackAtMs: number | undefined;
  session: Session | undefined;
  /** DISCONNECT left, with this reason code. */
  disconnectAtMs: number | undefined;
  disconnectReason: number;
  /** Not usable by the client any more. */
  goneAtMs: number | undefined;
  /** The broker was told of the end: by DISCONNECT or by the end of the connection. */
  told: boolean;
  /** The client reads nothing before this time. */
  stalledUntilMs: number;
  /** The broker's end is open. */
  serverOpen(): boolean;
  /** The client's end is open. */
  clientOpen(): boolean;
}

/** A connection whose CONNECT has just left. */
export function openedConnection(
  o: Pick<
    Connection,
    'id' | 'client' | 'node' | 'cleanStart' | 'persistent' | 'sentAtMs' | 'will' | 'willDelayMs'
  >,
  pipe: { readonly serverOpen: boolean; readonly clientOpen: boolean },
): Connection {
  return {
    ...o,
    connackAtMs: undefined,
    session: undefined,
    disconnectAtMs: undefined,
    disconnectReason: 0,
    goneAtMs: undefined,
    told: false,
    stalledUntilMs: 0,
    serverOpen: () => pipe.serverOpen,
    clientOpen: () => pipe.clientOpen,
  };
}

/** One PUBLISH given to the application. */
export interface Delivery {
  readonly connection: Connection;
  readonly session: Session;
  /** Undefined for an empty payload. */
  readonly message: Message | undefined;
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
  readonly identifiers: readonly number[];
  readonly atMs: number;
}

export interface Violation {
  readonly invariant: string;
  readonly text: string;
  readonly atMs: number;
}

/** Judges what happens as it happens; all methods but `attach` are optional. */
export interface HistoryObserver {
  attach(history: History): void;
  onSent?(message: Message): void;
  onAcked?(message: Message): void;
  /** @param expected whether a session must be present, undefined if either is right */
  onConnack?(connection: Connection, sessionPresent: boolean, expected: boolean | undefined): void;
  onSubscribed?(session: Session, subscription: Subscription, connection: Connection): void;
  /** The broker answered a request that takes a committed step of this connection's session. */
  onAnswered?(connection: Connection, what: string, requestSentAtMs: number): void;
  /** A PUBLISH reached the client, whether or not the application sees it. */
  onArrived?(delivery: Delivery): void;
  /** @param first the session's first live delivery of this message */
  onDelivered?(delivery: Delivery, first: boolean): void;
}

/** Suspicions that a fault has raised are settled by then. */
const UNREST_AFTER_MS = 4000;

/** How many violations a run collects before the rest is only noise. */
const VIOLATIONS_MAX = 20;

/**
 * Everything that clients saw, in the order of virtual time, and the checkers that judge it.
 *
 * It is written by the simulated clients only: what the broker believes is not evidence.
 */
export class History {
  readonly messages: Message[] = [];
  readonly sessions: Session[] = [];
  readonly connections: Connection[] = [];
  readonly violations: Violation[] = [];
  readonly checkers: readonly HistoryObserver[];
  /** Deliveries to applications. */
  deliveries = 0;
  /** Who could reach whom. */
  readonly sides: Pick<Sides, 'exempt'>;
  readonly #strikes: { fromMs: number; toMs: number }[] = [];
  readonly #disturbances: { fromMs: number; toMs: number }[] = [];
  readonly #clock: () => number;

  constructor(o: {
    nowMs: () => number;
    checkers: readonly HistoryObserver[];
    sides: Pick<Sides, 'exempt'>;
  }) {
    this.sides = o.sides;
    this.#clock = o.nowMs;
    this.checkers = o.checkers;
    for (const checker of o.checkers) checker.attach(this);
  }

  get nowMs(): number {
    return this.#clock();
  }

  /** Some fault holds from now until `untilMs`; Infinity until {@link History.calm}. */
  disturb(untilMs: number): void {
    const last = this.#disturbances.at(-1);
    // Overlapping disturbances are one, so that the list stays short.
    if (last !== undefined && this.nowMs <= last.toMs) last.toMs = Math.max(last.toMs, untilMs);
    else this.#disturbances.push({ fromMs: this.nowMs, toMs: untilMs });
  }

  /** Faults of the network hold for the whole run: it is unknown when a gateway is thought dead. */
  unrestAlways = false;

  /** A fault strikes a node or link and holds until `untilMs`. */
  strike(untilMs: number): void {
    this.#strikes.push({ fromMs: this.nowMs, toMs: untilMs });
    this.disturb(untilMs);
  }

  /** True if a node may have been thought dead at some time in [fromMs, toMs]. */
  unrest(fromMs: number, toMs: number): boolean {
    if (this.unrestAlways) return true;
    return this.#strikes.some((s) => s.fromMs <= toMs && s.toMs + UNREST_AFTER_MS >= fromMs);
  }

  /** All faults are over. */
  calm(): void {
    for (const one of this.#strikes) one.toMs = Math.min(one.toMs, this.nowMs);
    for (const one of this.#disturbances) one.toMs = Math.min(one.toMs, this.nowMs);
  }

  /** True if some fault held at any time in [fromMs, toMs]. */
  disturbed(fromMs: number, toMs: number): boolean {
    return this.#disturbances.some((one) => one.fromMs <= toMs && one.toMs >= fromMs);
  }

  fail(invariant: string, text: string): void {
    if (this.violations.length >= VIOLATIONS_MAX) return;
    this.violations.push({ invariant, text, atMs: this.nowMs });
  }

  newMessage(
    fields: Omit<
      Message,
      'id' | 'lastSentAtMs' | 'sends' | 'ackedAtMs' | 'ackedBy' | 'refused' | 'settled'
    >,
  ): Message {
    const message: Message = {
      ...fields,
      id: this.messages.length,
      lastSentAtMs: fields.sentAtMs,
      sends: 0,
      ackedAtMs: undefined,
      ackedBy: '',
      refused: false,
      settled: false,
    };
    this.messages.push(message);
    return message;
  }

  newSession(client: string, generation: number, persistent: boolean, sentAtMs: number): Session {
    const session: Session = {
      client,
      generation,
      persistent,
      sentAtMs,
      ackedAtMs: undefined,
      endedAtMs: undefined,
      doubtful: this.connections.some(
        (c) => c.client === client && c.cleanStart && c.connackAtMs === undefined && c.serverOpen(),
      ),
      subscriptions: [],
      receipts: new Map(),
    };
    this.sessions.push(session);
    return session;
  }

  endSession(session: Session): void {
    if (session.endedAtMs !== undefined) return;
    session.endedAtMs = this.nowMs;
    for (const subscription of session.subscriptions) subscription.endSentAtMs ??= this.nowMs;
  }

  messageSent(message: Message): void {
    message.sends++;
    message.lastSentAtMs = this.nowMs;
    for (const checker of this.checkers) checker.onSent?.(message);
  }

  /** @param node that said so */
  messageAcked(message: Message, node: string): void {
    if (message.ackedAtMs === undefined) message.ackedBy = node;
    message.ackedAtMs ??= this.nowMs;
    for (const checker of this.checkers) checker.onAcked?.(message);
  }

  connectionOpened(connection: Connection): void {
    this.connections.push(connection);
  }

  connack(connection: Connection, sessionPresent: boolean, expected: boolean | undefined): void {
    for (const checker of this.checkers) checker.onConnack?.(connection, sessionPresent, expected);
  }

  subscribed(session: Session, subscription: Subscription, connection: Connection): void {
    for (const checker of this.checkers) checker.onSubscribed?.(session, subscription, connection);
  }

  /** The broker answered a request that takes a committed step of this connection's session. */
  answered(connection: Connection, what: string, requestSentAtMs: number): void {
    for (const checker of this.checkers) checker.onAnswered?.(connection, what, requestSentAtMs);
  }

  /** A PUBLISH reached the client, whether or not the application sees it. */
  arrived(delivery: Delivery): void {
    for (const checker of this.checkers) checker.onArrived?.(delivery);
  }

  /** The application is given a message. */
  delivered(delivery: Delivery): void {
    this.deliveries++;
    const { session, message } = delivery;
    let first = false;
    if (message !== undefined) {
      let receipt = session.receipts.get(message.id);
      if (receipt === undefined) {
        receipt = { message, live: 0, retained: 0, firstAtMs: delivery.atMs, exact: 0 };
        session.receipts.set(message.id, receipt);
      }
      if (delivery.retain) receipt.retained++;
      else {
        first = receipt.live === 0;
        receipt.live++;
        if (delivery.qos === 2) receipt.exact++;
      }
    }
    for (const checker of this.checkers) checker.onDelivered?.(delivery, first);
  }
}
