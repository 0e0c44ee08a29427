/** The retained messages of a shard's topics, and when topics were last cleared. */
import type { Reader, Writer } from '../bytes.ts';
import type { TopicIndex } from '../mqtt/topic-index.ts';
import { hash32 } from '../placement/hash.ts';

/** Deleted retained messages whose clock is remembered, per shard; beyond, the oldest is forgotten. */
export const TOMBSTONES_MAX = 256;

/** A topic's retained message: the log entry that holds it, and when it was published. */
interface Retained {
  readonly index: number;
  readonly hlc: number;
  /** Wall-clock milliseconds, 0 = never. */
  readonly expiresAtMs: number;
}

/** 53 bits of hash: as many as a number holds exactly. */
export function keyOf(topic: string): number {
  return hash32(topic) * 2 ** 21 + (hash32(topic, 1) >>> 11);
}

export class RetainedMessages {
  readonly #messages = new Map<string, Retained>();
  /**
   * {@link keyOf} a topic → clock of its deletion, oldest first: what was published before must not come
   * back. By hash, so that long topics cost no memory; of two with one key the later deletion counts.
   */
  readonly #tombstones = new Map<number, number>();
  /** The topics that have a message, among those of the node's other shards. */
  readonly topics: TopicIndex;

  /** @param topics to be kept: one index for all shards of a node, so that one search finds all */
  constructor(topics: TopicIndex) {
    this.topics = topics;
  }

  /** Messages that expire some time. */
  #expiring = 0;

  get size(): number {
    return this.#messages.size;
  }

  has(topic: string): boolean {
    return this.#messages.has(topic);
  }

  /** @returns the log index of the topic's message, 0 if it has none */
  indexOf(topic: string): number {
    return this.#messages.get(topic)?.index ?? 0;
  }

  /** When the topic's message was last written or deleted; 0 if that is not known. */
  hlcOf(topic: string): number {
    return this.#messages.get(topic)?.hlc ?? this.#tombstones.get(keyOf(topic)) ?? 0;
  }

  /** Log indexes of all messages. */
  *indexes(): Generator<number> {
    for (const { index } of this.#messages.values()) yield index;
  }

  /** @returns the log index of the message that was replaced, 0 if there was none */
  set(topic: string, index: number, hlc: number, expiresAtMs: number): number {
    const old = this.#forget(topic);
    if (expiresAtMs > 0) this.#expiring++;
    this.#tombstones.delete(keyOf(topic));
    if (old === 0) this.topics.add(topic);
    this.#messages.set(topic, { index, hlc, expiresAtMs });
    return old;
  }

  /** @returns the log index of the message that was deleted, 0 if there was none */
  delete(topic: string, hlc: number): number {
    const old = this.#forget(topic);
    if (old !== 0) this.topics.delete(topic);
    this.#tombstones.delete(keyOf(topic));
    this.#bury(topic, hlc);
    return old;
  }

  /**
   * The message has expired: it leaves nothing behind, so that many do not push out what is remembered
   * of deletions. A newer one stays.
   *
   * @returns the log index of the message that is gone, 0 if there was none
   */
  expire(topic: string, hlc: number): number {
    const held = this.#messages.get(topic);
    if (!held || held.hlc > hlc) return 0;
    this.topics.delete(topic);
    return this.#forget(topic);
  }

  #forget(topic: string): number {
    const held = this.#messages.get(topic);
    if (!held) return 0;
    if (held.expiresAtMs > 0) this.#expiring--;
    this.#messages.delete(topic);
    return held.index;
  }

  /** Topics whose message has expired, with its clock. */
  *expired(wallMs: number): Generator<readonly [topic: string, hlc: number]> {
    if (this.#expiring === 0) return;
    for (const [topic, { hlc, expiresAtMs }] of this.#messages)
      if (expiresAtMs > 0 && expiresAtMs <= wallMs) yield [topic, hlc];
  }

  #bury(topic: string, hlc: number): void {
    this.#tombstones.set(keyOf(topic), hlc);
    if (this.#tombstones.size <= TOMBSTONES_MAX) return;
    for (const oldest of this.#tombstones.keys()) {
      this.#tombstones.delete(oldest);
      return;
    }
  }

  clear(): void {
    for (const topic of this.#messages.keys()) this.topics.delete(topic);
    this.#messages.clear();
    this.#expiring = 0;
    this.#tombstones.clear();
  }

  write(w: Writer): void {
    w.list([...this.#messages], (o, [topic, { index, hlc, expiresAtMs }]) => {
      o.str(topic);
      o.varint(index);
      o.f64(hlc);
      o.f64(expiresAtMs);
    });
    w.list([...this.#tombstones], (o, [key, hlc]) => {
      o.f64(key);
      o.f64(hlc);
    });
  }

  /** Into an empty one. */
  read(r: Reader): void {
    for (const [topic, held] of r.list(
      (i) => [i.str(), { index: i.varint(), hlc: i.f64(), expiresAtMs: i.f64() }] as const,
    )) {
      this.#messages.set(topic, held);
      if (held.expiresAtMs > 0) this.#expiring++;
      this.topics.add(topic);
    }
    for (const [key, hlc] of r.list((i) => [i.f64(), i.f64()] as const))
      this.#tombstones.set(key, hlc);
  }
}
