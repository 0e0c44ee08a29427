import type { Delivery, Message, Session } from '../history.ts';
import { filterMatches } from '../topics.ts';
import { Checker } from './checker.ts';

/**
 * A message that matches several subscriptions carries the Subscription Identifiers of all that have
 * one, in one copy or in several [MQTT-3.3.4-3, MQTT-3.3.4-4].
 *
 * Judged for copies of QoS 1 and 2, by subscriptions that held from before the publish to its arrival.
 */
export class SubscriptionIdentifiers extends Checker {
  readonly invariant = '1c subscription identifiers';
  readonly #seen = new Map<Session, Map<Message, Set<number>>>();

  override onArrived(delivery: Delivery): void {
    const { session, message, identifiers, qos } = delivery;
    if (message === undefined || qos === 0 || delivery.retain) return;
    if (!session.subscriptions.some((s) => s.identifier > 0)) return;
    let messages = this.#seen.get(session);
    if (messages === undefined) {
      messages = new Map();
      this.#seen.set(session, messages);
    }
    const found = messages.get(message) ?? new Set();
    for (const identifier of identifiers) found.add(identifier);
    messages.set(message, found);
  }

  override finish(): void {
    for (const [session, messages] of this.#seen) {
      for (const [message, found] of messages) this.#judge(session, message, found);
    }
  }

  #judge(session: Session, message: Message, found: ReadonlySet<number>): void {
    for (const s of session.subscriptions) {
      if (s.identifier === 0 || found.has(s.identifier)) continue;
      if (s.ackedAtMs === undefined || s.ackedAtMs > message.sentAtMs) continue;
      if (s.endSentAtMs !== undefined || !filterMatches(s.filter, message.topic)) continue;
      this.fail(
        `${session.client} got #${message.id} ${message.topic} without identifier ` +
          `${s.identifier} of ${s.filter}@${s.qos}, with ${[...found].join(' ') || 'none'}`,
      );
      return;
    }
  }
}
