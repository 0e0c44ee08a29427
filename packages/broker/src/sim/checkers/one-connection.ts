import type { Connection } from '../history.ts';
import { Checker, type World } from './checker.ts';

/** What a takeover may take on a calm network, and after a heal. */
const TAKEOVER_MAX_MS = 5000;

/**
 * Invariant 3: one live connection per Client Identifier, the newest, at the latest five seconds
 * after the newer one was acknowledged and the network was whole.
 *
 * Live means open at the broker: a client that went away without a word still counts.
 */
export class OneConnection extends Checker {
  readonly invariant = '3 one connection per Client Identifier';
  /** Open connections by client, oldest first. */
  readonly #open = new Map<string, Connection[]>();
  readonly #reported = new Set<number>();

  override onConnack(connection: Connection): void {
    const connections = this.#open.get(connection.client);
    if (connections === undefined) this.#open.set(connection.client, [connection]);
    else connections.push(connection);
  }

  override onInterval(world: World): void {
    for (const [client, connections] of this.#open) {
      if (connections.length < 2) {
        if (connections[0]?.serverOpen() === false) this.#open.delete(client);
        continue;
      }
      const live = connections.filter((c) => c.serverOpen());
      this.#open.set(client, live);
      for (const older of live) this.#judge(world, older, live);
    }
  }

  #judge(world: World, older: Connection, live: readonly Connection[]): void {
    if (this.#reported.has(older.id)) return;
    const nowMs = world.nowMs;
    const newer = live.find(
      (c) => c.sentAtMs > older.connackAtMs! && nowMs - c.connackAtMs! > TAKEOVER_MAX_MS,
    );
    if (newer === undefined || this.history.disturbed(nowMs - TAKEOVER_MAX_MS, nowMs)) return;
    this.#reported.add(older.id);
    this.fail(
      `${older.client}: connection #${older.id} at ${older.node} is still open ` +
        `${(nowMs - newer.connackAtMs!).toFixed(0)} ms after #${newer.id} at ${newer.node} took over`,
    );
  }

  override pending(world: World): string | undefined {
    for (const connections of this.#open.values()) {
      const live = connections.filter((c) => c.serverOpen());
      if (live.length > 1 && world.nowMs < world.healedAtMs + TAKEOVER_MAX_MS + 1000) {
        return `${live[0]!.client} has ${live.length} live connections`;
      }
    }
    return undefined;
  }
}
