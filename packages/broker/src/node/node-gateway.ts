/**
 * What clients' connections ask of their node, answered with its parts: most of it becomes a request to
 * the shard of the Client Identifier.
 */
import type { Limits } from '../config-schema.ts';
import type { Counters } from '../counters.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { shardOf } from '../placement/hash.ts';
import type { ClientSocket, NodeEnv } from '../ports.ts';
import type { AckItem, AckKind, Message, Operation } from '../session/operation.ts';
import { ClientLog, type LoggedClient } from './client/client-log.ts';
import { Connection } from './client/connection.ts';
import type {
  Gateway,
  LiveConnection,
  LiveSubscription,
  OpenDone,
  OpenRequest,
  Publisher,
} from './client/gateway.ts';
import { watchSlow } from './client/sending.ts';
import type { Taker } from './context.ts';
import type { NodeCore } from './node.ts';
import { misses } from './route/live.ts';
import type { MissedMessages } from './route/live-gap.ts';
import { type Reply, type Request, Status } from './route/request.ts';
import type { Reading } from './route/retained-reading.ts';
import type { WatchedTopics } from './route/topic-watch.ts';
import { Line, type Work } from './work.ts';

/** The parts of its node that connections are answered with. */
type GatewayNode = Pick<
  NodeCore,
  | 'name'
  | 'bootEpoch'
  | 'limits'
  | 'timings'
  | 'counters'
  | 'env'
  | 'clock'
  | 'ready'
  | 'draining'
  | 'shardCount'
  | 'connections'
  | 'views'
  | 'leases'
  | 'router'
  | 'live'
  | 'queries'
  | 'asking'
  | 'work'
  | 'watched'
>;

/** Pause before a leader that put an OPEN off is asked again. */
const PUT_OFF_MS = 40;
/** How long a connection that is taken over from elsewhere may still bring its DISCONNECT. */
const YIELD_MS = 100;
/** A CONNECT whose shard has no leader for this long is refused. */
const OPEN_TIMEOUT_MS = 10_000;

interface Settling {
  readonly items: AckItem[];
  readonly dones: ((ok: boolean) => void)[];
}

interface Opening {
  readonly deadlineMs: number;
  /** From then on the connection before is waited for no longer. */
  readonly insistsMs: number;
  /** The leader put it off. */
  again: { readonly dueMs: number; readonly run: (nowMs: number) => void } | null;
  readonly done: OpenDone;
}

