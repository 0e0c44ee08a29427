import type { Context } from './context.ts';
import type { UserEvent } from './event-codec.ts';
import type { Outbox } from './outbox.ts';

/** Hands user events to the owner, each once, and has them told to others. */
export class EventDelivery {
  readonly #context: Context;
  readonly #outbox: Outbox;

  constructor(context: Context, outbox: Outbox) {
    this.#context = context;
    this.#outbox = outbox;
  }

  /** Takes in what came along with a message. */
  hear(records: readonly Uint8Array[]): void {
    const { events, members, counters, nowMs, memberSinceMs } = this.#context;
    const isMember = (name: string, bootEpoch: number): boolean =>
      members.get(name)?.bootEpoch === bootEpoch;
    for (const record of records) {
      const received = events.receive(record, nowMs, memberSinceMs, isMember);
      if (received === 'malformed') counters.malformed++;
      else if (received === 'refused') counters.eventsRefused++;
      else if (received !== 'seen') this.deliver(received);
    }
  }

  /** Hands over an event that is new here, and passes it on. */
  deliver(event: UserEvent): void {
    const { counters, events } = this.#context;
    counters.events++;
    counters.eventsDropped = events.dropped;
    this.#context.emit({ type: 'user-event', event });
    this.#outbox.armGossip();
  }
}
