/**
 * Questions of people about other nodes' shards: JSON, since they are rare.
 *
 * A question goes to one node and is answered from what it leads; one that gets no answer in time is
 * answered with undefined.
 */

import { assertNever } from '../../assert-never.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import { shardOf } from '../../placement/hash.ts';
import type { Session } from '../../session/session.ts';
import { type CopyId, nameOf } from '../../shard/view.ts';
import { addressOf } from '../lead/delivering.ts';
import { LinkMessage } from '../link/link-message.ts';
import type { Peer } from '../link/peers.ts';
import { copiesWanted, presentCopies } from '../members/replication.ts';
import type { AskedLeader, AskPort } from './ask-port.ts';
import { clientOf, clientsOf } from './clients.ts';
import { firstByName } from './first-by-name.ts';
import {
  type Answers,
  type CopyAnswer,
  type ExplainAnswer,
  type ListedSession,
  type PausedAnswer,
  type Question,
  type RemovalAnswer,
  readQuestion,
  type SessionAnswer,
  type SessionsAnswer,
  type TotalsAnswer,
} from './question.ts';
import { sharedOf, shareOf, sharesOf } from './shares.ts';

/** What the process around the core answers. */
export interface AskedHost {
  bytesHeld(done: (bytes: number) => void): void;
  leave(done: (answer: RemovalAnswer | 'last') => void): void;
  removal(): RemovalAnswer | null;
  paused(): readonly PausedAnswer[];
}

const TIMEOUT_MS = 3000;
/** Questions that wait for an answer; beyond, they are answered with undefined at once. */
const ASKED_MAX = 10_000;
/** Sessions in one answer, and characters of Client Identifiers or Topic Filters. */
const SESSIONS_MAX = 1000;
const CHARACTERS_MAX = 4 * 1024 * 1024;

interface Asked {
  readonly deadlineMs: number;
  readonly done: (answer: unknown) => void;
}

export class Asking {
  readonly #port: AskPort;
  /** Set by the process once it can answer. */
  host: AskedHost | null = null;
  #next = 1;
  readonly #asked = new Map<number, Asked>();

  constructor(port: AskPort) {
    this.#port = port;
  }

  /** @param done with the answer, or undefined when there was none in time */
  ask<T extends Question['type']>(
    name: string,
    question: Question & { readonly type: T },
    done: (answer: Answers[T] | undefined) => void,
  ): void {
    const answered = done as (answer: unknown) => void;
    if (name === this.#port.name) return this.#answer(question, answered);
    const w = this.#port.peers.to(name);
    if (!w || this.#asked.size >= ASKED_MAX) return done(undefined);
    const id = this.#next++;
    this.#asked.set(id, { deadlineMs: this.#port.nowMs() + TIMEOUT_MS, done: answered });
    LinkMessage.Ask.write(w, id, question);
  }

  onAsk(peer: Peer, id: number, question: unknown): void {
    const asked = readQuestion(question);
    if (!asked) return;
    const { bootEpoch } = peer;
    this.#answer(asked, (answer) => {
      if (answer === undefined || peer.bootEpoch !== bootEpoch) return;
      const w = this.#port.peers.to(peer.name);
      if (w) LinkMessage.Answer.write(w, id, answer);
    });
  }

  onAnswer(id: number, answer: unknown): void {
    const asked = this.#asked.get(id);
    if (!asked) return;
    this.#asked.delete(id);
    asked.done(answer);
  }

  tick(nowMs: number): void {
    for (const [id, asked] of this.#asked) {
      if (nowMs < asked.deadlineMs) continue;
      this.#asked.delete(id);
      asked.done(undefined);
    }
  }

