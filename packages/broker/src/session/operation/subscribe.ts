/** SUB and UNSUB: a session's subscriptions. */
import { list, str, typed, varint } from '../../fields.ts';
import { isShared } from '../../mqtt/topic.ts';
import { wantRetained } from '../retaining-state.ts';
import type { Subscription } from '../session.ts';
import { readSubscription, type SubscriptionRequest, writeSubscription } from '../subscription.ts';
import type { Kind } from './kind.ts';

export interface Subscribe {
  readonly type: 'sub';
  readonly clientId: string;
  readonly epoch: number;
  readonly subscriptions: readonly SubscriptionRequest[];
}

export const subscribe: Kind<Subscribe> = {
  ...typed<Subscribe>('sub', {
    clientId: str,
    epoch: varint,
    subscriptions: list({ write: writeSubscription, read: readSubscription }),
  }),

  apply(state, op, index) {
    const s = state.current(op.clientId, op.epoch);
    if (!s) return false;
    s.subscriptions ??= new Map();
    const wanting: string[] = [];
    for (const request of op.subscriptions) {
      const old = s.subscriptions.get(request.filter);
      const sub: Subscription = { ...request, session: s, since: old?.since ?? state.hlc };
      if (!old) state.bytes.addFilter(request.filter.length);
      // [MQTT-3.8.4-3] Add before remove, so that a replaced subscription never leaves the route.
      s.subscriptions.set(request.filter, sub);
      state.addSubscription(sub);
      if (old) state.removeSubscription(old);
      // [MQTT-3.3.1-9, 3.3.1-10, 3.3.1-11]; no retained messages for a Shared Subscription (§3.8.3.1).
      if (isShared(request.filter)) continue;
      if (request.retainHandling === 0 || (request.retainHandling === 1 && !old))
        wanting.push(request.filter);
    }
    wantRetained(s, wanting, index);
    return false;
  },
};

export interface Unsubscribe {
  readonly type: 'unsub';
  readonly clientId: string;
  readonly epoch: number;
  readonly filters: readonly string[];
}

export const unsubscribe: Kind<Unsubscribe> = {
  ...typed<Unsubscribe>('unsub', { clientId: str, epoch: varint, filters: list(str) }),

  apply(state, op) {
    const s = state.current(op.clientId, op.epoch);
    for (const filter of op.filters) {
      const sub = s?.subscriptions?.get(filter); // [MQTT-3.10.4-1]
      if (!s || !sub) continue;
      s.subscriptions!.delete(filter);
      state.bytes.addFilter(-filter.length);
      state.removeSubscription(sub);
    }
    if (s?.subscriptions?.size === 0) s.subscriptions = null;
    return false;
  },
};
