import type { Delivery } from '../history.ts';
import { Checker } from './checker.ts';

/**
 * Invariant 2: a message of QoS 2 reaches the application of a session at most once, at any time.
 * (That it arrives at all is invariant 1.) A further subscription of the session that grants less may
 * bring a copy of its own of that QoS [MQTT-3.3.4-2]: copies as QoS 2 are what is counted.
 */
export class ExactlyOnce extends Checker {
  readonly invariant = '2 exactly once';

  override onDelivered(delivery: Delivery): void {
    const { message, session } = delivery;
    if (message === undefined || delivery.retain || delivery.qos !== 2) return;
    if ((session.receipts.get(message.id)?.exact ?? 0) < 2) return;
    this.fail(
      `${session.client}/${session.generation} got #${message.id} ${message.topic} again, ` +
        `identifier ${delivery.packetId}, connection #${delivery.connection.id} at ` +
        `${delivery.connection.node}; first at ` +
        `${session.receipts.get(message.id)?.firstAtMs.toFixed(1)}`,
    );
  }
}
