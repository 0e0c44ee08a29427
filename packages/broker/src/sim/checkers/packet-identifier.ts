import type { Delivery, Session } from '../history.ts';
import { isShared } from '../topics.ts';
import { Checker } from './checker.ts';

/** What is in flight to one session, as its client sees it. */
interface InFlight {
  readonly messageId: number;
  readonly connectionId: number;
}

/**
 * Invariant 5: an acknowledgement removes only the message last sent under that Packet Identifier.
 *
 * Seen from outside, by what a client has received and could not have acknowledged: an identifier is
 * not given to another message meanwhile [MQTT-2.2.1-4], and a message comes back under the
 * identifier it had [MQTT-4.4.0-1]. (client-inbox.ts adds the QoS 2 case, where reuse loses.)
 */
export class PacketIdentifiers extends Checker {
  readonly invariant = '5 packet identifiers';
  /** session → Packet Identifier → message received on the newest connection that brought one. */
  readonly #inFlight = new Map<Session, Map<number, InFlight>>();
  readonly #identifiers = new Map<Session, Map<number, number>>();

  override onArrived(delivery: Delivery): void {
    const { session, message, packetId, connection, qos } = delivery;
    if (qos === 0 || message === undefined) return;
    const inFlight = get(this.#inFlight, session);
    const identifiers = get(this.#identifiers, session);
    const previous = inFlight.get(packetId);
    if (delivery.dup && previous !== undefined && previous.messageId !== message.id) {
      if (previous.connectionId === connection.id) {
        this.fail(
          `${session.client}: #${message.id} arrives with DUP under identifier ${packetId}, which ` +
            `brought #${previous.messageId} on the same connection`,
        );
      }
    }
    // A publisher's own repetition may queue a second copy, which has an identifier of its own;
    // retained copies are messages of their own too.
    // So does a message of a group that went back to it, and comes to the same member again.
    const shared = qos === 1 && session.subscriptions.some(isShared);
    if (message.sends === 1 && !delivery.retain && !shared) {
      const before = identifiers.get(message.id);
      if (before !== undefined && before !== packetId) {
        this.fail(
          `${session.client}: #${message.id} comes back under identifier ${packetId}; it was ` +
            `${before} [MQTT-4.4.0-1]`,
        );
      }
      identifiers.set(message.id, packetId);
    }
    inFlight.set(packetId, { messageId: message.id, connectionId: connection.id });
  }
}

function get<K, V>(map: Map<K, Map<number, V>>, key: K): Map<number, V> {
  let inner = map.get(key);
  if (inner === undefined) {
    inner = new Map();
    map.set(key, inner);
  }
  return inner;
}
