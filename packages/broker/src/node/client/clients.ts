/** The clients of one node: their connections, from the socket to the end, and what concerns many of them. */
import { ReasonCode } from '../../mqtt/reason-code.ts';
import { shardOf } from '../../placement/hash.ts';
import type { ClientSocket, ListenerRules } from '../../ports.ts';
import type { Taker } from '../link/delivery-codec.ts';
import type { MissedMessages } from '../link/missed-messages.ts';
import type { LiveConnection } from '../route/client-port.ts';
import { misses } from '../route/live.ts';
import { Line } from '../work.ts';
import { AccessRecords } from './access-records.ts';
import { addressOf } from './admitting.ts';
import { ClientLog, type LoggedClient } from './client-log.ts';
import { Connection } from './connection.ts';
import { Overdue } from './overdue.ts';
import type { Client, ClientsOfNode } from './parts.ts';
import { watchSlow } from './sending.ts';
import { optionsWith, type ServerOptions } from './server-options.ts';
import type { SessionPort } from './session-port.ts';
import { Sessions } from './sessions.ts';
import type { Sys } from './sys.ts';
import { VerifiedPasswords } from './verified-passwords.ts';

/** How long a connection that is taken over from elsewhere may still bring its DISCONNECT. */
const YIELD_MS = 100;

