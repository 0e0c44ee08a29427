import type { Delivery, Message, Session } from '../history.ts';
import { Checker } from './checker.ts';

/** Between the broker's sending and the client's reading, and between two machines' clocks. */
const SLACK_MS = 400;

/**
 * What waits is not given to a client once its Message Expiry Interval has passed [MQTT-3.3.2-5], and
 * what was never sent before is not marked as sent again [MQTT-3.3.1-1].
 *
 * Judged where no client may have been thought dead: a gateway that hangs reads late what a client sent in
 * time, and after a failover it is unknown what was sent.
 */
export class MessageExpiry extends Checker {
  readonly invariant = '1b expired is not sent';
  /** Clocks of machines are steps apart in this run. */
  readonly #clocksDiffer: boolean;
  readonly #arrived = new Map<Session, Set<number>>();

  constructor(o: { clocksDiffer: boolean }) {
    super();
    this.#clocksDiffer = o.clocksDiffer;
  }

  override onArrived(delivery: Delivery): void {
    const { session, message, qos } = delivery;
    if (message === undefined || qos === 0 || delivery.retain) return;
    let seen = this.#arrived.get(session);
    if (seen === undefined) {
      seen = new Set();
      this.#arrived.set(session, seen);
    }
    const first = !seen.has(message.id);
    seen.add(message.id);
    if (!first) return;
    this.#judgeExpiry(delivery, message);
    if (delivery.dup) this.#judgeDup(delivery, message);
  }

  #judgeExpiry(delivery: Delivery, message: Message): void {
    const { connection, session, atMs } = delivery;
    if (message.expirySeconds === 0 || this.#clocksDiffer || delivery.dup) return;
    const dueMs = message.lastSentAtMs + message.expirySeconds * 1000;
    if (atMs <= dueMs + SLACK_MS || connection.stalledUntilMs + SLACK_MS > dueMs) return;
    // A message whose publisher was not answered may have reached the broker later than it was sent.
    if (message.ackedAtMs === undefined || this.history.unrest(message.sentAtMs, atMs)) return;
    this.fail(
      `${session.client} got #${message.id} ${message.topic} for the first time ` +
        `${(atMs - dueMs).toFixed(0)} ms after it had expired`,
    );
  }

  /** The message is younger than the session's last connection before this one. */
  #judgeDup(delivery: Delivery, message: Message): void {
    const { connection, session, atMs } = delivery;
    if (message.sends > 1) return;
    const earlier = this.history.connections.filter(
      (c) => c.client === session.client && c.id < connection.id,
    );
    const over = earlier.every(
      (c) => c.told && c.goneAtMs !== undefined && c.goneAtMs + SLACK_MS < message.sentAtMs,
    );
    if (!over || message.sentAtMs > connection.sentAtMs) return;
    if (this.history.unrest(message.sentAtMs - SLACK_MS, atMs)) return;
    this.fail(
      `${session.client} got #${message.id} ${message.topic} with DUP, though it has had no ` +
        'connection before on which it could have been sent [MQTT-3.3.1-1]',
    );
  }
}
