/**
 * What the clients and the operator saw, in the order in which they saw it.
 *
 * The whole harness runs in one process, so the index of an event is real-time order: a message whose
 * `publish-sent` has a higher index than a `subscribed` was sent after that SUBACK had arrived.
 */

/** A message's identity, carried in its payload. `seq` counts from 0 per publisher, topic and QoS. */
export interface MessageId {
  readonly publisher: string;
  readonly topic: string;
  readonly qos: 1 | 2;
  readonly seq: number;
}

/**
 * How a connection ended: by us with DISCONNECT, by us without, by us leaving it open without a peer, by
 * the server with DISCONNECT, or it broke.
 */
export type DisconnectHow = 'graceful' | 'abrupt' | 'abandoned' | 'server' | 'lost';

export type HistoryEvent =
  | { type: 'connect-sent'; client: string; node: string; cleanStart: boolean }
  | {
      type: 'connected';
      client: string;
      node: string;
      cleanStart: boolean;
      sessionPresent: boolean;
    }
  | { type: 'connect-refused'; client: string; node: string; reasonCode: number }
  | {
      type: 'disconnected';
      client: string;
      node: string;
      how: DisconnectHow;
      reasonCode?: number;
    }
  | { type: 'subscribe-sent'; client: string; filter: string; qos: 0 | 1 | 2 }
  /** `granted` is SUBACK's reason code: the granted QoS, or ≥ 128 for a refusal. */
  | { type: 'subscribed'; client: string; filter: string; granted: number }
  | { type: 'unsubscribe-sent'; client: string; filter: string }
  | { type: 'unsubscribed'; client: string; filter: string }
  | { type: 'publish-sent'; client: string; message: MessageId; packetId: number; dup: boolean }
  /** PUBACK, or PUBREC: from here on the message is the broker's to deliver. */
  | { type: 'publish-acked'; client: string; message: MessageId; reasonCode: number }
  /** PUBCOMP. */
  | { type: 'publish-completed'; client: string; message: MessageId }
  /** PUBACK or PUBREC with a reason code ≥ 0x80: reported, so not a loss. */
  | { type: 'publish-refused'; client: string; message: MessageId; reasonCode: number }
  /** The server had no session, so the client had to forget an unacknowledged message. */
  | { type: 'publish-abandoned'; client: string; message: MessageId }
  | {
      type: 'received';
      client: string;
      message: MessageId;
      /** QoS of the PUBLISH that arrived, which may be lower than the message's. */
      qos: 0 | 1 | 2;
      dup: boolean;
      retain: boolean;
      packetId: number;
      /** False for QoS 2 if the client already held this packet identifier [MQTT-4.3.3-10]. */
      isNew: boolean;
    }
  /** Something that no conforming server sends; the client saw it and closed the connection or went on. */
  | { type: 'protocol-violation'; client: string; node: string; what: string }
  | { type: 'killed'; node: string; signal: string; inFlight: number; inFlightThere: number }
  | { type: 'paused'; node: string; forMs: number }
  | { type: 'started'; node: string }
  | { type: 'added'; node: string }
  | { type: 'removed'; node: string }
  | { type: 'note'; text: string };

export type StampedEvent = HistoryEvent & { readonly index: number; readonly atMs: number };

export interface HistoryOptions {
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** How many of the latest events {@link History.recent} keeps; default 200,000. */
  readonly keepMax?: number;
  /** Receives every event, in order, at once. */
  readonly listeners?: readonly ((event: StampedEvent) => void)[];
}

/** Append-only; keeps a bounded tail in memory and hands every event to its listeners. */
export class History {
  readonly #nowMs: () => number;
  readonly #keepMax: number;
  readonly #listeners: readonly ((event: StampedEvent) => void)[];
  #events: StampedEvent[] = [];
  #next = 0;

  constructor(options: HistoryOptions) {
    this.#nowMs = options.nowMs;
    this.#keepMax = options.keepMax ?? 200_000;
    this.#listeners = options.listeners ?? [];
  }

  /** Events appended so far. */
  get length(): number {
    return this.#next;
  }

  append(event: HistoryEvent): StampedEvent {
    const stamped: StampedEvent = { ...event, index: this.#next++, atMs: this.#nowMs() };
    this.#events.push(stamped);
    // Halving now and then keeps appending cheap and the bound within a factor of two.
    if (this.#events.length > 2 * this.#keepMax) this.#events = this.#events.slice(-this.#keepMax);
    for (const listener of this.#listeners) listener(stamped);
    return stamped;
  }

  /** The latest events that satisfy `keep`, oldest first, at most `max`. */
  recent(max: number, keep: (event: StampedEvent) => boolean = () => true): StampedEvent[] {
    const found: StampedEvent[] = [];
    for (let i = this.#events.length - 1; i >= 0 && found.length < max; i--) {
      const event = this.#events[i] as StampedEvent;
      if (keep(event)) found.push(event);
    }
    return found.reverse();
  }
}

const MARK = 'shoal-chaos';

/** The payload that carries `message`, padded with dots to `bytes` if it is shorter (ASCII). */
export function encodeMessage(message: MessageId, bytes: number): string {
  const text = `${MARK}|${message.publisher}|${message.topic}|${message.qos}|${message.seq}|`;
  return text.padEnd(bytes, '.');
}

/** The identity in a payload, or null if it is not one of ours. */
export function decodeMessage(payload: string): MessageId | null {
  const [mark, publisher, topic, qosText, seqText, padding] = payload.split('|');
  const qos = Number(qosText);
  const seq = Number(seqText);
  if (mark !== MARK || !publisher || !topic || padding === undefined) return null;
  if ((qos !== 1 && qos !== 2) || !Number.isSafeInteger(seq) || seq < 0) return null;
  return { publisher, topic, qos, seq };
}

/** One word for a message in reports: publisher, topic, QoS and number. */
export function describeMessage(message: MessageId): string {
  return `${message.publisher}:${message.topic}:qos${message.qos}#${message.seq}`;
}

/** Whether `filter` matches `topic` [MQTT-4.7.1], by the plainest reading of the clause. */
export function filterMatches(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  // [MQTT-4.7.2-1]: a leading wildcard does not match topics that begin with $.
  if (topic.startsWith('$') && (wanted[0] === '#' || wanted[0] === '+')) return false;
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true;
    if (i >= levels.length) return false;
    if (wanted[i] !== '+' && wanted[i] !== levels[i]) return false;
  }
  return wanted.length === levels.length;
}
