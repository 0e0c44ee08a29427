import type { Message } from './operation.ts';

/** What a message costs in memory beyond its parts, about. */
const MESSAGE_OVERHEAD_BYTES = 128;

/** What a message counts wherever bytes are bounded; equal on every node. */
export function messageBytes(m: Message): number {
  return (
    MESSAGE_OVERHEAD_BYTES +
    m.topic.length +
    m.payload.length +
    m.properties.length +
    m.publisher.length
  );
}
