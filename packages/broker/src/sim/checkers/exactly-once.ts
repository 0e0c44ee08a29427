import type { Delivery } from '../history.ts';
import { Checker } from './checker.ts';

/**
 * Invariant 2: a message of QoS 2 reaches the application of a session at most once, at any time.
 * (That it arrives at all is invariant 1.)
 */
export class ExactlyOnce extends Checker {
  readonly invariant = '2 exactly once';

  override onDelivered(delivery: Delivery, first: boolean): void {
    const { message, session } = delivery;
    if (message === undefined || delivery.retain || first) return;
    if (delivery.qos !== 2 && session.receipts.get(message.id)?.qos !== 2) return;
    this.fail(
      `${session.client}/${session.generation} got #${message.id} ${message.topic} again, ` +
        `identifier ${delivery.packetId}, connection #${delivery.connection.id} at ` +
        `${delivery.connection.node}; first at ` +
        `${session.receipts.get(message.id)?.firstAtMs.toFixed(1)}`,
    );
  }
}
