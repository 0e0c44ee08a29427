import { filterMatches } from '../../src/sim/topics.ts';
import type { Bug } from './bugs.ts';

export interface StoredMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: number;
  /** Virtual time from which it is not sent any more; absent for never. */
  readonly expiresAtMs?: number;
}

export interface Entry {
  readonly message: StoredMessage;
  readonly qos: 1 | 2;
  packetId: number;
  stage: 'queued' | 'sent' | 'pubrel';
  readonly identifiers: readonly number[];
}

/** What a session's connection does for its cluster. */
export interface RefPeer {
  sendPublish(
    m: StoredMessage,
    qos: 0 | 1 | 2,
    o: { id: number; dup: boolean; retain: boolean; identifiers: readonly number[] },
  ): void;
  pump(): void;
  takenOver(): void;
}

export interface RefSession {
  readonly clientId: string;
  persistent: boolean;
  subscriptions: Map<string, { readonly qos: number; readonly identifier: number }>;
  queue: Entry[];
  receiving: Set<number>;
  nextPacketId: number;
  connection: RefPeer | undefined;
}

interface PendingWill {
  readonly clientId: string;
  readonly dueMs: number;
  readonly message: StoredMessage;
}

/**
 * What all nodes of the reference cluster share: one perfect memory, durable at every step.
 *
 * It is no broker to learn from: it cheats on everything that is hard. It exists so that the
 * simulator and its checkers are tested apart from the real core.
 */
const YIELD_MS = 100;

export class ReferenceCluster {
  readonly sessions = new Map<string, RefSession>();
  readonly retained = new Map<string, StoredMessage>();
  readonly bug: Bug | undefined;
  /** Virtual time; set by the test. */
  clock: () => number = () => 0;
  /** A split holds; set by the test. */
  isSplit: () => boolean = () => false;
  #wills: PendingWill[] = [];
  #counter = 0;
  /** Views that a bug has reported. */
  views = 1;

  constructor(bug?: Bug) {
    this.bug = bug;
  }

  /** True every `n`th time, for bugs that strike now and then. */
  every(n: number): boolean {
    this.#counter++;
    return this.#counter % n === 0;
  }

  publish(message: StoredMessage): void {
    this.#publishToGroup(message);
    for (const session of this.sessions.values()) {
      let qos = -1;
      const identifiers: number[] = [];
      for (const [filter, granted] of session.subscriptions) {
        if (!filterMatches(filter, message.topic)) continue;
        qos = Math.max(qos, granted.qos);
        if (granted.identifier > 0) identifiers.push(granted.identifier);
      }
      if (qos < 0) continue;
      if (this.bug === 'identifier missing') identifiers.pop();
      this.#enqueue(session, message, Math.min(qos, message.qos), identifiers);
    }
  }

  /** There is one group: its first member in the order of their names gets all, since its session never ends. */
  #publishToGroup(message: StoredMessage): void {
    const members: [RefSession, number][] = [];
    for (const session of this.sessions.values()) {
      for (const [filter, { qos }] of session.subscriptions) {
        const [share, , ...inner] = filter.split('/');
        if (share !== '$share' || !filterMatches(inner.join('/'), message.topic)) continue;
        if (session.persistent) members.push([session, Math.min(qos, message.qos)]);
      }
    }
    members.sort(([a], [b]) => (a.clientId < b.clientId ? -1 : 1));
    const most = this.bug === 'two members get it' ? 2 : 1;
    for (const [session, qos] of members.slice(0, most)) this.#enqueueShared(session, message, qos);
  }

  #enqueueShared(session: RefSession, message: StoredMessage, qos: number): void {
    if (this.bug === 'lose a message of a group' && this.every(10)) return;
    this.#enqueue(session, message, qos, []);
    const [before, last] = session.queue.slice(-2);
    if (this.bug !== 'a group out of order' || !last || before?.stage !== 'queued') return;
    if (last.stage === 'queued') session.queue.splice(-2, 2, last, before);
  }

  #enqueue(
    session: RefSession,
    message: StoredMessage,
    qos: number,
    identifiers: readonly number[],
  ): void {
    if (qos === 0) {
      session.connection?.sendPublish(message, 0, {
        id: 0,
        dup: false,
        retain: false,
        identifiers,
      });
      return;
    }
    if (this.bug === 'lose message' && this.every(10)) return;
    if (session.queue.length > 10_000) return;
    const entry: Entry = {
      message,
      qos: qos as 1 | 2,
      packetId: 0,
      stage: 'queued',
      identifiers,
    };
    session.queue.push(entry);
    const before = session.queue.at(-2);
    if (this.bug === 'reorder' && before?.stage === 'queued' && this.every(3)) {
      session.queue.splice(-2, 2, entry, before);
    }
    session.connection?.pump();
  }

  retain(message: StoredMessage): void {
    if (this.bug === 'retained lost' && this.every(2)) return;
    if (message.payload.length === 0) this.retained.delete(message.topic);
    else this.retained.set(message.topic, message);
  }

  /** A connection that was taken over has this long to bring its DISCONNECT. */
  yields(peer: { yielded(): void }): void {
    this.#yielding.push({ peer, dueMs: this.clock() + YIELD_MS });
  }

  #yielding: { readonly peer: { yielded(): void }; readonly dueMs: number }[] = [];

  addWill(clientId: string, message: StoredMessage, delayMs: number): void {
    if (this.bug === 'will never' && this.every(2)) return;
    const will = { clientId, message, dueMs: this.clock() + delayMs };
    this.#wills.push(will);
    if (this.bug === 'will twice') this.#wills.push(will);
    this.fireWills();
  }

  cancelWill(clientId: string): void {
    this.#wills = this.#wills.filter((will) => will.clientId !== clientId);
  }

  fireWills(): void {
    const over = this.#yielding.filter(({ dueMs }) => dueMs <= this.clock());
    this.#yielding = this.#yielding.filter(({ dueMs }) => dueMs > this.clock());
    for (const { peer } of over) peer.yielded();
    const due = this.#wills.filter((will) => will.dueMs <= this.clock());
    this.#wills = this.#wills.filter((will) => will.dueMs > this.clock());
    for (const { message } of due) this.publish(message);
  }
}
