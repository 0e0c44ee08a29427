import type { Connection, Message, Session, Subscription } from '../history.ts';
import { filterMatches } from '../topics.ts';
import { Checker, type World } from './checker.ts';

/**
 * Invariant 1: a QoS 1 or 2 message acknowledged to its publisher and matching an acknowledged
 * subscription of a persistent session is delivered; and the session itself is not lost.
 *
 * Owed: the SUBACK came before the first PUBLISH left (in virtual time, which is the real-time order
 * that the route barrier promises), and nothing ended the subscription before the acknowledgement. Not owed
 * is what another side of a split was told while it was one.
 * A subscription of a session that ends with its connection is owed what was published and
 * acknowledged on a calm network while the connection held.
 */
export class AcknowledgedDelivered extends Checker {
  readonly invariant = '1 acknowledged is delivered';

  override onConnack(
    connection: Connection,
    present: boolean,
    expected: boolean | undefined,
  ): void {
    if (expected === true && !present) {
      this.fail(
        `${connection.client}: connection #${connection.id} at ${connection.node} finds no session, ` +
          'though one was acknowledged and nothing ended it',
      );
    }
    if (expected === false && present) {
      this.fail(`${connection.client}: session present after Clean Start [MQTT-3.1.2-4]`);
    }
  }

  override pending(world: World): string | undefined {
    const missing = this.#missing(world);
    if (missing.length === 0) return undefined;
    const shown = missing.slice(0, 5).map(describe).join('; ');
    return `${missing.length} acknowledged and not delivered: ${shown}`;
  }

  override finish(world: World): void {
    for (const one of this.#missing(world)) this.fail(`never delivered: ${describe(one)}`);
  }

  /** The subscription was acknowledged on the other side of a split, and the publisher's was not told. */
  #acrossSplit({ ackedAtMs, ackedBy }: Subscription, message: Message): boolean {
    return this.history.sides.exempt(ackedBy, message.ackedBy, ackedAtMs!, message.ackedAtMs!);
  }

  #missing(world: World): Owed[] {
    const missing: Owed[] = [];
    for (const session of this.history.sessions) {
      if (session.endedAtMs !== undefined || session.doubtful) continue;
      const subscriptions = session.subscriptions.filter(
        (s) => s.ackedAtMs !== undefined && s.qos > 0,
      );
      if (subscriptions.length === 0) continue;
      for (const message of this.history.messages) {
        if (message.ackedAtMs === undefined || session.receipts.has(message.id)) continue;
        // An empty payload cannot be told from another; retained.ts judges deletions.
        if (message.deletion || message.expirySeconds > 0) continue;
        const subscription = subscriptions.find((s) => owes(s, message));
        if (subscription === undefined) continue;
        if (!session.persistent && !calm(world, message)) continue;
        if (this.#acrossSplit(subscription, message)) continue;
        missing.push({ session, message, subscription });
      }
    }
    return missing;
  }
}

interface Owed {
  readonly session: Session;
  readonly message: Message;
  readonly subscription: Subscription;
}

function owes(subscription: Subscription, message: Message): boolean {
  return (
    subscription.ackedAtMs! <= message.sentAtMs &&
    (subscription.endSentAtMs === undefined || subscription.endSentAtMs > message.ackedAtMs!) &&
    filterMatches(subscription.filter, message.topic)
  );
}

/** Faults were over long before the publish: live sessions are owed it too. */
function calm(world: World, message: Message): boolean {
  return message.sentAtMs > world.healedAtMs + 5000;
}

function describe({ session, message, subscription }: Owed): string {
  return (
    `#${message.id} ${message.topic} QoS ${message.qos} of ${message.publisher} ` +
    `(sent ${message.sentAtMs.toFixed(1)}, acknowledged ${message.ackedAtMs?.toFixed(1)}) to ` +
    `${session.client}/${session.generation} by ${subscription.filter}@${subscription.qos} ` +
    `(acknowledged ${subscription.ackedAtMs?.toFixed(1)})`
  );
}
