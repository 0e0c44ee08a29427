/**
 * SUBSCRIBE and UNSUBSCRIBE of a connection: one Reason Code for each filter, in their order
 * [MQTT-3.8.4-6, 3.9.3-1, 3.11.3-1].
 *
 * A packet with many filters is taken some filters in a turn, and one such packet of a node after the
 * other: other clients do not wait for it, and what its client sends behind it waits until it is done.
 */

import { encodeSuback, encodeUnsuback } from '../../mqtt/codec.ts';
import type { Subscribe, Unsubscribe } from '../../mqtt/packet.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import {
  exceedsLevels,
  hasWildcard,
  isOfCluster,
  isShared,
  isSys,
  isTopicFilter,
  parseShare,
} from '../../mqtt/topic.ts';
import type { SubscriptionRequest } from '../../session/subscription.ts';
import type { LiveSubscription } from '../route/client-port.ts';
import type { Client, ClientsOfNode, RetainedToClient } from './parts.ts';
import { answer, begin, finish, noteRefusal, REQUEST_BYTES } from './reading.ts';
import { expectRetained } from './retained-sending.ts';
import type { ServerOptions } from './server-options.ts';
import type { SessionPort } from './session-port.ts';

/** Filters of a packet that are taken at once; of a packet with more, some in each turn. */
const FILTERS_AT_ONCE = 100;
/** Share names that one session may have for one filter: each message would go to all of their groups. */
const GROUPS_PER_FILTER_MAX = 64;
/** Of `$share/`. */
const SHARE_CHARACTERS = 7;
/** Work units of one filter, and of a packet beside its filters. */
const FILTER_UNITS = 3;
const PACKET_UNITS = 20;

/** Runs `one` for each of n filters, then `done`; not at all any more once the connection is over. */
function take(c: Client, n: number, one: (i: number) => void, done: () => void): void {
  const { port } = c;
  let at = 0;
  const upto = (end: number) =>
    port.live.batch(() => {
      while (at < end) one(at++);
    });
  const { work } = port;
  const all = PACKET_UNITS + n * FILTER_UNITS;
  if (n <= FILTERS_AT_ONCE && !work.exhausted) {
    work.spend(all);
    upto(n);
    return done();
  }
  c.hold();
  c.clients.line.add((units) => {
    if (!c.isOpen) return true;
    upto(Math.min(n, at + Math.ceil(units / FILTER_UNITS)));
    if (at < n) return false;
    done();
    c.unhold();
    return true;
  }, all);
}

/** A connection subscribes, or has another subscription of a filter in place of the one before. */
export function setLive(
  c: Client,
  subscriptions: Map<string, LiveSubscription>,
  request: SubscriptionRequest,
): void {
  const { port } = c;
  const old = subscriptions.get(request.filter);
  const zeroOnly = c.persistent && request.qos > 0;
  const since = old?.since ?? port.clock.next();
  const s = { ...request, connection: c, zeroOnly, since };
  subscriptions.set(s.filter, s);
  addLive(port, s);
  if (old) replaceLive(port, old);
}

/** A connection's subscription joins the node's; the bytes of its filter count. */
function addLive(port: SessionPort, s: LiveSubscription): void {
  port.live.add(s);
  countFilter(port, s, s.filter.length);
}

export function removeLive(port: SessionPort, s: LiveSubscription): void {
  port.live.remove(s);
  countFilter(port, s, -s.filter.length);
}

/** A subscription takes the place of this one, of the same filter and connection. */
function replaceLive(port: SessionPort, s: LiveSubscription): void {
  // The member of a group is announced anew, and that replaces it.
  if (!isShared(s.filter)) port.live.remove(s);
  countFilter(port, s, -s.filter.length);
}

function countFilter({ counters, sys }: SessionPort, s: LiveSubscription, bytes: number): void {
  s.connection.filterBytes += bytes;
  counters.filterBytes += bytes;
  const change = Math.sign(bytes);
  counters.subscriptions += change;
  if (isShared(s.filter)) {
    countGroup(s, change);
    counters.sharedSubscriptions += change;
  } else if (isSys(s.filter)) sys.count(change);
}

function countGroup({ connection, filter }: LiveSubscription, change: number): void {
  connection.groups ??= new Map();
  const { groups } = connection;
  const topics = topicsOf(filter);
  const count = (groups.get(topics) ?? 0) + change;
  if (count === 0) groups.delete(topics);
  else groups.set(topics, count);
}

