/** The newest live message of each topic, while retained copies are on their way to the same client. */
import type { Message } from '../session/operation.ts';
import { keyOf } from '../session/retained.ts';

/**
 * Topics with a live message since a SUBSCRIBE that are remembered while its retained messages are read;
 * of further ones an older retained copy may come after a newer live message.
 */
export const WATCHED_TOPICS_MAX = 65_536;

export class TopicWatch {
  /** Key of a topic → clock of its newest live message. */
  readonly #seen = new Map<number, number>();

  saw({ topic, hlc }: Message): void {
    const key = keyOf(topic);
    const held = this.#seen.get(key);
    if (held === undefined ? this.#seen.size < WATCHED_TOPICS_MAX : hlc > held)
      this.#seen.set(key, hlc);
  }

  /** A live message of the topic that is as new as this copy, or newer, has come. */
  outdates({ topic, hlc }: Message): boolean {
    if (this.#seen.size === 0) return false;
    return (this.#seen.get(keyOf(topic)) ?? -1) >= hlc;
  }
}
