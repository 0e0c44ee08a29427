import type { Connection, Delivery, Session } from '../history.ts';
import { filterMatches } from '../topics.ts';
import { Checker, type World } from './checker.ts';

/** A calm broker has dealt with a DISCONNECT by then. */
const DISCONNECT_SETTLES_MS = 3000;

/** `timings.willNodeGraceMs`, and what a connection takes to reach the leader. */
const GRACE_MS = 2500;

/**
 * Invariant 8: a Will fires exactly once per abnormal end, never after DISCONNECT 0x00.
 *
 * Judged by persistent sessions that were subscribed all along. At most once always (Wills here are
 * QoS 2 to QoS 2 subscribers). None if the DISCONNECT was sent on a calm network. At least one once
 * the connection is surely gone for the broker and no resume within the delay can have cancelled it.
 */
export class WillOnce extends Checker {
  readonly invariant = '8 a Will fires once';
  /** Client and node → when the node ended its connection last. */
  readonly #sentAwayMs = new Map<string, number>();

  override onDelivered(delivery: Delivery, first: boolean): void {
    const { message, session } = delivery;
    if (message?.kind !== 'will' || delivery.retain) return;
    const connection = this.#connectionOf(message.id);
    if (connection === undefined) return;
    const who = `Will #${message.id} of ${connection.client} (connection #${connection.id})`;
    if (!first && message.qos === 2 && delivery.qos === 2) {
      this.fail(`${who} reached ${session.client} twice`);
    }
    if (
      connection.serverOpen() &&
      connection.clientOpen() &&
      connection.disconnectAtMs === undefined
    ) {
      // The newest connection of a client in good order has not ended at all.
      const newer = this.history.connections.some(
        (c) => c.client === connection.client && c.sentAtMs > connection.sentAtMs,
      );
      if (!newer && !this.#mayHaveEnded(connection))
        this.fail(`${who} fired while it is connected`);
    }
  }

  override onPhase(node: string, phase: string, fields?: Record<string, unknown>): void {
    if (phase === 'sent-away')
      this.#sentAwayMs.set(`${fields?.['clientId']} ${node}`, this.history.nowMs);
  }

  override pending(world: World): string | undefined {
    const missing = this.#missing(world);
    return missing.length === 0 ? undefined : `Wills not fired: ${missing.slice(0, 5).join('; ')}`;
  }

  override finish(world: World): void {
    for (const one of this.#missing(world)) this.fail(`never fired: ${one}`);
    for (const connection of this.history.connections) {
      const { will, disconnectAtMs } = connection;
      if (will === undefined || disconnectAtMs === undefined) continue;
      if (connection.disconnectReason !== 0) continue;
      const untilMs = disconnectAtMs + DISCONNECT_SETTLES_MS;
      // Judged in calm, and where no fault struck for so long that no client may have been thought dead.
      const calm = !this.history.disturbed(disconnectAtMs - 1000, untilMs);
      if (!calm && this.history.unrest(disconnectAtMs - 1000, untilMs)) continue;
      const fired = this.history.sessions.find((s) => s.receipts.has(will.id));
      if (fired !== undefined) {
        this.fail(
          `Will #${will.id} of ${connection.client} (connection #${connection.id}) fired though it ` +
            `sent DISCONNECT 0x00 at ${disconnectAtMs.toFixed(1)} in calm`,
        );
      }
    }
  }

  /** While faults may part gateway and leader, the leader may rightly believe it over. */
  #mayHaveEnded(connection: Connection): boolean {
    const fromMs = connection.connackAtMs ?? connection.sentAtMs;
    return this.history.disturbed(fromMs, this.history.nowMs);
  }

  #connectionOf(willId: number): Connection | undefined {
    return this.history.connections.find((c) => c.will?.id === willId);
  }

  #missing(world: World): string[] {
    const missing: string[] = [];
    for (const connection of this.history.connections) {
      if (!this.#mustHaveFired(world, connection)) continue;
      for (const session of this.#witnesses(connection)) {
        if (session.receipts.has(connection.will!.id)) continue;
        missing.push(
          `#${connection.will!.id} of ${connection.client}, connection #${connection.id} at ` +
            `${connection.node}, gone at ${connection.goneAtMs?.toFixed(1)}, to ${session.client}`,
        );
      }
    }
    return missing;
  }

  #mustHaveFired(world: World, connection: Connection): boolean {
    const { will, goneAtMs } = connection;
    // Without a CONNACK the broker may never have had the Will.
    if (will === undefined || connection.connackAtMs === undefined || goneAtMs === undefined)
      return false;
    if (connection.serverOpen()) return false;
    if (connection.disconnectAtMs !== undefined && connection.disconnectReason === 0) return false;
    const resumed = this.history.connections.find(
      (c) => c.client === connection.client && c.sentAtMs > connection.sentAtMs,
    );
    // A node that ends connections gives their clients time to be back before their Wills are sent.
    const awayMs = this.#sentAwayMs.get(`${connection.client} ${connection.node}`);
    if (awayMs !== undefined && resumed !== undefined && connection.sentAtMs <= awayMs) {
      // How long that takes to be logged, and counted in logged time, faults may draw out.
      if (resumed.sentAtMs < awayMs + GRACE_MS) return false;
      if (this.history.disturbed(awayMs, resumed.sentAtMs)) return false;
    }
    if (awayMs !== undefined && this.#mayBeOpenedLate(connection, awayMs)) return false;
    if (connection.willDelayMs > 0) {
      // Whether a resume came in time is known to the broker alone; only lasting absence is clear.
      if (resumed !== undefined) return false;
    }
    return world.nowMs > world.healedAtMs;
  }

  /** A node that hung reads an earlier CONNECT of the client now: it counts as one that is back in time. */
  #mayBeOpenedLate(connection: Connection, awayMs: number): boolean {
    return this.history.connections.some(
      (c) =>
        c.client === connection.client &&
        c.sentAtMs < connection.sentAtMs &&
        c.connackAtMs === undefined &&
        this.history.disturbed(c.sentAtMs, awayMs + GRACE_MS),
    );
  }

  #witnesses(connection: Connection): Session[] {
    const will = connection.will!;
    return this.history.sessions.filter(
      (session) =>
        session.persistent &&
        session.endedAtMs === undefined &&
        session.subscriptions.some(
          (s) =>
            s.qos > 0 &&
            s.ackedAtMs !== undefined &&
            s.ackedAtMs <= connection.sentAtMs &&
            s.endSentAtMs === undefined &&
            filterMatches(s.filter, will.topic),
        ),
    );
  }
}