/** Of a Shared Subscription: the filter behind its share name. */
function topicsOf(filter: string): string {
  return filter.slice(filter.indexOf('/', SHARE_CHARACTERS) + 1);
}

/** The subscriptions of a connection that is over. */
export function dropAll(
  { port, line }: ClientsOfNode,
  subscriptions: Map<string, LiveSubscription>,
): void {
  const left = [...subscriptions.values()];
  const drop = (n: number) =>
    port.live.batch(() => {
      for (const s of left.splice(-n)) removeLive(port, s);
    });
  if (left.length <= FILTERS_AT_ONCE) return drop(left.length);
  line.add((units) => {
    drop(Math.ceil(units / FILTER_UNITS));
    return left.length === 0;
  });
}

/** A SUBSCRIBE under way. */
class Subscribing {
  readonly #c: Client;
  readonly #packet: Subscribe;
  readonly #codes: number[] = [];
  readonly #granted: SubscriptionRequest[] = [];
  /** Filters that the client was not subscribed to before. */
  readonly #fresh: string[] = [];
  readonly #wantsRetained: SubscriptionRequest[] = [];
  #retained: RetainedToClient | null = null;
  /** Of `$SYS`, which has its values at hand. */
  readonly #wantsSys: SubscriptionRequest[] = [];

  constructor(c: Client, packet: Subscribe) {
    this.#c = c;
    this.#packet = packet;
  }

  take(i: number): void {
    const c = this.#c;
    const request = this.#packet.subscriptions[i]!;
    const { maximumQos, retainAvailable } = c.options;
    const qos = Math.min(request.qos, maximumQos) as 0 | 1 | 2; // [MQTT-3.2.2-10]
    const code = check(c, request.filter, qos);
    this.#codes.push(code === 0 ? qos : code);
    if (code !== 0) return noteRefusal(c, code);
    const retainHandling = retainAvailable ? request.retainHandling : 2;
    const identifier = this.#packet.subscriptionIdentifier ?? 0;
    const s = { ...request, qos, retainHandling, identifier };
    const fresh = !c.subscriptions?.has(s.filter);
    // [MQTT-3.3.1-9, 3.3.1-10, 3.3.1-11]; none for a Shared Subscription (§3.8.3.1).
    const retained = !isShared(s.filter);
    if (retained && (s.retainHandling === 0 || (s.retainHandling === 1 && fresh))) {
      if (isSys(s.filter)) this.#wantsSys.push(s);
      else {
        this.#retained ??= expectRetained(c);
        this.#wantsRetained.push(s);
      }
    }
    this.#granted.push(s);
    if (fresh) this.#fresh.push(s.filter);
    c.setLive(s);
  }

