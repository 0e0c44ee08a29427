import type { Connection, Delivery, Message, Session, Subscription } from '../history.ts';
import { filterMatches, isShared, sharedFilter } from '../topics.ts';
import { Checker, type World } from './checker.ts';

/** After the last fault, once all members are there: what is sent then is judged strictly. */
const STEADY_AFTER_MS = 5000;

/**
 * Shared Subscriptions: a message of QoS 1 or 2 that was acknowledged to its publisher, and matches a Shared
 * Subscription acknowledged before, reaches a member; at effective QoS 2 one of them at most, at any time.
 * In calm each reaches exactly one, and each member gets a publisher's messages of a topic and QoS in order.
 *
 * Owed by a member that holds throughout: it is always there to bring what others leave. A message of QoS 2 may
 * have ended with the session of another member, if one ended since it was sent [MQTT-4.8.2-5].
 */
export class Shared extends Checker {
  readonly invariant = '18 shared subscriptions';
  readonly #last = new Map<Session, Map<string, Message>>();

  /** When a view was established last: a leader that is new gives again what was under way. */
  #establishedMs = 0;

  /** When a connection that its client has left was seen to be over for its node, too. */
  readonly #over = new Map<Connection, number>();

  /** A client that falls silent is a member until its node notices. */
  override onInterval(world: World): void {
    for (const c of this.history.connections)
      if (c.goneAtMs !== undefined && !c.serverOpen() && !this.#over.has(c))
        this.#over.set(c, world.nowMs);
  }

  override onPhase(_: string, phase: string): void {
    if (phase === 'established') this.#establishedMs = this.history.nowMs;
  }

  override onDelivered(delivery: Delivery, first: boolean): void {
    const { message, session } = delivery;
    const key = keyOf(session);
    if (key === undefined || message === undefined) return;
    if (delivery.retain)
      return this.fail(`${session.client} got a retained copy of #${message.id}`);
    if (delivery.qos === 2) this.#once(key, message, session);
    if (first) this.#inOrder(session, message, delivery.qos);
  }

  #once(key: string, message: Message, session: Session): void {
    let exact = 0;
    for (const member of this.#members(key)) exact += member.receipts.get(message.id)?.exact ?? 0;
    if (exact > 1)
      this.fail(`${session.client} got #${message.id} at QoS 2, and another member of ${key} too`);
  }

  #inOrder(session: Session, message: Message, qos: number): void {
    if (message.kind === 'will' || message.sends > 1 || qos !== message.qos) return;
    if (this.history.disturbed(message.sentAtMs - STEADY_AFTER_MS, this.history.nowMs)) return;
    let streams = this.#last.get(session);
    if (streams === undefined) {
      streams = new Map();
      this.#last.set(session, streams);
    }
    const stream = `${message.domain} ${message.topic} ${message.qos}`;
    const last = streams.get(stream);
    if (last !== undefined && last.sequence > message.sequence && this.#steadySince(message))
      this.fail(`${session.client} got #${message.id} after #${last.id}: ${stream}, in calm`);
    else streams.set(stream, message);
  }

  /** No member has come or gone since it was sent, and no leader. */
  #steadySince({ sentAtMs }: Message): boolean {
    if (this.#establishedMs >= sentAtMs) return false;
    const members = new Set<string>();
    for (const session of this.history.sessions)
      if (keyOf(session) !== undefined) members.add(session.client);
    return this.history.connections.every(
      (c) =>
        !members.has(c.client) ||
        (c.sentAtMs < sentAtMs &&
          (c.connackAtMs ?? 0) < sentAtMs &&
          (c.goneAtMs === undefined || (this.#over.get(c) ?? Number.POSITIVE_INFINITY) < sentAtMs)),
    );
  }

  #members(key: string): Session[] {
    return this.history.sessions.filter((session) => keyOf(session) === key);
  }

  override pending(world: World): string | undefined {
    const missing = this.#missing(world);
    if (missing.length === 0) return undefined;
    return `${missing.length} not with any member: ${missing.slice(0, 5).join('; ')}`;
  }

  override finish(world: World): void {
    for (const one of this.#missing(world)) this.fail(`never with any member: ${one}`);
    for (const one of this.#doubled(world)) this.fail(`with members more than once: ${one}`);
  }

  *#owed(): Generator<[Message, Session, Subscription]> {
    const sessions = this.history.sessions.filter(
      (s) => s.persistent && s.endedAtMs === undefined && !s.doubtful,
    );
    for (const session of sessions) {
      const subscription = session.subscriptions.find(isShared);
      if (!subscription || subscription.ackedAtMs === undefined) continue;
      if (subscription.endSentAtMs !== undefined) continue;
      const filter = sharedFilter(subscription.filter);
      for (const message of this.history.messages) {
        const { ackedAtMs, sentAtMs, deletion, expirySeconds, qos } = message;
        if (ackedAtMs === undefined || qos === 0 || deletion || expirySeconds > 0) continue;
        if (subscription.ackedAtMs > sentAtMs || !filterMatches(filter, message.topic)) continue;
        yield [message, session, subscription];
      }
    }
  }

  #missing(world: World): string[] {
    const missing = new Map<Message, string>();
    for (const [message, session, subscription] of this.#owed()) {
      const members = this.#members(subscription.filter);
      if (members.some((m) => m.receipts.has(message.id))) continue;
      if (message.refused || this.#mayHaveEnded(message, members)) continue;
      const { ackedAtMs, ackedBy } = subscription;
      const { sides } = this.history;
      if (sides.exempt(ackedBy, message.ackedBy, ackedAtMs!, message.ackedAtMs!)) continue;
      // A member at QoS 0 that takes its turn may lose it.
      if (members.some((m) => m.subscriptions.some((s) => s.qos === 0))) continue;
      missing.set(message, `${describe(message)} of ${session.client}'s ${subscription.filter}`);
    }
    return world.nowMs > 0 ? [...missing.values()] : [];
  }

  /** A session to which it may have been sent at QoS 2 has ended since. */
  #mayHaveEnded(message: Message, members: readonly Session[]): boolean {
    if (message.qos < 2) return false;
    return members.some(
      (m) =>
        m.subscriptions.some((s) => s.qos === 2) &&
        (!m.persistent || m.endedAtMs !== undefined || m.doubtful) &&
        (m.endedAtMs === undefined || m.endedAtMs >= message.sentAtMs),
    );
  }

  /** Sent in calm, once, and delivered more than once. */
  #doubled(world: World): string[] {
    const doubled: string[] = [];
    for (const [message, , subscription] of this.#owed()) {
      if (message.sentAtMs < world.healedAtMs + STEADY_AFTER_MS || message.sends > 1) continue;
      if (!this.#steadySince(message)) continue;
      let live = 0;
      for (const m of this.#members(subscription.filter))
        live += m.receipts.get(message.id)?.live ?? 0;
      if (live > 1) doubled.push(`${live} times ${describe(message)}`);
    }
    return doubled;
  }
}

/** The Shared Subscription of a session that has no other subscription. */
function keyOf(session: Session): string | undefined {
  return session.subscriptions.find(isShared)?.filter;
}

function describe(message: Message): string {
  return (
    `#${message.id} ${message.topic} QoS ${message.qos} of ${message.publisher} (sent ` +
    `${message.sentAtMs.toFixed(1)}, acknowledged ${message.ackedAtMs?.toFixed(1)})`
  );
}