export class NodeGateway implements Gateway {
  readonly name: string;
  readonly limits: Limits;
  readonly connectTimeoutMs: number;
  readonly counters: Counters;
  readonly clients: ClientLog;
  readonly #node: GatewayNode;
  readonly #env: NodeEnv;
  readonly crowded = new Set<Connection>();
  readonly slow = new Set<Connection>();
  #watchedMs = 0;
  readonly line: Line;
  #nextConnection = 1;
  /** Open connections by the shard of their Client Identifier: who is concerned by a new leader. */
  readonly #byShard = new Map<number, Set<Connection>>();
  readonly #opening = new Map<number, Opening>();
  /** At most one for each connection: it is told to once. */
  readonly #yielding: {
    readonly connection: Connection;
    readonly by: Taker | null;
    readonly dueMs: number;
  }[] = [];
  /** Acknowledgements of this turn, by shard. */
  #settling = new Map<number, Settling>();

  /** @param node whose other parts are used when connections ask, and not before */
  constructor(node: GatewayNode) {
    this.#node = node;
    this.#env = node.env;
    this.name = node.name;
    this.limits = node.limits;
    this.connectTimeoutMs = node.timings.connectTimeoutMs;
    this.counters = node.counters;
    this.clients = new ClientLog(node.counters, node.env.log, () => node.env.nowMs());
    this.line = new Line(node.work);
  }

  get log(): NodeEnv['log'] {
    return this.#env.log;
  }

  get watched(): WatchedTopics {
    return this.#node.watched;
  }

  get work(): Work {
    return this.#node.work;
  }

  get ready(): boolean {
    return this.#node.ready;
  }

  get leaving(): boolean {
    return this.#node.draining.leaving;
  }

  serverReference(): string {
    return this.#node.draining.serverReference();
  }

  nowMs(): number {
    return this.#env.nowMs();
  }

  wallMs(): number {
    return this.#env.wallMs();
  }

  random(): number {
    return this.#env.random();
  }

  hlc(): number {
    return this.#node.clock.next();
  }

  trace(phase: string, fields?: Record<string, unknown>): void {
    this.#env.trace?.(phase, fields);
  }

  /** Of a takeover with the addresses of both, if a line is worth the question to the other node. */
  ending(c: LoggedClient, reasonCode: number, by: Taker | null): void {
    if (reasonCode !== ReasonCode.SessionTakenOver) return this.clients.ended(c, reasonCode);
    const { name, asking, connections } = this.#node;
    if (!by || by.node === '') return this.clients.takenOver(c, {});
    const log = (remote: string | undefined) =>
      this.clients.takenOver(c, { by: remote ?? '', byNode: by.node });
    if (by.node === name) log(connections.get(by.connection)?.socket.remote);
    else if (!this.clients.full)
      asking.ask(by.node, { type: 'remote', connection: by.connection }, log);
    else log(undefined);
  }

  #saidCredentials = false;

  /** Said once: clients that count on it are many. */
  noteCredentials(clientId: string, remote: string): void {
    if (this.#saidCredentials) return;
    this.#saidCredentials = true;
    const text = 'a client gives credentials, and nothing checks them: every client is let in';
    this.log('warn', text, { clientId, remote });
  }

  // ---- connections -----------------------------------------------------------------------------

  accept(socket: ClientSocket): Connection {
    const { connections } = this.#node;
    const id = this.#nextConnection++;
    const connection = new Connection(this, socket, id);
    connections.set(id, connection);
    this.counters.connections = connections.size;
    return connection;
  }

  opened(connection: Connection): void {
    const shard = this.#shardOf(connection.clientId);
    const held = this.#byShard.get(shard);
    if (held) held.add(connection);
    else this.#byShard.set(shard, new Set([connection]));
  }

  gone(connection: Connection): void {
    const { connections } = this.#node;
    connections.delete(connection.id);
    this.counters.connections = connections.size;
    const shard = this.#shardOf(connection.clientId);
    const held = this.#byShard.get(shard);
    if (held?.delete(connection) && held.size === 0) this.#byShard.delete(shard);
  }

  /** This process hung or was cut off, and `from` published without waiting for it. */
  endMissed(missed: MissedMessages, from: string): void {
    const { connections, live } = this.#node;
    const ended: Set<LiveConnection> = live.thatMiss(missed);
    if (missed.everything) {
      for (const c of connections.values())
        for (const s of c.subscriptions?.values() ?? []) if (misses(s, missed)) ended.add(c);
    }
    for (const c of ended) c.shutdown(ReasonCode.ServerBusy, this.#node.timings.willNodeGraceMs);
    this.counters.connectionsMissed += ended.size;
    this.log('warn', 'peer gave this node up for a while, connections that missed messages end', {
      peer: from,
      connections: ended.size,
    });
  }

  /**
   * Its client is elsewhere by now. A DISCONNECT that it sent before may still stand in the socket, so
   * the connection goes on for a moment: then it is over without one, and its CLOSE says so.
   */
  yields(connection: Connection, by: Taker | null): void {
    if (connection.isOpen) this.#yielding.push({ connection, by, dueMs: this.nowMs() + YIELD_MS });
  }

  /** What connections have asked and no request carries yet. */
  get waiting(): number {
    return this.#settling.size;
  }

  tick(nowMs: number): void {
    this.clients.tick(nowMs);
    for (const c of this.slow)
      watchSlow(c, nowMs - this.#watchedMs, this.#node.timings.slowReaderMs);
    this.#watchedMs = nowMs;
    while (this.#yielding.length > 0 && this.#yielding[0]!.dueMs <= nowMs) {
      const { connection, by } = this.#yielding.shift()!;
      connection.shutdown(ReasonCode.SessionTakenOver, 0, by);
    }
    for (const [id, opening] of this.#opening) {
      const { again } = opening;
      if (again && nowMs >= again.dueMs) {
        opening.again = null;
        again.run(nowMs);
      }
      if (nowMs < opening.deadlineMs) continue;
      this.#opening.delete(id);
      opening.done(Status.NotLeader, null);
    }
  }

  /** End of a turn: its acknowledgements leave, one request per shard. */
  flush(): void {
    if (this.#settling.size === 0) return;
    const settling = this.#settling;
    this.#settling = new Map();
    for (const [shard, { items, dones }] of settling) {
      this.#node.router.channel(shard).send({ type: 'ack', items }, (reply: Reply) => {
        for (const done of dones) done(reply.status === Status.Ok);
      });
    }
  }

  /** A new link to this node: are the sessions that it leads still our connections'? */
  onLinkUp(name: string): void {
    const { views } = this.#node;
    for (const shard of [...this.#byShard.keys()])
      if (views.leader(shard) === name) this.onLeader(shard);
  }

  /** A new leader, or a new term: are the sessions of its shard still our connections'? */
  onLeader(shard: number): void {
    for (const c of [...(this.#byShard.get(shard) ?? [])]) if (c.isOpen) this.#reattach(c, shard);
  }

  #reattach(c: Connection, shard: number): void {
    const { clientId, epoch } = c;
    this.#node.router.channel(shard).send({ type: 'attach', clientId, epoch }, (reply) => {
      if (reply.status === Status.NoSession && c.isOpen && c.epoch === epoch) c.fenced();
    });
  }

  // ---- sessions --------------------------------------------------------------------------------

  #shardOf(clientId: string): number {
    return shardOf(clientId, this.#node.shardCount);
  }

  #ask(clientId: string, request: Request, done: (reply: Reply) => void): void {
    this.#node.router.channel(this.#shardOf(clientId)).send(request, done);
  }

  #session(clientId: string, request: Request, done: (ok: boolean) => void): void {
    this.#ask(clientId, request, ({ status }) => done(status === Status.Ok));
  }

  open(connection: number, request: OpenRequest, done: OpenDone): void {
    const nowMs = this.nowMs();
    this.#opening.set(connection, {
      deadlineMs: nowMs + OPEN_TIMEOUT_MS,
      insistsMs: nowMs + this.#node.timings.willNodeGraceMs,
      again: null,
      done,
    });
    const operation = {
      type: 'open',
      ...request,
      hlc: this.hlc(),
      gateway: this.name,
      gatewayEpoch: this.#node.bootEpoch,
      connection,
      sentUpto: -1,
    } as const;
    this.#askOpen(operation, false);
  }

  /** A leader may put an OPEN off for the sake of the connection before: then it is asked again. */
  #askOpen(operation: Operation & { type: 'open' }, insists: boolean): void {
    const { clientId, connection } = operation;
    const request: Request = insists ? { type: 'insist', open: operation } : operation;
    this.#ask(clientId, request, ({ status, opened }) => {
      const opening = this.#opening.get(connection);
      if (opening && status === Status.PutOff) {
        opening.again = {
          dueMs: this.nowMs() + PUT_OFF_MS,
          run: (nowMs) => this.#askOpen(operation, nowMs >= opening.insistsMs),
        };
      } else if (opening) {
        this.#opening.delete(connection);
        opening.done(status, opened);
      } else if (status === Status.Ok && opened) {
        // Refused before the answer came: what was opened is closed again, and its Will is not sent.
        const how = { abnormal: false, expirySeconds: -1, sentUpto: -1, graceMs: 0 };
        this.close(clientId, opened.epoch, how);
      }
    });
  }

  close(
    clientId: string,
    epoch: number,
    how: { abnormal: boolean; expirySeconds: number; sentUpto: number; graceMs: number },
  ): void {
    // Acknowledgements that came before the end of the connection count.
    this.flush();
    this.#session(clientId, { type: 'close', clientId, epoch, ...how, elapsedMs: 0 }, () => {});
  }

  subscribeSession(
    clientId: string,
    epoch: number,
    subscriptions: Parameters<Gateway['subscribeSession']>[2],
    done: (ok: boolean) => void,
  ): void {
    this.#session(clientId, { type: 'sub', clientId, epoch, subscriptions }, done);
  }

  unsubscribeSession(
    clientId: string,
    epoch: number,
    filters: readonly string[],
    done: (ok: boolean) => void,
  ): void {
    this.#session(clientId, { type: 'unsub', clientId, epoch, filters }, done);
  }

  receive(
    clientId: string,
    epoch: number,
    packetId: number,
    message: Message,
    wanted: () => boolean,
    done: (status: number) => void,
  ): void {
    // Stamped under the route lease: the stamp is logged, and decides for whom the message is.
    this.#node.router.whenRoutable(() => {
      if (!wanted()) return done(Status.NoSession);
      const stamped = { ...message, hlc: this.hlc() };
      const request = { type: 'rx2', clientId, epoch, packetId, message: stamped } as const;
      this.#ask(clientId, request, ({ status }) => done(status));
    });
  }

  releaseReceived(
    clientId: string,
    epoch: number,
    packetId: number,
    done: (status: number) => void,
  ): void {
    const request = { type: 'rx2done', clientId, epoch, packetId } as const;
    this.#ask(clientId, request, ({ status }) => done(status));
  }

  settle(
    clientId: string,
    epoch: number,
    kind: AckKind,
    position: number,
    done: ((ok: boolean) => void) | null,
  ): void {
    const shard = this.#shardOf(clientId);
    let settling = this.#settling.get(shard);
    if (!settling) {
      settling = { items: [], dones: [] };
      this.#settling.set(shard, settling);
      this.#env.scheduleFlush();
    }
    settling.items.push({ clientId, epoch, kind, position });
    if (done) settling.dones.push(done);
  }

  // ---- messages --------------------------------------------------------------------------------

  addLive(s: LiveSubscription): void {
    this.#node.live.add(s);
    this.#countFilter(s, s.filter.length);
  }

  removeLive(s: LiveSubscription): void {
    this.#node.live.remove(s);
    this.#countFilter(s, -s.filter.length);
  }

  #countFilter({ connection }: LiveSubscription, bytes: number): void {
    connection.filterBytes += bytes;
    this.counters.filterBytes += bytes;
  }

  changeLive(change: () => void): void {
    this.#node.live.batch(change);
  }

  liveBarrier(done: () => void): void {
    this.#node.leases.barrier(this.#env.nowMs(), Number.NEGATIVE_INFINITY, done);
  }

  readRetained(filters: readonly string[], after: string, onReady: () => void): Reading {
    return this.#node.queries.read(filters, after, onReady);
  }

  publishZero(message: Message): void {
    this.#node.router.publishZero(message);
  }

  publish(message: Message, publisher: Publisher): void {
    this.#node.router.publish(message, null, publisher);
  }
}
