/** Topic Aliases that a connection has defined, and what they weigh. */

import type { Counters } from '../../counters.ts';
import { MalformedPacket } from '../../mqtt/packet-error.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';

/** Characters of the topics that one connection's aliases stand for; beyond, it is disconnected (0x97). */
export const ALIAS_CHARACTERS_MAX = 256 * 1024;
/** The same of all connections of a node; beyond, each may have far fewer. */
export const NODE_ALIAS_CHARACTERS_MAX = 64 * 1024 * 1024;
/** Of one connection where all together have too many. */
export const CROWDED_ALIAS_CHARACTERS_MAX = 16 * 1024;

export class Aliases {
  readonly #counters: Pick<Counters, 'aliasCharacters'>;
  readonly #topics = new Map<number, string>();
  #characters = 0;

  constructor(counters: Pick<Counters, 'aliasCharacters'>) {
    this.#counters = counters;
  }

  /** @throws MalformedPacket with 0x97 where that is more than the connection may have */
  set(alias: number, topic: string): void {
    const more = topic.length - (this.#topics.get(alias)?.length ?? 0);
    const crowded = this.#counters.aliasCharacters + more > NODE_ALIAS_CHARACTERS_MAX;
    const most = crowded ? CROWDED_ALIAS_CHARACTERS_MAX : ALIAS_CHARACTERS_MAX;
    if (more > 0 && this.#characters + more > most)
      throw new MalformedPacket(ReasonCode.QuotaExceeded, 'Topic Aliases for too long topics');
    this.#count(more);
    this.#topics.set(alias, topic);
  }

  get(alias: number): string | undefined {
    return this.#topics.get(alias);
  }

  /** The connection is over. */
  clear(): void {
    this.#topics.clear();
    this.#count(-this.#characters);
  }

  #count(change: number): void {
    this.#characters += change;
    this.#counters.aliasCharacters += change;
  }
}
