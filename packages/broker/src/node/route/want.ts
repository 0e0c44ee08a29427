/**
 * What the matching subscriptions of one subscriber together ask of a message: it comes once, at the highest
 * QoS of them [MQTT-3.3.4-2], with the Subscription Identifiers of all [MQTT-3.3.4-4].
 */
import type { Message } from '../../session/message.ts';

/** What of a subscription decides that. */
interface Asked {
  readonly qos: 0 | 1 | 2;
  readonly retainAsPublished: boolean;
  /** Subscription Identifier, 0 = none. */
  readonly identifier: number;
}

export interface Want {
  qos: 0 | 1 | 2;
  /** RETAIN goes out as it came [MQTT-3.3.1-13]. */
  retain: boolean;
  readonly identifiers: number[];
  /** The queue of the session brings the message: its live subscription does not. */
  queued: boolean;
}

/** What its first matching subscription asks. */
export function wantOf(s: Asked, message: Message): Want {
  const qos = Math.min(s.qos, message.qos) as 0 | 1 | 2;
  const identifiers = s.identifier > 0 ? [s.identifier] : [];
  return { qos, retain: s.retainAsPublished && message.retain, identifiers, queued: false };
}

/** A further one asks, too. */
export function addWant(want: Want, s: Asked, message: Message): void {
  const qos = Math.min(s.qos, message.qos) as 0 | 1 | 2;
  if (qos > want.qos) want.qos = qos;
  if (s.retainAsPublished && message.retain) want.retain = true;
  if (s.identifier > 0 && !want.identifiers.includes(s.identifier))
    want.identifiers.push(s.identifier);
}
