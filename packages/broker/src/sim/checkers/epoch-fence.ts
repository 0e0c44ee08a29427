import type { Connection, Delivery } from '../history.ts';
import { Checker } from './checker.ts';

/** The end of the connection follows its CONNACK within this. */
const OVERTAKEN_TOLD_MS = 5;

/**
 * Invariant 4: nothing of session epoch e commits after e′ > e.
 *
 * Seen from outside: once a newer connection of a Client Identifier has its CONNACK, a request that
 * left on an older one afterwards is never answered by a committed step (SUBACK, UNSUBACK, PUBREC),
 * and no message first published afterwards arrives on the older one.
 */
export class EpochFence extends Checker {
  readonly invariant = '4 epochs are fenced';
  readonly #newest = new Map<string, Connection>();

  override onConnack(connection: Connection): void {
    const newest = this.#newest.get(connection.client);
    if (newest === undefined || newest.sentAtMs < connection.sentAtMs) {
      this.#newest.set(connection.client, connection);
    }
  }

  override onAnswered(connection: Connection, what: string, requestSentAtMs: number): void {
    const newer = this.#newerThan(connection, requestSentAtMs);
    if (newer === undefined) return;
    this.fail(
      `${connection.client}: ${what} on connection #${connection.id} at ${connection.node} for a ` +
        `request sent at ${requestSentAtMs.toFixed(1)}, after #${newer.id} at ${newer.node} was ` +
        `acknowledged at ${newer.connackAtMs?.toFixed(1)}`,
    );
  }

  override onArrived(delivery: Delivery): void {
    const { message, connection } = delivery;
    // QoS 0 is not a committed step: the gateway may not have heard of the newer one yet.
    if (message === undefined || delivery.qos === 0 || !connection.persistent) return;
    const newer = this.#newerThan(connection, message.sentAtMs);
    if (newer === undefined) return;
    this.fail(
      `${connection.client}: #${message.id}, sent at ${message.sentAtMs.toFixed(1)}, arrived on ` +
        `connection #${connection.id} after #${newer.id} took over at ${newer.connackAtMs?.toFixed(1)}`,
    );
  }

  #newerThan(connection: Connection, atMs: number): Connection | undefined {
    const newest = this.#newest.get(connection.client);
    // Connections that overlap in time may be ordered either way; only clear cases count.
    if (newest === undefined || newest === connection) return undefined;
    if (connection.connackAtMs === undefined || newest.sentAtMs <= connection.connackAtMs)
      return undefined;
    if (this.#isOvertaken(newest)) return undefined;
    return newest.connackAtMs! <= atMs ? newest : undefined;
  }

  /**
   * Its CONNECT came late, or from a node whose clock is behind: a connection that the broker takes for
   * newer has the session. It is told so, by a CONNACK and the end of the connection.
   */
  #isOvertaken({ sentAtMs, connackAtMs = 0, goneAtMs }: Connection): boolean {
    if (goneAtMs === undefined || goneAtMs - connackAtMs > OVERTAKEN_TOLD_MS) return false;
    return this.history.unrest(sentAtMs, connackAtMs);
  }
}
