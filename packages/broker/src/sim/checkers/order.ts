import type { Delivery, Session } from '../history.ts';
import { filterMatches } from '../topics.ts';
import { Checker } from './checker.ts';

/**
 * Invariant 7: per publisher, topic and QoS, the first deliveries to a session are in the order of
 * publishing [MQTT-4.6.0].
 *
 * The publisher's order is that of one session for QoS 1 and 2, and of one connection for QoS 0 and
 * for sessions that end with it. What a subscription lowers to QoS 0 is not judged: it may be lost at
 * the first PUBLISH and arrive at the publisher's repetition.
 */
export class Order extends Checker {
  readonly invariant = '7 order';
  readonly #last = new Map<Session, Map<string, { sequence: number; id: number }>>();

  override onDelivered(delivery: Delivery, first: boolean): void {
    const { message, session } = delivery;
    if (message === undefined || message.kind === 'will' || delivery.retain || !first) return;
    if (delivery.qos === 0 && message.qos > 0) return;
    // A live session loses what was published while its node was thought dead; the publisher's
    // repetition may then bring it after what came later.
    if (!session.persistent && message.sends > 1) return;
    // The first copy may have expired where the publisher's repetition has not; or by the clock of one
    // node, which went on without it, and not by that of the next, which sends it again.
    if (message.expirySeconds > 0 && (message.sends > 1 || delivery.dup)) return;
    // First published before the session was subscribed: what arrives is a late copy or a repetition,
    // and repetitions begin again further back.
    const owed = session.subscriptions.some(
      (s) =>
        s.ackedAtMs !== undefined &&
        s.ackedAtMs <= message.sentAtMs &&
        (s.endSentAtMs === undefined || s.endSentAtMs > message.sentAtMs) &&
        (s.qos > 0 || message.qos === 0) &&
        filterMatches(s.filter, message.topic),
    );
    if (!owed) return;
    let streams = this.#last.get(session);
    if (streams === undefined) {
      streams = new Map();
      this.#last.set(session, streams);
    }
    const stream = `${message.domain} ${message.topic} ${message.qos}`;
    const last = streams.get(stream);
    if (last !== undefined && last.sequence > message.sequence) {
      this.fail(
        `${session.client}/${session.generation} got #${message.id} (${stream}, number ` +
          `${message.sequence}) for the first time after #${last.id} (number ${last.sequence})`,
      );
      return;
    }
    streams.set(stream, { sequence: message.sequence, id: message.id });
  }
}
