/** The newest live message of each topic, while retained copies are on their way to the same client. */
import type { Message } from '../../session/message.ts';
import { keyOf } from '../../session/retained.ts';

/**
 * Topics with a live message since a SUBSCRIBE that are remembered while its retained messages are read;
 * of further ones an older retained copy may come after a newer live message.
 */
export const WATCHED_TOPICS_MAX = 65_536;
/** Of a session without a connection, whose retained messages are read on when it has one again. */
export const AWAY_WATCHED_TOPICS_MAX = 1024;
/** Of all clients of a node together. */
export const NODE_WATCHED_TOPICS_MAX = 1_000_000;

/** How many topics all clients of a node have remembered. */
export class WatchedTopics {
  count = 0;
}

export class TopicWatch {
  readonly #node: WatchedTopics;
  /** Key of a topic → clock of its newest live message. */
  readonly #seen = new Map<number, number>();

  constructor(node: WatchedTopics) {
    this.#node = node;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** @param most topics to remember */
  saw({ topic, hlc }: Message, most = WATCHED_TOPICS_MAX): void {
    const key = keyOf(topic);
    const held = this.#seen.get(key);
    if (held === undefined) {
      if (this.#seen.size >= most || this.#node.count >= NODE_WATCHED_TOPICS_MAX) return;
      this.#node.count++;
    } else if (held >= hlc) return;
    this.#seen.set(key, hlc);
  }

  /** A live message of the topic that is as new as this copy, or newer, has come. */
  outdates({ topic, hlc }: Message): boolean {
    if (this.#seen.size === 0) return false;
    return (this.#seen.get(keyOf(topic)) ?? -1) >= hlc;
  }

  clear(): void {
    this.#node.count -= this.#seen.size;
    this.#seen.clear();
  }
}
