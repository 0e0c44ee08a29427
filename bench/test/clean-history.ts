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
  const events: HistoryEvent[] = [];
  const next = new Map<string, number>();
  const unacked: { client: string; message: MessageId }[] = [];
  const readers: Reader[] = SUBSCRIBERS.map((client) => ({
    client,
    queue: [],
    filters: new Map(),
    last: undefined,
    packetId: 0,
  }));

  const connect = (client: string, node: string, sessionPresent: boolean): void => {
    events.push({ type: 'connect-sent', client, node, cleanStart: false });
    events.push({ type: 'connected', client, node, cleanStart: false, sessionPresent });
  };
  const subscribe = (reader: Reader, filter: string, qos: 1 | 2): void => {
    const { client } = reader;
    // Filters of one session do not overlap, as in the harness's own workload.
    if (reader.filters.size > 0) return;
    events.push({ type: 'subscribe-sent', client, filter, qos });
    events.push({ type: 'subscribed', client, filter, granted: qos });
    reader.filters.set(filter, qos);
  };
  const publish = (which: number): void => {
    const client = PUBLISHERS[which % 2] as string;
    const topic = TOPICS[which % 3] as string;
    const qos = which % 5 < 2 ? 1 : 2;
    const lane = `${client}${topic}${qos}`;
    const seq = next.get(lane) ?? 0;
    next.set(lane, seq + 1);
    const message: MessageId = { publisher: client, topic, qos, seq };
    events.push({ type: 'publish-sent', client, message, packetId: seq + 1, dup: false });
    unacked.push({ client, message });
    for (const reader of readers) {
      for (const [filter, granted] of reader.filters) {
        if (!filterMatches(filter, topic)) continue;
        reader.queue.push({ message, qos: Math.min(granted, qos) as 1 | 2 });
        break;
      }
    }
  };
  const ack = (): void => {
    const first = unacked.shift();
    if (first) events.push({ type: 'publish-acked', ...first, reasonCode: 0 });
  };
  const deliver = (reader: Reader): void => {
    const head = reader.queue.shift();
    if (!head) return;
    const how = { dup: false, retain: false, packetId: ++reader.packetId, isNew: true };
    reader.last = { type: 'received', client: reader.client, ...head, ...how };
    events.push(reader.last);
  };

  for (const client of [...PUBLISHERS, ...SUBSCRIBERS]) connect(client, 'n1', false);
  for (const reader of readers.slice(0, 2)) subscribe(reader, '#', 2);
  for (const { op, which } of steps) {
    const reader = readers[which % readers.length] as Reader;
    if (op === 'publish') publish(which);
    else if (op === 'ack') ack();
    else if (op === 'deliver') deliver(reader);
    else if (op === 'redeliver' && reader.last) {
      events.push({ ...reader.last, dup: true, isNew: reader.last.qos === 1 });
    } else if (op === 'hop') {
      events.push({ type: 'disconnected', client: reader.client, node: 'n1', how: 'abrupt' });
      connect(reader.client, 'n2', true);
    } else if (op === 'subscribe') {
      subscribe(reader, FILTERS[which % 4] as string, which % 2 === 0 ? 1 : 2);
    } else if (op === 'unsubscribe' && reader === readers[2]) {
      for (const filter of reader.filters.keys()) {
        events.push({ type: 'unsubscribe-sent', client: reader.client, filter });
        events.push({ type: 'unsubscribed', client: reader.client, filter });
      }
      // What was queued before stays queued, as the checker wants it.
      reader.filters.clear();
    }
  }
  while (unacked.length > 0) ack();
  for (const reader of readers) while (reader.queue.length > 0) deliver(reader);
  return events;
}