export class Clients implements ClientsOfNode {
  readonly port: SessionPort;
  readonly sessions: Sessions;
  readonly log: ClientLog;
  /** Users, roles and bans of the cluster; null where nobody asks who a client is. */
  readonly access: AccessRecords | null;
  readonly #verified: VerifiedPasswords | null;
  readonly line: Line;
  readonly overdue = new Overdue();
  readonly sys: Sys;
  /** What listeners with rules of their own offer. */
  readonly #optionsOfListener = new WeakMap<ListenerRules, ServerOptions>();
  readonly crowded = new Set<Client>();
  readonly slow = new Set<Client>();
  /** By number; numbers start anew with every process. */
  readonly connections = new Map<number, Connection>();
  #next = 1;
  #watchedMs = 0;
  #saidCredentials = false;
  /** Open connections by the shard of their Client Identifier: those that a new leader concerns. */
  readonly #byShard = new Map<number, Set<Client>>();
  /** At most one for each connection, which is told to yield once. */
  readonly #yielding: {
    readonly connection: Connection;
    readonly by: Taker | null;
    readonly dueMs: number;
  }[] = [];

  constructor(port: SessionPort, sys: Sys) {
    this.port = port;
    this.sessions = new Sessions(port);
    this.log = new ClientLog(port.counters, port.env);
    this.line = new Line(port.work);
    this.sys = sys;
    const { gate } = port;
    this.access = gate ? new AccessRecords(port, gate, () => this.#recheck()) : null;
    const { passwords } = port.env;
    this.#verified = passwords ? new VerifiedPasswords(port, passwords) : null;
  }

  accept(socket: ClientSocket): Connection {
    this.port.calm.stir();
    const id = this.#next++;
    const connection = new Connection(this, socket, id, this.#optionsOf(socket));
    this.connections.set(id, connection);
    this.port.counters.connections = this.connections.size;
    this.port.counters.accepted++;
    return connection;
  }

  opened(c: Client): void {
    const shard = shardOf(c.clientId, this.port.shardCount);
    const held = this.#byShard.get(shard);
    if (held) held.add(c);
    else this.#byShard.set(shard, new Set([c]));
    const { counters } = this.port;
    counters.clientsConnected++;
    counters.clientsMaximum = Math.max(counters.clientsMaximum, counters.clientsConnected);
  }

  #optionsOf({ rules }: ClientSocket): ServerOptions {
    const { serverOptions } = this.port;
    if (!rules) return serverOptions;
    const held = this.#optionsOfListener.get(rules);
    if (held) return held;
    const own = optionsWith(serverOptions, rules);
    this.#optionsOfListener.set(rules, own);
    return own;
  }

  gone(c: Client): void {
    this.connections.delete(c.id);
    this.port.counters.connections = this.connections.size;
    const shard = shardOf(c.clientId, this.port.shardCount);
    const held = this.#byShard.get(shard);
    if (!held?.delete(c)) return;
    this.port.counters.clientsConnected--;
    if (held.size === 0) this.#byShard.delete(shard);
  }

  /** Of a takeover with the addresses of both, if a line is worth the question to the other node. */
  ending(c: LoggedClient, reasonCode: number, by: Taker | null): void {
    if (reasonCode !== ReasonCode.SessionTakenOver) return this.log.ended(c, reasonCode);
    if (!by || by.node === '') return this.log.takenOver(c, {});
    const log = (remote: string | undefined) =>
      this.log.takenOver(c, { by: remote ?? '', byNode: by.node });
    if (by.node === this.port.name) log(this.connections.get(by.connection)?.socket.remote);
    else if (!this.log.full) this.port.remoteOf(by.node, by.connection, log);
    else log(undefined);
  }

  /** Users or bans have changed: connections that would not be let in any more end. */
  #recheck(): void {
    const wallMs = this.port.env.wallMs();
    for (const c of this.connections.values()) {
      const reasonCode = c.rights?.ended(addressOf(c.socket.remote), wallMs);
      if (reasonCode !== undefined) c.shutdown(reasonCode);
    }
  }

  /** Said once: clients that count on it are many. */
  noteCredentials(clientId: string, remote: string): void {
    if (this.#saidCredentials) return;
    this.#saidCredentials = true;
    const text = 'a client gives credentials, and nothing checks them: every client is let in';
    this.port.env.log('warn', text, { clientId, remote });
  }

  /** This process hung or was cut off, and `from` published without waiting for it. */
  endMissed(missed: MissedMessages, from: string): void {
    const { counters, live, timings } = this.port;
    const ended: Set<LiveConnection> = live.thatMiss(missed);
    if (missed.everything) {
      for (const c of this.connections.values())
        for (const s of c.subscriptions?.values() ?? []) if (misses(s, missed)) ended.add(c);
    }
    for (const c of ended) c.shutdown(ReasonCode.ServerBusy, timings.willNodeGraceMs);
    counters.connectionsMissed += ended.size;
    const text = 'peer gave this node up for a while, connections that missed messages end';
    this.port.env.log('warn', text, { peer: from, connections: ended.size });
  }

  /**
   * Its client is elsewhere by now. A DISCONNECT that it sent before may still stand in the socket, so
   * the connection goes on for a moment: then it is over without one, and its CLOSE says so.
   */
  yields(connection: Connection, by: Taker | null): void {
    if (!connection.isOpen) return;
    this.#yielding.push({ connection, by, dueMs: this.port.env.nowMs() + YIELD_MS });
  }

  /** @param isSettled shards and routes are there */
  tick(nowMs: number, isSettled: boolean): void {
    this.log.tick(nowMs);
    this.overdue.tick(nowMs);
    this.sys.tick(nowMs);
    const { slowReaderMs } = this.port.timings;
    for (const c of this.slow) watchSlow(c, nowMs - this.#watchedMs, slowReaderMs);
    this.#watchedMs = nowMs;
    while (this.#yielding.length > 0 && this.#yielding[0]!.dueMs <= nowMs) {
      const { connection, by } = this.#yielding.shift()!;
      connection.shutdown(ReasonCode.SessionTakenOver, 0, by);
    }
    this.sessions.tick(nowMs);
    this.access?.tick(nowMs, isSettled);
    this.#verified?.tick(nowMs, isSettled);
  }

  /** A new link to this node: are the sessions that it leads still our connections'? */
  onLinkUp(name: string): void {
    for (const shard of [...this.#byShard.keys()])
      if (this.port.views.leader(shard) === name) this.onLeader(shard);
  }

  /** A new leader, or a new term: are the sessions of its shard still our connections'? */
  onLeader(shard: number): void {
    for (const c of [...(this.#byShard.get(shard) ?? [])]) if (c.isOpen) this.#reattach(c);
  }

  #reattach(c: Client): void {
    const { clientId, epoch } = c;
    this.sessions.attach(clientId, epoch, () => {
      if (c.isOpen && c.epoch === epoch) c.fenced();
    });
  }
}
