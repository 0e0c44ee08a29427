/** The subscriptions of a kept session, on the connection that has it now. */
import type { SubscriptionRequest } from '../../session/subscription.ts';
import type { Client } from './parts.ts';
import { FILTER_UNITS, FILTERS_AT_ONCE } from './subscribing.ts';

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
