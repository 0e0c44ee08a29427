/** SUBSCRIBE and UNSUBSCRIBE of a connection. */
import { encodeSuback, encodeUnsuback } from '../mqtt/codec.ts';
import type { Subscribe, Unsubscribe } from '../mqtt/packet.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { exceedsLevels, isTopicFilter, matches, parseShare } from '../mqtt/topic.ts';
import type { SubscriptionRequest } from '../session/operation.ts';
import type { Connection } from './connection.ts';
import type { RetainedItem } from './context.ts';

export function onSubscribe(c: Connection, packet: Subscribe): void {
  const codes: number[] = [];
  const granted: SubscriptionRequest[] = [];
  const fresh = new Set<string>();
  let freshBytes = 0;
  for (const s of packet.subscriptions) {
    const code = check(c, s.filter, granted.length, freshBytes);
    codes.push(code === 0 ? s.qos : code);
    if (code !== 0) continue;
    if (!c.subscriptions?.has(s.filter)) {
      fresh.add(s.filter);
      freshBytes += s.filter.length;
    }
    granted.push({ ...s, identifier: packet.subscriptionIdentifier ?? 0 });
  }
  const wantsRetained = granted.filter(
    (s) => s.retainHandling === 0 || (s.retainHandling === 1 && fresh.has(s.filter)),
  );
  const answer = () => {
    if (!c.isOpen) return;
    const { version } = c;
    c.write(encodeSuback({ version, packetId: packet.packetId, reasonCodes: codes }));
  };
  if (granted.length === 0) return answer();
  const live = new LiveTopics(c, wantsRetained);
  for (const s of granted) c.setLive(s);
  if (!c.persistent) {
    c.gateway.liveBarrier(() => live.read(answer));
    return;
  }
  c.gateway.subscribeSession(c.clientId, c.epoch, granted, (ok) => {
    if (!ok) return c.fenced();
    c.gateway.liveBarrier(() => live.read(answer));
  });
}

function check(c: Connection, filter: string, granted: number, grantedBytes: number): number {
  if (filter.startsWith('$share/') && parseShare(filter) !== undefined)
    return ReasonCode.SharedSubscriptionsNotSupported;
  const { counters, limits } = c.gateway;
  if (!isTopicFilter(filter) || exceedsLevels(filter, limits.topicLevels))
    return ReasonCode.TopicFilterInvalid;
  if (c.subscriptions?.has(filter)) return 0;
  const held = c.subscriptions?.size ?? 0;
  const bytes = grantedBytes + filter.length;
  const fits =
    held + granted < limits.subscriptionsPerSession &&
    c.filterBytes + bytes <= limits.subscriptionBytesPerSession &&
    counters.filterBytes + bytes <= limits.nodeSubscriptionBytes;
  return fits ? 0 : ReasonCode.QuotaExceeded;
}

/** The retained messages that a connection gets by itself: all of a live session's, QoS 0 of any. */
class LiveTopics {
  readonly #c: Connection;
  readonly #filters: readonly SubscriptionRequest[];

  constructor(c: Connection, filters: readonly SubscriptionRequest[]) {
    this.#c = c;
    this.#filters = filters;
    if (filters.length > 0) c.startWatching();
  }

  read(done: () => void): void {
    if (this.#filters.length === 0) return done();
    const filters = this.#filters.map((s) => s.filter);
    this.#c.gateway.queryRetained(filters, '', (items) => {
      for (const item of items) this.#deliver(item);
      this.#c.stopWatching();
      done();
    });
  }

  /** A copy of a topic that has had a live message meanwhile is stale: the newer ones came live. */
  #deliver(item: RetainedItem): void {
    const c = this.#c;
    const { message } = item;
    if (c.sawLive(message.topic)) return;
    if (message.expiresAtMs > 0 && message.expiresAtMs <= c.gateway.wallMs()) return;
    let qos = -1;
    const identifiers: number[] = [];
    for (const s of this.#filters) {
      if (!matches(s.filter, message.topic)) continue;
      qos = Math.max(qos, Math.min(s.qos, message.qos));
      if (s.identifier > 0) identifiers.push(s.identifier);
    }
    if (qos < 0 || (c.persistent && qos > 0)) return;
    c.deliverLive(message, qos as 0 | 1 | 2, true, identifiers, { frames: [] });
  }
}

export function onUnsubscribe(c: Connection, packet: Unsubscribe): void {
  const codes = packet.filters.map((filter) =>
    !isTopicFilter(filter)
      ? ReasonCode.TopicFilterInvalid
      : c.dropLive(filter)
        ? ReasonCode.Success
        : ReasonCode.NoSubscriptionExisted,
  );
  const answer = () => {
    if (!c.isOpen) return;
    const { version } = c;
    c.write(encodeUnsuback({ version, packetId: packet.packetId, reasonCodes: codes }));
  };
  if (!c.persistent) return answer();
  c.gateway.unsubscribeSession(c.clientId, c.epoch, packet.filters, (ok) =>
    ok ? answer() : c.fenced(),
  );
}