  /** Every filter is taken: the session, the barrier, SUBACK, and what is retained. */
  finish(): void {
    const c = this.#c;
    const granted = this.#granted;
    if (granted.length === 0) return this.#acknowledge();
    const bytes = bytesOf(granted.map((s) => s.filter));
    begin(c, bytes);
    let left = c.persistent ? 2 : 1;
    const refuse = () => {
      left = 0;
      finish(c, bytes);
      if (c.isOpen) this.#refuse();
    };
    const one = () => {
      if (--left !== 0) return;
      c.clients.overdue.settled(refuse);
      finish(c, bytes);
      if (!c.isOpen) return;
      this.#acknowledge();
      if (this.#wantsSys.length > 0) c.clients.sys.send(c, this.#wantsSys);
      if (c.persistent) this.#retained?.leaderReads();
      else this.#retained?.read(this.#wantsRetained);
    };
    if (c.persistent) {
      c.clients.overdue.add(refuse, c.port.env.nowMs());
      c.clients.sessions.subscribe(c.clientId, c.epoch, granted, (ok) => {
        if (!ok) c.fenced();
        one();
      });
    }
    c.port.liveBarrier(one);
  }

  /**
   * No leader of the session's shard has answered. The request stays on its way there, so what undoes it
   * goes behind it.
   */
  #refuse(): void {
    const c = this.#c;
    const codes = this.#codes;
    for (let i = 0; i < codes.length; i++)
      if (codes[i]! < ReasonCode.UnspecifiedError) codes[i] = ReasonCode.UnspecifiedError;
    for (const filter of this.#fresh) c.dropLive(filter);
    if (this.#fresh.length > 0)
      c.clients.sessions.unsubscribe(c.clientId, c.epoch, this.#fresh, () => {});
    this.#acknowledge();
    this.#retained?.read([]);
  }

  #acknowledge(): void {
    const { version } = this.#c;
    const { packetId } = this.#packet;
    answer(this.#c, encodeSuback({ version, packetId, reasonCodes: this.#codes }));
  }
}

export function onSubscribe(c: Client, packet: Subscribe): void {
  const { options } = c;
  if (packet.subscriptionIdentifier !== undefined && !options.identifiersAvailable)
    return c.fail(ReasonCode.SubscriptionIdentifiersNotSupported, 'Subscription Identifier');
  // What CONNACK says is not there is a Protocol Error; before MQTT 5 the filter is refused.
  if (c.version === 5 && !(options.wildcardAvailable && options.sharedAvailable)) {
    for (const { filter } of packet.subscriptions) {
      const code = unavailable(options, filter);
      if (code !== 0) return c.fail(code, 'kind of subscription that is not available');
    }
  }
  const subscribing = new Subscribing(c, packet);
  const one = (i: number) => subscribing.take(i);
  take(c, packet.subscriptions.length, one, () => subscribing.finish());
}

function bytesOf(filters: readonly string[]): number {
  let bytes = REQUEST_BYTES;
  for (const filter of filters) bytes += filter.length;
  return bytes;
}

/** @returns 0, or the Reason Code for a kind of filter that the listener does not offer */
function unavailable(options: ServerOptions, filter: string): number {
  if (!options.sharedAvailable && isShared(filter))
    return ReasonCode.SharedSubscriptionsNotSupported;
  return !options.wildcardAvailable && hasWildcard(filter)
    ? ReasonCode.WildcardSubscriptionsNotSupported
    : 0;
}

function check(c: Client, filter: string, qos: number): number {
  const { counters, limits } = c.port;
  const { options } = c;
  const share = parseShare(filter);
  const own = typeof share === 'object' ? share.filter : filter;
  if (share === 'invalid' || !isTopicFilter(own) || exceedsLevels(own, options.topicLevels))
    return ReasonCode.TopicFilterInvalid;
  const refusal = unavailable(options, filter);
  if (refusal !== 0) return refusal;
  if (isOfCluster(own) || !(c.rights?.maySubscribe(own, qos) ?? true)) {
    counters.authorizationFailures++;
    return ReasonCode.NotAuthorized;
  }
  if (c.subscriptions?.has(filter)) return 0;
  if (share && (c.groups?.get(own) ?? 0) >= GROUPS_PER_FILTER_MAX) return ReasonCode.QuotaExceeded;
  const bytes = filter.length;
  const fits =
    (c.subscriptions?.size ?? 0) < options.subscriptions &&
    c.filterBytes + bytes <= limits.subscriptionBytesPerSession &&
    counters.filterBytes + bytes <= limits.nodeSubscriptionBytes;
  return fits ? 0 : ReasonCode.QuotaExceeded;
}

export function onUnsubscribe(c: Client, packet: Unsubscribe): void {
  const codes: number[] = [];
  const one = (i: number) => {
    const filter = packet.filters[i]!;
    // [MQTT-3.10.4-1]. The filter of a Shared Subscription may have more levels than others.
    if (c.dropLive(filter)) codes.push(ReasonCode.Success);
    else if (isTopicFilter(filter)) codes.push(ReasonCode.NoSubscriptionExisted);
    else codes.push(ReasonCode.TopicFilterInvalid);
  };
  const acknowledge = () => {
    const { version } = c;
    answer(c, encodeUnsuback({ version, packetId: packet.packetId, reasonCodes: codes }));
  };
  take(c, packet.filters.length, one, () => {
    if (!c.persistent) return acknowledge();
    const bytes = bytesOf(packet.filters);
    begin(c, bytes);
    c.clients.sessions.unsubscribe(c.clientId, c.epoch, packet.filters, (ok) => {
      finish(c, bytes);
      if (!ok) c.fenced();
      else if (c.isOpen) acknowledge();
    });
  });
}

/**
 * The subscriptions of a session that its client comes back to.
 *
 * @returns the task that restores the rest if there are many, and then reads what the client has sent
 */
export function restore(
  c: Client,
  subscriptions: readonly SubscriptionRequest[],
): ((units: number) => boolean) | null {
  let at = 0;
  const more = (n: number) =>
    c.port.live.batch(() => {
      for (const s of subscriptions.slice(at, at + n)) c.setLive(s);
      at += n;
    });
  more(FILTERS_AT_ONCE);
  if (at >= subscriptions.length) return null;
  return (units) => {
    if (!c.isOpen) return true;
    more(Math.ceil(units / FILTER_UNITS));
    if (at < subscriptions.length) return false;
    c.unhold();
    return true;
  };
}