  #answer(q: Question, done: (answer: unknown) => void): void {
    switch (q.type) {
      case 'sessions':
        return done(this.#sessions(q.after, q.limit));
      case 'session':
        return done(this.#session(q.clientId));
      case 'explain':
        return done(this.#explain(q.clientId));
      case 'kick':
        return done(this.#kick(q.clientId));
      case 'clients':
        return done(clientsOf(this.#port.clients, q.after, q.limit));
      case 'client':
        return done(clientOf(this.#port.clients, q.clientId));
      case 'totals':
        return done(this.totals());
      case 'remote':
        return done(this.#port.clients.connections.get(q.connection)?.socket.remote ?? '');
      case 'shares':
        return done(sharesOf(this.#led(), q.after));
      case 'share':
        return done(shareOf(this.#led(), this.#port.routes.groups.get(q.key), q.key));
      case 'bytes':
        return this.host ? this.host.bytesHeld(done) : done(undefined);
      case 'leave':
        return this.host ? this.host.leave(done) : done(undefined);
      case 'removal':
        return done(this.host?.removal());
      case 'paused':
        return done(this.host?.paused());
      default:
        assertNever(q);
    }
  }

  *#led(): Generator<AskedLeader> {
    for (const copy of this.#port.shards.led) {
      const leader = this.#port.shards.leaders[copy.shard]!;
      if (leader.serving) yield leader;
    }
  }

  *#sessionsAfter(after: string): Generator<[string, AskedLeader]> {
    for (const leader of this.#led())
      for (const clientId of leader.state.sessions.keys())
        if (clientId > after) yield [clientId, leader];
  }

  #sessions(after: string, limit: number): SessionsAnswer {
    const count = Math.min(limit, SESSIONS_MAX);
    const found = firstByName(this.#sessionsAfter(after), count + 1);
    const sessions: ListedSession[] = [];
    let characters = 0;
    for (const [clientId, leader] of found.slice(0, count)) {
      characters += clientId.length;
      if (sessions.length > 0 && characters > CHARACTERS_MAX) break;
      const s = leader.state.sessions.get(clientId)!;
      sessions.push({
        clientId,
        shard: leader.shard,
        gateway: s.connected ? s.gateway : null,
        queued: s.pending,
        inflight: inFlight(leader, s),
        subscriptions: s.subscriptions?.size ?? 0,
      });
    }
    return { sessions, complete: sessions.length === found.length };
  }

  /** The leader of the Client Identifier's shard if it is here, and the session if there is one. */
  #find(clientId: string): { leader: AskedLeader; session: Session | null } | null {
    const { shardCount, shards } = this.#port;
    if (shardCount === 0) return null;
    const leader = shards.leaders[shardOf(clientId, shardCount)];
    if (!leader?.serving) return null;
    return { leader, session: leader.state.sessions.get(clientId) ?? null };
  }

  #session(clientId: string): SessionAnswer | 'elsewhere' | null {
    const found = this.#find(clientId);
    if (!found) return 'elsewhere';
    const { leader, session: s } = found;
    if (!s) return null;
    const { replica, state } = leader;
    const pubrecs = s.pubrecs?.size ?? 0;
    let characters = 0;
    return {
      shard: leader.shard,
      gateway: s.connected ? s.gateway : null,
      connection: s.connection,
      version: s.version,
      queued: s.pending,
      inflightQos1: Math.max(0, inFlight(leader, s) - pubrecs),
      inflightQos2: pubrecs,
      expirySeconds: s.expirySeconds,
      remainingSeconds:
        s.expiresAtMs > 0 ? Math.max(0, Math.round((s.expiresAtMs - state.clockMs) / 1000)) : null,
      subscriptions: [...(s.subscriptions?.values() ?? [])]
        .filter(({ filter }) => {
          characters += filter.length;
          return characters <= CHARACTERS_MAX;
        })
        .map(({ filter, qos, noLocal, retainAsPublished, identifier }) => ({
          filter,
          qos,
          noLocal,
          retainAsPublished,
          identifier,
        })),
      owners: leaderFirst(replica.view.active, replica.self).map(nameOf),
    };
  }

  #explain(clientId: string): ExplainAnswer | 'elsewhere' {
    const found = this.#find(clientId);
    if (!found) return 'elsewhere';
    const { leader, session } = found;
    const { replica } = leader;
    const { view, self } = replica;
    const { end } = replica.log;
    const copies: CopyAnswer[] = [];
    const add = (id: CopyId, role: CopyAnswer['role'], endIndex: number | null) =>
      copies.push({
        node: nameOf(id),
        role,
        endIndex,
        behind: endIndex === null ? null : Math.max(0, end - endIndex),
      });
    for (const id of leaderFirst(view.active, self)) {
      if (id === self) add(id, 'leader', end);
      else add(id, 'active', replica.endOf(id));
    }
    const learners = new Set(replica.learners);
    for (const id of learners) if (!view.active.includes(id)) add(id, 'learner', replica.endOf(id));
    for (const id of view.voters)
      if (!view.active.includes(id) && !learners.has(id)) add(id, 'voter', null);
    return {
      exists: session !== null,
      shared: sharedOf(session),
      gateway: session?.connected ? session.gateway : null,
      copies,
    };
  }

  #kick(clientId: string): Answers['kick'] {
    const found = this.#find(clientId);
    if (!found) return 'elsewhere';
    const { session: s } = found;
    if (!s) return null;
    if (!s.connected) return 'not-connected';
    this.#port.connections.kick(addressOf(s), ReasonCode.AdministrativeAction, null);
    return 'kicked';
  }

  /** Over the shards led here; looks at every session. */
  totals(): TotalsAnswer {
    const { cluster, drift, membership } = this.#port;
    const wanted = copiesWanted(membership, cluster.replicas);
    let sessions = 0;
    let persistent = 0;
    let connected = 0;
    let queued = 0;
    let retained = 0;
    let atRisk = 0;
    for (const { state, replica } of this.#led()) {
      const alone = wanted > 1 && presentCopies(membership, replica.view.active).length <= 1;
      sessions += state.sessions.size;
      retained += state.retained.size;
      for (const s of state.sessions.values()) {
        if (s.persistent) {
          persistent++;
          if (alone) atRisk++;
        }
        if (s.connected) connected++;
        queued += s.pending;
      }
    }
    return { drift, sessions, persistent, connected, queued, retained, atRisk };
  }
}

/** Messages sent to the connection and not settled. */
function inFlight(leader: AskedLeader, s: Session): number {
  return leader.delivering.sentUpto(s) < 0 ? 0 : s.pending - s.ahead;
}

function leaderFirst(active: readonly CopyId[], leader: CopyId): CopyId[] {
  return [leader, ...active.filter((id) => id !== leader)];
}
