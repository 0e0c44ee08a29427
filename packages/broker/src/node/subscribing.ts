/** SUBSCRIBE and UNSUBSCRIBE of a connection. */
import { encodeSuback, encodeUnsuback } from '../mqtt/codec.ts';
import type { Subscribe, Unsubscribe } from '../mqtt/packet.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { exceedsLevels, isTopicFilter, parseShare } from '../mqtt/topic.ts';
import type { SubscriptionRequest } from '../session/operation.ts';
import type { Connection } from './connection.ts';
import { answer, begin, finish, REQUEST_BYTES } from './reading.ts';
import { expectRetained } from './retained-sending.ts';

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
  const acknowledge = () => {
    const { version } = c;
    answer(c, encodeSuback({ version, packetId: packet.packetId, reasonCodes: codes }));
  };
  if (granted.length === 0) return acknowledge();
  const bytes = bytesOf(granted.map((s) => s.filter));
  begin(c, bytes);
  const retained = wantsRetained.length > 0 ? expectRetained(c) : null;
  c.gateway.changeLive(() => {
    for (const s of granted) c.setLive(s);
  });
  let left = c.persistent ? 2 : 1;
  const one = () => {
    if (--left > 0) return;
    finish(c, bytes);
    if (!c.isOpen) return;
    acknowledge();
    if (!retained) return;
    if (c.persistent) retained.leaderReads();
    else retained.read(wantsRetained);
  };
  if (c.persistent)
    c.gateway.subscribeSession(c.clientId, c.epoch, granted, (ok) => {
      if (!ok) c.fenced();
      one();
    });
  c.gateway.liveBarrier(one);
}

function bytesOf(filters: readonly string[]): number {
  let bytes = REQUEST_BYTES;
  for (const filter of filters) bytes += filter.length;
  return bytes;
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

export function onUnsubscribe(c: Connection, packet: Unsubscribe): void {
  const codes: number[] = [];
  c.gateway.changeLive(() => {
    for (const filter of packet.filters)
      codes.push(
        !isTopicFilter(filter)
          ? ReasonCode.TopicFilterInvalid
          : c.dropLive(filter)
            ? ReasonCode.Success
            : ReasonCode.NoSubscriptionExisted,
      );
  });
  const acknowledge = () => {
    const { version } = c;
    answer(c, encodeUnsuback({ version, packetId: packet.packetId, reasonCodes: codes }));
  };
  if (!c.persistent) return acknowledge();
  const bytes = bytesOf(packet.filters);
  begin(c, bytes);
  c.gateway.unsubscribeSession(c.clientId, c.epoch, packet.filters, (ok) => {
    finish(c, bytes);
    if (!ok) c.fenced();
    else if (c.isOpen) acknowledge();
  });
}
