import type { Context } from './context.ts';
import { EventDelivery } from './event-delivery.ts';
import { Notices } from './notices.ts';
import { Outbox } from './outbox.ts';
import { Timers } from './timers.ts';

/** What membership, prober and exchange work with: the shared state, and what acts on the outside. */
export interface Parts {
  readonly context: Context;
  readonly timers: Timers;
  readonly outbox: Outbox;
  readonly notices: Notices;
  readonly delivery: EventDelivery;
}

export function partsOf(context: Context): Parts {
  const timers = new Timers(context);
  const outbox = new Outbox(context, timers);
  const notices = new Notices(context);
  return { context, timers, outbox, notices, delivery: new EventDelivery(context, outbox) };
}
