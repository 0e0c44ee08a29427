/**
 * Topic Aliases that the server defines for one client (§3.3.2.3.4): for the topics that the client is sent
 * most, as far as an alias saves bytes and the client allows it.
 *
 * A topic gets an alias with its second message. Once all are given away, a topic takes that of the least
 * used one as soon as it has come more often. Counts are halved from time to time, so that topics which are
 * no longer sent give way.
 */
import type { Counters } from '../../counters.ts';
import { NODE_ALIAS_CHARACTERS_MAX } from './aliases.ts';

/** A shorter topic takes no more bytes than the property that stands for it. */
const TOPIC_CHARACTERS_MIN = 5;
/** Topics without an alias whose messages to one client are counted; beyond, counting starts anew. */
const COUNTED_TOPICS_MAX = 64;
/** Characters of all those topics of one connection; longer topics are sent whole. */
const SENT_ALIAS_CHARACTERS_MAX = 32 * 1024;

interface Sent {
  readonly topic: string;
  readonly alias: number;
  uses: number;
}

export class SentAliases {
  readonly #most: number;
  readonly #counters: Pick<Counters, 'aliasCharacters'>;
  readonly #aliased = new Map<string, Sent>();
  /** Messages so far of topics without an alias. */
  readonly #counted = new Map<string, number>();
  /** Of aliases given back. */
  readonly #free: number[] = [];
  #characters = 0;

  /** @param most Topic Alias Maximum of the client, or fewer */
  constructor(most: number, counters: Pick<Counters, 'aliasCharacters'>) {
    this.#most = most;
    this.#counters = counters;
  }

  /**
   * A message with this topic goes out.
   *
   * @returns the alias that stands for it; negated if the message is to define it; 0 for none
   */
  of(topic: string): number {
    const known = this.#aliased.get(topic);
    if (known) {
      known.uses++;
      return known.alias;
    }
    if (topic.length < TOPIC_CHARACTERS_MIN) return 0;
    const uses = (this.#counted.get(topic) ?? 0) + 1;
    if (uses === 1) this.#begin(topic);
    return uses === 1 ? 0 : 0 - this.#define(topic, uses);
  }

  /** The message that was to define the topic's alias has not gone out. */
  forget(topic: string): void {
    const sent = this.#aliased.get(topic);
    if (!sent) return;
    this.#free.push(sent.alias);
    this.#drop(sent);
  }

  /** The connection is over. */
  clear(): void {
    this.#aliased.clear();
    this.#counted.clear();
    this.#count(-this.#characters);
  }

  #begin(topic: string): void {
    const { length } = topic;
    if (!this.#fits(length)) this.#age();
    if (!this.#fits(length)) return;
    this.#counted.set(topic, 1);
    this.#count(length);
  }

  #fits(characters: number): boolean {
    return (
      this.#counted.size < COUNTED_TOPICS_MAX &&
      this.#characters + characters <= SENT_ALIAS_CHARACTERS_MAX &&
      this.#counters.aliasCharacters + characters <= NODE_ALIAS_CHARACTERS_MAX
    );
  }

  #age(): void {
    for (const topic of this.#counted.keys()) this.#count(-topic.length);
    this.#counted.clear();
    for (const sent of this.#aliased.values()) sent.uses >>= 1;
  }

  /** @returns its alias, or 0 if those with one are all used more */
  #define(topic: string, uses: number): number {
    const alias = this.#take(uses);
    if (alias === 0) {
      this.#counted.set(topic, uses);
      return 0;
    }
    this.#counted.delete(topic);
    this.#aliased.set(topic, { topic, alias, uses });
    return alias;
  }

  #take(uses: number): number {
    if (this.#aliased.size < this.#most) return this.#free.pop() ?? this.#aliased.size + 1;
    let least: Sent | undefined;
    for (const sent of this.#aliased.values()) if (!least || sent.uses < least.uses) least = sent;
    if (!least || least.uses >= uses) return 0;
    this.#drop(least);
    return least.alias;
  }

  #drop(sent: Sent): void {
    this.#aliased.delete(sent.topic);
    this.#count(-sent.topic.length);
  }

  #count(change: number): void {
    this.#characters += change;
    this.#counters.aliasCharacters += change;
  }
}
