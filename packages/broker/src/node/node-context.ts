/** What the leaders of shards ask of their node, answered with its parts. */

import type { Limits } from '../config-schema.ts';
import type { Counters } from '../counters.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { shardOf } from '../placement/hash.ts';
import type { NodeEnv } from '../ports.ts';
import type { Message, Rx2Id } from '../session/operation.ts';
import type { Replica } from '../shard/replica.ts';
import type { Connection } from './client/connection.ts';
import { onRetainedZero } from './client/retained-sending.ts';
import { sendQueued, sendRelease } from './client/sending.ts';
import type { ConnectionAddress, Delivery, LeaderContext, RetainedZero, Taker } from './context.ts';
import { LinkMessage } from './link/link-message.ts';
import type { NodeCore } from './node.ts';
import type { Reading } from './route/retained-reading.ts';
import { QUOTA } from './route/router.ts';
import type { Routes } from './route/routes.ts';
import type { WatchedTopics } from './route/topic-watch.ts';
import type { Work } from './work.ts';

/** The parts of its node that leaders are answered with. */
type ContextNode = Pick<
  NodeCore,
  | 'name'
  | 'bootEpoch'
  | 'limits'
  | 'timings'
  | 'counters'
  | 'env'
  | 'clock'
  | 'connections'
  | 'membership'
  | 'peers'
  | 'routes'
  | 'leases'
  | 'router'
  | 'queries'
  | 'shards'
  | 'shardCount'
  | 'work'
  | 'watched'
  | 'announcing'
  | 'gateway'
>;

const NO_TAKER: Taker = { node: '', connection: 0 };

export class NodeContext implements LeaderContext {
  readonly name: string;
  readonly bootEpoch: number;
  readonly limits: Limits;
  readonly counters: Counters;
  readonly routes: Routes;
  readonly willNodeGraceMs: number;
  readonly work: Work;
  readonly #node: ContextNode;
  readonly #env: NodeEnv;

  /** @param node whose other parts are used when leaders ask, and not before */
  constructor(node: ContextNode) {
    this.#node = node;
    this.#env = node.env;
    this.name = node.name;
    this.bootEpoch = node.bootEpoch;
    this.limits = node.limits;
    this.counters = node.counters;
    this.routes = node.routes;
    this.willNodeGraceMs = node.timings.willNodeGraceMs;
    this.work = node.work;
  }

  get watched(): WatchedTopics {
    return this.#node.watched;
  }

  get log(): NodeEnv['log'] {
    return this.#env.log;
  }

  get store(): NodeEnv['store'] {
    return this.#env.store;
  }

  nowMs(): number {
    return this.#env.nowMs();
  }

  wallMs(): number {
    return this.#env.wallMs();
  }

  hlc(): number {
    return this.#node.clock.next();
  }

  observeHlc(hlc: number): void {
    this.#node.clock.observe(hlc);
  }

  trace(phase: string, fields?: Record<string, unknown>): void {
    this.#env.trace?.(phase, fields);
  }

  confirm(replica: Replica, done: () => void): boolean {
    return this.#node.leases.confirm(replica, this.#env.nowMs(), done);
  }

  barrier(sinceMs: number, done: () => void): void {
    this.#node.leases.barrier(this.#env.nowMs(), sinceMs, done);
  }

  announceShardRoutes(...change: Parameters<LeaderContext['announceShardRoutes']>): void {
    this.#node.announcing.announceShardRoutes(...change);
  }

  route(message: Message, rx2: Rx2Id | null, done: (refused: boolean) => void): void {
    this.#node.router.publish(message, rx2, {
      wanted: true,
      slowed: () => {},
      published: (status) => done(status === QUOTA),
    });
  }

  readRetained(filters: readonly string[], after: string, onReady: () => void): Reading {
    return this.#node.queries.read(filters, after, onReady);
  }

  gatewayGone(gateway: string, bootEpoch: number): boolean {
    if (gateway === this.name) return bootEpoch !== this.bootEpoch;
    return this.#node.membership.gone(gateway, bootEpoch, this.nowMs());
  }

  // ---- to a connection, here or elsewhere ------------------------------------------------------

  /** The connection that is meant: one of this process, not of an earlier one with the same number. */
  #connection(to: ConnectionAddress): Connection | undefined {
    return to.bootEpoch === this.bootEpoch ? this.#node.connections.get(to.connection) : undefined;
  }

  full(node: string): boolean {
    return this.#node.peers.full(node);
  }

  deliver(delivery: Delivery): boolean {
    const { node: gateway } = delivery.to;
    if (gateway === this.name) {
      this.deliverHere(delivery);
      return true;
    }
    const w = this.#node.peers.to(gateway);
    if (!w) return false;
    LinkMessage.Deliver.write(w, delivery);
    return true;
  }

  deliverHere(delivery: Delivery): void {
    const connection = this.#connection(delivery.to);
    if (connection) sendQueued(connection, delivery);
  }

  sendRetained(to: ConnectionAddress, batch: RetainedZero): void {
    if (to.node === this.name) return this.retainedHere(this.name, to, batch);
    const w = this.#node.peers.to(to.node);
    if (w) LinkMessage.RetainedZero.write(w, to, batch);
  }

  /** @param from the node that leads the session's shard */
  retainedHere(from: string, to: ConnectionAddress, batch: RetainedZero): void {
    const connection = this.#connection(to);
    if (!connection) return;
    onRetainedZero(connection, batch, () => {
      if (from === this.name) return this.retainedTaken(connection.clientId, batch.token);
      const w = this.#node.peers.to(from);
      if (w) LinkMessage.RetainedTaken.write(w, connection.clientId, batch.token);
    });
  }

  retainedTaken(clientId: string, token: number): void {
    const { shards, shardCount } = this.#node;
    shards.leaders[shardOf(clientId, shardCount)]?.retaining.onTaken(clientId, token);
  }

  release(to: ConnectionAddress, position: number): boolean {
    if (to.node === this.name) {
      this.releaseHere(to, position);
      return true;
    }
    const w = this.#node.peers.to(to.node);
    if (!w) return false;
    LinkMessage.Release.write(w, to, position);
    return true;
  }

  releaseHere(to: ConnectionAddress, position: number): void {
    const connection = this.#connection(to);
    if (connection) sendRelease(connection, position);
  }

  kick(to: ConnectionAddress, reasonCode: number, by: Taker | null, yields = false): void {
    if (to.node === this.name) {
      this.kickHere(to, reasonCode, yields, by);
      return;
    }
    const w = this.#node.peers.to(to.node);
    if (w) LinkMessage.Kick.write(w, { to, reasonCode, yields, by: by ?? NO_TAKER });
  }

  /** A takeover ends the connection alone; an administrator's kick is an end like any other. */
  kickHere(to: ConnectionAddress, reasonCode: number, yields: boolean, by: Taker | null): void {
    const connection = this.#connection(to);
    if (!connection) return;
    if (yields) this.#node.gateway.yields(connection, by);
    else if (reasonCode === ReasonCode.SessionTakenOver) connection.disconnect(reasonCode, by);
    else connection.shutdown(reasonCode);
  }
}
