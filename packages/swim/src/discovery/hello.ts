import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../ports.ts';

/** First byte of a question or an answer: 'D'. */
export const HELLO_MAGIC = 0x44;
const VERSION = 1;
const KINDS = { question: 1, answer: 2 } as const;
const CLUSTER_AT = 3;
const CLUSTER_BYTES = 8;
const NONCE_AT = CLUSTER_AT + CLUSTER_BYTES;
const NONCE_BYTES = 8;
const PREFIX_BYTES = NONCE_AT + NONCE_BYTES + 1;
/** Room for the longest address in the answer. */
const HELLO_BYTES = 288;
/** Questions of one agent that are open at once; a further one is refused. */
const QUESTIONS_MAX = 64;
/** Answers of one agent in a second; further questions stay unanswered. */
const ANSWERS_PER_SECOND_MAX = 64;

/*
 * A question or an answer:
 *
 *   0x44  version  kind:1  cluster:8  nonce:8  address (one byte of length before it)  zeros
 *
 * `cluster` is the beginning of a hash of the cluster's id; zeros say that there is none yet. A question
 * is filled with zeros to HELLO_BYTES and an answer is never longer: an asker that forges its address
 * floods the victim with no more than it sends itself.
 */

/** Asks by packets who is there, and answers others that ask. */
export class Hello {
  readonly #address: Uint8Array;
  readonly #clusterId: () => string;
  readonly #nowMs: Clock;
  readonly #answers: () => boolean;
  readonly #asking = new Map<string, (seed: string) => void>();
  #answersLeft = ANSWERS_PER_SECOND_MAX;
  #filledMs = 0;

  constructor(options: {
    /** host:port told to those who ask; without it questions stay unanswered. */
    readonly address: string;
    /** Empty until known. */
    readonly clusterId: () => string;
    readonly nowMs: Clock;
    /** False while this member is silent; default always true. */
    readonly answers?: () => boolean;
  }) {
    this.#address = new TextEncoder().encode(options.address);
    this.#clusterId = options.clusterId;
    this.#nowMs = options.nowMs;
    this.#answers = options.answers ?? (() => true);
  }

  /** Whether the bytes are a question or an answer, or meant to be one. */
  static is(bytes: Uint8Array): boolean {
    return bytes[0] === HELLO_MAGIC;
  }

  /**
   * Makes a question. `found` is called for every answer to it, until `end`.
   *
   * @throws Error if 64 are open
   */
  ask(found: (seed: string) => void): { readonly bytes: Uint8Array; end(): void } {
    if (this.#asking.size >= QUESTIONS_MAX) throw new Error('too many questions are open');
    const nonce = randomBytes(NONCE_BYTES);
    const key = nonce.toString('hex');
    this.#asking.set(key, found);
    const bytes = new Uint8Array(HELLO_BYTES);
    bytes.set(this.#encode('question', nonce, new Uint8Array()));
    return { bytes, end: () => void this.#asking.delete(key) };
  }

  /**
   * Takes a message in. Hands over an answer to an open question of ours. Returns the answer to a
   * question of another node, undefined if there is none to give.
   *
   * Nodes without a cluster do not answer each other, nor do nodes of different clusters. A node answers
   * at most 64 times a second.
   */
  take(bytes: Uint8Array): Uint8Array | undefined {
    if (bytes.length < PREFIX_BYTES || bytes[0] !== HELLO_MAGIC || bytes[1] !== VERSION) {
      return undefined;
    }
    const nonce = bytes.subarray(NONCE_AT, NONCE_AT + NONCE_BYTES);
    const found = this.#asking.get(Buffer.from(nonce).toString('hex'));
    if (bytes[2] === KINDS.answer) {
      const address = addressIn(bytes);
      if (address !== undefined) found?.(address);
      return undefined;
    }
    // Our own question comes back where packets go to many.
    if (bytes[2] !== KINDS.question || found !== undefined) return undefined;
    if (!this.#answers() || !this.#concerns(bytes.subarray(CLUSTER_AT, NONCE_AT))) return undefined;
    const answer = this.#encode('answer', nonce, this.#address);
    if (answer.length > bytes.length || !this.#mayAnswer()) return undefined;
    return answer;
  }

  #concerns(cluster: Uint8Array): boolean {
    const asksAny = cluster.every((byte) => byte === 0);
    const id = this.#clusterId();
    if (id === '') return !asksAny;
    return asksAny || Buffer.compare(clusterPrint(id), cluster) === 0;
  }

  #mayAnswer(): boolean {
    const nowMs = this.#nowMs();
    const gained = ((nowMs - this.#filledMs) * ANSWERS_PER_SECOND_MAX) / 1_000;
    this.#answersLeft = Math.min(ANSWERS_PER_SECOND_MAX, this.#answersLeft + gained);
    this.#filledMs = nowMs;
    if (this.#answersLeft < 1) return false;
    this.#answersLeft--;
    return true;
  }

  #encode(kind: keyof typeof KINDS, nonce: Uint8Array, address: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(PREFIX_BYTES + address.length);
    bytes.set([HELLO_MAGIC, VERSION, KINDS[kind]]);
    bytes.set(clusterPrint(this.#clusterId()), CLUSTER_AT);
    bytes.set(nonce, NONCE_AT);
    bytes[PREFIX_BYTES - 1] = address.length;
    bytes.set(address, PREFIX_BYTES);
    return bytes;
  }
}

function clusterPrint(clusterId: string): Uint8Array {
  if (clusterId === '') return new Uint8Array(CLUSTER_BYTES);
  const hash = createHash('sha256').update('discovery of ').update(clusterId).digest();
  return hash.subarray(0, CLUSTER_BYTES);
}

function addressIn(bytes: Uint8Array): string | undefined {
  const end = PREFIX_BYTES + (bytes[PREFIX_BYTES - 1] ?? 0);
  if (end === PREFIX_BYTES || bytes.length < end) return undefined;
  return new TextDecoder().decode(bytes.subarray(PREFIX_BYTES, end));
}
