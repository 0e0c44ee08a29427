/**
 * A node: membership, shards, routes and clients joined; still without I/O.
 *
 * Everything comes in by the methods of {@link NodeCore} and of its links and clients, and leaves through
 * `NodeEnv`; what one turn produces leaves in {@link NodeCore.flush}.
 *
 * ```
 *   other nodes ──▶ links ──▶ announcing (views, routes), shards (logs), router, …
 *   clients ──▶ connection ──▶ router ──▶ the shard's leader ──▶ connections ──▶ connection
 * ```
 * Here are its life and its turn; how its parts are joined is in rooms.ts.
 */

import type { ClientHandler, ClientSocket, MemberInfo, NodeEnv } from '../ports.ts';
import { inspect, type NodeInspection } from './ask/inspection.ts';
import { Rooms } from './rooms.ts';

export type { NodeInspection } from './ask/inspection.ts';

const LEASE_REFRESH_MS = 20;

export class NodeCore extends Rooms {
  #ready = false;
  /** Shards and routes have been there. */
  #settled = false;
  #stopping = false;
  #refreshedMs = 0;
  #flushing = false;

  // ---- life ------------------------------------------------------------------------------------

  /** Loads every shard; a founder writes view 1 of each. `done` when clients may soon be served. */
  boot(done: () => void): void {
    this.joining.boot(done);
  }

  get ready(): boolean {
    return this.#ready && !this.#stopping;
  }

  /** Takes no more clients and ends the present ones, telling them why. */
  disconnectAll(reasonCode: number): void {
    this.#stopping = true;
    for (const c of [...this.clients.connections.values()])
      c.shutdown(reasonCode, this.timings.willNodeGraceMs);
    this.env.scheduleFlush();
  }

  /** Asks another active copy of every shard led here to lead it. */
  handOverAll(): void {
    for (const copy of this.shards.led) copy.handOverToAnother(this.nowMs());
  }

  /** Whether a shard led here has another active copy that could lead it. */
  get canHandOver(): boolean {
    for (const copy of this.shards.led) if (copy.handingOver) return true;
    return false;
  }

  /** Requests of ours that no leader has answered. */
  get unanswered(): number {
    return this.router.outstanding + this.clients.sessions.waiting;
  }

  /** Whether a member's process has ended in order, and none of its name has come since. */
  hasStopped({ name, bootEpoch }: Pick<MemberInfo, 'name' | 'bootEpoch'>): boolean {
    return this.peers.get(name)?.stoppedEpoch === bootEpoch;
  }

  accept(socket: ClientSocket): ClientHandler {
    return this.clients.accept(socket);
  }

  // ---- the turn --------------------------------------------------------------------------------

  tick(): void {
    const nowMs = this.nowMs();
    this.calm.tick(nowMs, this.#waits(nowMs));
    this.peers.heartbeat(nowMs);
    this.shards.tick(nowMs, this.calm.now);
    if (nowMs - this.#refreshedMs >= LEASE_REFRESH_MS) {
      this.#refreshedMs = nowMs;
      this.leases.tick(nowMs);
      this.grants.refresh(nowMs);
      this.#settled ||= this.joining.loaded && this.routable;
      if (!this.#ready && this.#settled && this.#knowsUsers) {
        this.#ready = true;
        this.log('info', 'ready', { shards: this.shardCount });
      }
      if (this.#ready) this.joining.keepClock();
      this.router.release();
      this.router.tick(nowMs);
      this.queries.tick();
      this.asking.tick(nowMs);
      this.unled.tick(nowMs);
    }
    this.links.relays.tick(nowMs);
    this.draining.tick(nowMs);
    this.clients.tick(nowMs, this.#settled);
    this.giving.tick((name, bootEpoch) => this.membership.gone(name, bootEpoch, nowMs));
  }

  /** The users whom clients have to be. */
  get #knowsUsers(): boolean {
    return !this.gate?.required || this.gate.loaded;
  }

  /** Whether something is under way of which no event may tell. */
  #waits(nowMs: number): boolean {
    if (!this.#ready || !this.grants.routable(nowMs) || this.grants.barriers > 0) return true;
    if (this.unanswered > 0 || this.leases.confirming > 0 || this.queries.open > 0) return true;
    return this.shards.busy(nowMs) || this.peers.someoneIsLate(nowMs) || this.draining.leaving;
  }

  /**
   * End of a turn; asked for by `env.scheduleFlush`. What must be durable before it is sent leaves in a later
   * turn, when the store has called back (`Batch.onDurable`).
   */
  flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    // What waited for room in a lane is written first: it came before what this turn adds.
    this.peers.resume();
    this.work.run();
    // Clients' acknowledgements of this turn: requests to leaders, those here among them.
    this.clients.sessions.flush();
    // What was appended goes to the other copies. It may leave before it is on this disk, since no copy
    // counts as having it, this one neither, before its own write is done.
    this.shards.flush();
    // One write for all shards, synced unless the cluster's durability is `memory`.
    this.batch.flush();
    // Frames last: each is the whole of what this turn says to a peer.
    this.peers.flush();
    this.#flushing = false;
  }

  // ---- for the parts, people and tests ----------------------------------------------------------

  get log(): NodeEnv['log'] {
    return this.env.log;
  }

  /** Publishes of QoS 1 and 2 may be routed now. */
  get routable(): boolean {
    return this.grants.routable(this.env.nowMs());
  }

  inspect(): NodeInspection {
    return inspect(this);
  }
}
