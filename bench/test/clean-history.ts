import type { HistoryEvent, MessageId } from '../src/chaos/history.ts';
import { filterMatches } from '../src/chaos/history.ts';

/** One step of a {@link cleanHistory}; `which` chooses among what is possible. */
export interface Step {
  readonly op: 'publish' | 'ack' | 'deliver' | 'redeliver' | 'hop' | 'subscribe' | 'unsubscribe';
  readonly which: number;
}

export const PUBLISHERS = ['pub-0', 'pub-1'] as const;
export const SUBSCRIBERS = ['sub-0', 'sub-1', 'sub-2'] as const;
const TOPICS = ['a/x', 'a/y', 'b'] as const;
const FILTERS = ['a/#', 'a/+', 'b', '#'] as const;

interface Reader {
  readonly client: string;
  readonly queue: { message: MessageId; qos: 1 | 2 }[];
  readonly filters: Map<string, 1 | 2>;
  last: (HistoryEvent & { type: 'received' }) | undefined;
  packetId: number;
}

/**
 * The history of a broker that does everything right, built from arbitrary steps: queues in order,
 * late acknowledgements, repeats at QoS 1, resent QoS 2 packets, hops, subscriptions that change.
 */
export function cleanHistory(steps: readonly Step[]): HistoryEvent[] {
  const broker = new FlawlessBroker();
  for (const step of steps) broker.take(step);
  return broker.finish();
}

class FlawlessBroker {
  readonly #events: HistoryEvent[] = [];
  readonly #next = new Map<string, number>();
  readonly #unacked: { client: string; message: MessageId }[] = [];
  readonly #readers: Reader[] = SUBSCRIBERS.map((client) => ({
    client,
    queue: [],
    filters: new Map(),
    last: undefined,
    packetId: 0,
  }));

  constructor() {
    for (const client of [...PUBLISHERS, ...SUBSCRIBERS]) this.#connect(client, 'n1', false);
    for (const reader of this.#readers.slice(0, 2)) this.#subscribe(reader, '#', 2);
  }

  take({ op, which }: Step): void {
    const reader = this.#readers[which % this.#readers.length] as Reader;
    if (op === 'publish') this.#publish(which);
    else if (op === 'ack') this.#ack();
    else if (op === 'deliver') this.#deliver(reader);
    else if (op === 'redeliver' && reader.last) {
      this.#events.push({ ...reader.last, dup: true, isNew: reader.last.qos === 1 });
    } else if (op === 'hop') {
      const { client } = reader;
      this.#events.push({ type: 'disconnected', client, node: 'n1', how: 'abrupt' });
      this.#connect(client, 'n2', true);
    } else if (op === 'subscribe') {
      this.#subscribe(reader, FILTERS[which % 4] as string, which % 2 === 0 ? 1 : 2);
    } else if (op === 'unsubscribe' && reader === this.#readers[2]) this.#unsubscribe(reader);
  }

  /** Acknowledges and delivers what is left. */
  finish(): HistoryEvent[] {
    while (this.#unacked.length > 0) this.#ack();
    for (const reader of this.#readers) while (reader.queue.length > 0) this.#deliver(reader);
    return this.#events;
  }

  #connect(client: string, node: string, sessionPresent: boolean): void {
    this.#events.push({ type: 'connect-sent', client, node, cleanStart: false });
    this.#events.push({ type: 'connected', client, node, cleanStart: false, sessionPresent });
  }

  #subscribe(reader: Reader, filter: string, qos: 1 | 2): void {
    const { client } = reader;
    // Filters of one session do not overlap, as in the harness's own workload.
    if (reader.filters.size > 0) return;
    this.#events.push({ type: 'subscribe-sent', client, filter, qos });
    this.#events.push({ type: 'subscribed', client, filter, granted: qos });
    reader.filters.set(filter, qos);
  }

  /** What was queued before stays queued, as the checker wants it. */
  #unsubscribe({ client, filters }: Reader): void {
    for (const filter of filters.keys()) {
      this.#events.push({ type: 'unsubscribe-sent', client, filter });
      this.#events.push({ type: 'unsubscribed', client, filter });
    }
    filters.clear();
  }

  #publish(which: number): void {
    const client = PUBLISHERS[which % 2] as string;
    const topic = TOPICS[which % 3] as string;
    const qos = which % 5 < 2 ? 1 : 2;
    const lane = `${client}${topic}${qos}`;
    const seq = this.#next.get(lane) ?? 0;
    this.#next.set(lane, seq + 1);
    const message: MessageId = { publisher: client, topic, qos, seq };
    this.#events.push({ type: 'publish-sent', client, message, packetId: seq + 1, dup: false });
    this.#unacked.push({ client, message });
    for (const reader of this.#readers) {
      for (const [filter, granted] of reader.filters) {
        if (!filterMatches(filter, topic)) continue;
        reader.queue.push({ message, qos: Math.min(granted, qos) as 1 | 2 });
        break;
      }
    }
  }

  #ack(): void {
    const first = this.#unacked.shift();
    if (first) this.#events.push({ type: 'publish-acked', ...first, reasonCode: 0 });
  }

  #deliver(reader: Reader): void {
    const head = reader.queue.shift();
    if (!head) return;
    const how = { dup: false, retain: false, packetId: ++reader.packetId, isNew: true };
    reader.last = { type: 'received', client: reader.client, ...head, ...how };
    this.#events.push(reader.last);
  }
}
