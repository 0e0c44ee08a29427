/**
 * Questions of people about other nodes' shards: JSON, since they are rare.
 *
 * A question goes to one node and is answered from what it leads; one that gets no answer in time is
 * answered with null.
 */
import type { Reader } from '../bytes.ts';
import { nameOf } from '../shard/view.ts';
import type { NodeCore } from './node.ts';
import type { Peer } from './peers.ts';
import { Wire } from './wire.ts';

export type Question =
  | { readonly type: 'sessions'; readonly after: string; readonly limit: number }
  | { readonly type: 'session'; readonly clientId: string }
  | { readonly type: 'kick'; readonly clientId: string }
  | { readonly type: 'totals' };

export interface SessionAnswer {
  readonly clientId: string;
  readonly shard: number;
  readonly gateway: string | null;
  readonly connection: number;
  readonly version: number;
  readonly queued: number;
  readonly inflightQos1: number;
  readonly inflightQos2: number;
  readonly expirySeconds: number;
  readonly remainingSeconds: number | null;
  readonly subscriptions: readonly {
    readonly filter: string;
    readonly qos: 0 | 1 | 2;
    readonly noLocal: boolean;
    readonly retainAsPublished: boolean;
    readonly identifier: number;
  }[];
  readonly copies: readonly {
    readonly node: string;
    readonly active: boolean;
    readonly behind: number;
  }[];
}

export interface TotalsAnswer {
  readonly sessions: number;
  readonly persistent: number;
  readonly connected: number;
  readonly queued: number;
  readonly retained: number;
}

const TIMEOUT_MS = 3000;
const ASKED_MAX = 10_000;

interface Asked {
  readonly deadlineMs: number;
  readonly done: (answer: unknown) => void;
}

export class Asking {
  readonly #node: NodeCore;
  #next = 1;
  readonly #asked = new Map<number, Asked>();

  constructor(node: NodeCore) {
    this.#node = node;
  }

  /** @param done with the answer, or null when there was none in time */
  ask(name: string, question: Question, done: (answer: unknown) => void): void {
    if (name === this.#node.name) return done(this.answer(question));
    const w = this.#node.peers.to(name);
    if (!w || this.#asked.size >= ASKED_MAX) return done(null);
    const id = this.#next++;
    this.#asked.set(id, { deadlineMs: this.#node.nowMs() + TIMEOUT_MS, done });
    w.u8(Wire.Ask);
    w.varint(id);
    w.str(JSON.stringify(question));
  }

  onAsk(peer: Peer, r: Reader): void {
    const id = r.varint();
    const answer = this.answer(JSON.parse(r.str()) as Question);
    const w = this.#node.peers.to(peer.name);
    if (!w) return;
    w.u8(Wire.Answer);
    w.varint(id);
    w.str(JSON.stringify(answer));
  }

  onAnswer(r: Reader): void {
    const id = r.varint();
    const text = r.str();
    const asked = this.#asked.get(id);
    if (!asked) return;
    this.#asked.delete(id);
    asked.done(JSON.parse(text));
  }

  tick(nowMs: number): void {
    for (const [id, asked] of this.#asked) {
      if (nowMs < asked.deadlineMs) continue;
      this.#asked.delete(id);
      asked.done(null);
    }
  }

  answer(question: Question): unknown {
    switch (question.type) {
      case 'sessions':
        return this.#sessions(question.after, question.limit);
      case 'session':
        return this.#session(question.clientId);
      case 'kick':
        return this.#kick(question.clientId);
      case 'totals':
        return this.#totals();
    }
  }

  *#led() {
    for (const copy of this.#node.shards.led) {
      const leader = this.#node.shards.leaders[copy.shard]!;
      if (leader.serving) yield leader;
    }
  }

  #sessions(after: string, limit: number): SessionAnswer[] {
    const names: string[] = [];
    for (const leader of this.#led())
      for (const s of leader.state.sessions.values())
        if (s.clientId > after) names.push(s.clientId);
    names.sort();
    return names.slice(0, limit).map((clientId) => this.#session(clientId)!);
  }

  #session(clientId: string): SessionAnswer | null {
    const found = this.#find(clientId);
    if (!found) return null;
    const { leader, session: s } = found;
    const { replica, state } = leader;
    const sent = Math.max(0, leader.delivering.sentUpto(s) - s.front);
    const released = s.rel?.size ?? 0;
    const inFlight = Math.min(sent, s.pending);
    return {
      clientId,
      shard: leader.shard,
      gateway: s.connected ? s.gateway : null,
      connection: s.connection,
      version: s.version,
      queued: s.pending,
      inflightQos1: Math.max(0, inFlight - released),
      inflightQos2: released,
      expirySeconds: s.expirySeconds,
      remainingSeconds:
        s.expiresAtMs > 0 ? Math.max(0, Math.round((s.expiresAtMs - state.clockMs) / 1000)) : null,
      subscriptions: [...(s.subscriptions?.values() ?? [])].map((sub) => ({
        filter: sub.filter,
        qos: sub.qos,
        noLocal: sub.noLocal,
        retainAsPublished: sub.retainAsPublished,
        identifier: sub.identifier,
      })),
      copies: replica.view.active.map((id) => ({
        node: nameOf(id),
        active: true,
        behind: id === replica.self ? 0 : replica.log.end - (replica.match.get(id) ?? 0),
      })),
    };
  }

  #find(clientId: string) {
    for (const leader of this.#led()) {
      const session = leader.state.sessions.get(clientId);
      if (session) return { leader, session };
    }
    return null;
  }

  #kick(clientId: string): { kicked: boolean } | null {
    const found = this.#find(clientId);
    if (!found) return null;
    const { session: s } = found;
    if (!s.connected) return { kicked: false };
    this.#node.kick(s.gateway, s.connection, 0x98);
    return { kicked: true };
  }

  #totals(): TotalsAnswer {
    let sessions = 0;
    let persistent = 0;
    let connected = 0;
    let queued = 0;
    let retained = 0;
    for (const { state } of this.#led()) {
      sessions += state.sessions.size;
      retained += state.retained.size;
      for (const s of state.sessions.values()) {
        if (s.persistent) persistent++;
        if (s.connected) connected++;
        queued += s.pending;
      }
    }
    return { sessions, persistent, connected, queued, retained };
  }
}
