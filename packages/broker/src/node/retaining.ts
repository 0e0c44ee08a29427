/**
 * SUBSCRIBE of a persistent session, from commit to SUBACK: the route barrier, then the retained
 * messages, logged into the session's queue.
 *
 * What is left to read stands in the session (retaining, retainingAfter), so a new leader goes on. A
 * live message on a topic makes its retained copy stale: after the barrier every newer one comes live.
 */

import { matches } from '../mqtt/topic.ts';
import { messageBytes } from '../session/message-bytes.ts';
import type { Session } from '../session/session.ts';
import type { RetainedItem } from './context.ts';
import type { Respond, ShardLeader } from './leader.ts';
import { OK, reply, Status } from './request.ts';

interface Reading {
  readonly sub: number;
  readonly waiting: Respond[];
  readonly liveTopics: Set<string>;
}

/** Topics remembered per SUBSCRIBE as seen live; beyond, a stale copy may be sent after the live one. */
const LIVE_TOPICS_MAX = 10_000;

export class Retaining {
  readonly #leader: ShardLeader;
  readonly #readings = new Map<Session, Reading>();

  constructor(leader: ShardLeader) {
    this.#leader = leader;
  }

  start(): void {
    for (const s of this.#leader.state.sessions.values())
      if (s.retaining !== 0 && s.connected) this.#begin(s, null);
  }

  stop(): void {
    this.#readings.clear();
  }

  sawLive(s: Session, topic: string): void {
    if (s.retaining === 0) return;
    const reading = this.#readings.get(s);
    if (reading && reading.liveTopics.size < LIVE_TOPICS_MAX) reading.liveTopics.add(topic);
  }

  /** The SUB is committed (perhaps long ago): answers once everything before SUBACK is done. */
  subscribed(clientId: string, epoch: number, respond: Respond): void {
    const s = this.#leader.live(clientId, epoch);
    if (!s) return respond(reply(Status.NoSession));
    if (s.retaining !== 0) return this.#begin(s, respond);
    this.#barrier(() => respond(OK));
  }

  #barrier(done: () => void): void {
    this.#leader.node.barrier(this.#leader.replica.establishedAtMs, done);
  }

  #begin(s: Session, respond: Respond | null): void {
    const held = this.#readings.get(s);
    if (held?.sub === s.retaining) {
      if (respond) held.waiting.push(respond);
      return;
    }
    const reading: Reading = {
      sub: s.retaining,
      waiting: [...(held?.waiting ?? []), ...(respond ? [respond] : [])],
      liveTopics: new Set(),
    };
    this.#readings.set(s, reading);
    this.#barrier(() => {
      if (this.#readings.get(s) !== reading) return;
      this.#leader.node.queryRetained(s.retainingFilters, s.retainingAfter, (items) =>
        this.#take(s, reading, items),
      );
    });
  }

  #take(s: Session, reading: Reading, items: readonly RetainedItem[]): void {
    if (this.#readings.get(s) !== reading) return;
    for (const item of items) {
      const { message } = item;
      this.#leader.appendOwn(() => {
        if (this.#readings.get(s) !== reading || s.retaining !== reading.sub) return null;
        if (reading.liveTopics.has(message.topic)) return null;
        let qos = 0;
        const identifiers: number[] = [];
        for (const filter of s.retainingFilters) {
          const sub = s.subscriptions?.get(filter);
          if (!sub || !matches(filter, message.topic)) continue;
          qos = Math.max(qos, Math.min(sub.qos, message.qos));
          if (sub.identifier > 0) identifiers.push(sub.identifier);
        }
        // At QoS 0 nothing is queued: the gateway reads those for its own connection.
        if (qos === 0 || !this.#leader.takes(s, messageBytes(message))) return null;
        const target = {
          clientId: s.clientId,
          birth: s.birth,
          qos: qos as 1 | 2,
          retain: true,
          identifiers,
        };
        return { type: 'enq', rx2: null, message, targets: [target], retained: true };
      });
    }
    const { clientId, birth } = s;
    this.#leader.appendOwn(
      () => ({ type: 'retained-done', clientId, birth, index: reading.sub }),
      () => {
        if (this.#readings.get(s) === reading) this.#readings.delete(s);
        for (const respond of reading.waiting) respond(OK);
      },
    );
  }
}
