/** What a node was not sent while it did not answer: by topics, or everything. */

import type { Message } from '../../session/message.ts';
import type { MissedMessages } from '../link/missed-messages.ts';

/** Topics that a LiveGap names; beyond, it says that messages of any topic were missed. */
export const GAP_TOPICS_MAX = 1000;
/** Characters of those topics together; beyond, the same. */
export const GAP_CHARACTERS_MAX = 64 * 1024;

export class Gap {
  readonly #topics = new Set<string>();
  #characters = 0;
  #everything = false;
  #hlc = 0;
  /** Rises with every message that was left out. */
  count = 0;
  /** What had been published when the node's filters were forgotten, while they are not known. */
  #forgottenAt = -1;

  add({ topic, hlc }: Message): void {
    this.#note(topic);
    if (hlc > this.#hlc) this.#hlc = hlc;
  }

  #note(topic: string): void {
    this.count++;
    if (this.#everything || this.#topics.has(topic)) return;
    this.#topics.add(topic);
    this.#characters += topic.length;
    if (this.#topics.size > GAP_TOPICS_MAX || this.#characters > GAP_CHARACTERS_MAX) this.#all();
  }

  #all(): void {
    this.#everything = true;
    this.#topics.clear();
  }

  addAll(other: Gap): void {
    for (const topic of other.#topics) this.#note(topic);
    if (other.#everything) this.#all();
    if (other.#hlc > this.#hlc) this.#hlc = other.#hlc;
  }

  /** The node's filters are not known: from now on it misses every message that is published. */
  forget(published: number): void {
    if (this.#forgottenAt < 0) this.#forgottenAt = published;
  }

  get forgotten(): boolean {
    return this.#forgottenAt >= 0;
  }

  /** What the node wants is known again. */
  learn(published: number, hlc: number): void {
    const unseen = this.forgotten ? published - this.#forgottenAt : 0;
    this.#forgottenAt = -1;
    if (unseen === 0) return;
    this.count += unseen;
    this.#all();
    if (hlc > this.#hlc) this.#hlc = hlc;
  }

  get missed(): MissedMessages {
    return { everything: this.#everything, topics: [...this.#topics], hlc: this.#hlc };
  }
}
