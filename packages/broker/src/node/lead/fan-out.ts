/**
 * Queued messages with many recipients: finds each session's own without looking through all.
 *
 * A message for n sessions is one log entry with n recipients. Each session's delivery asks for its own
 * recipient, and those that read from disk one after another need the same entry: without this, a message
 * costs n² for its n sessions.
 */
import { LRUCache } from 'lru-cache';
import type { Logged } from '../../session/operation.ts';
import type { Recipient } from '../../session/recipient.ts';

/** From how many recipients on they are indexed, and an entry read from disk is kept decoded. */
const INDEXED_RECIPIENTS_MIN = 16;
/** Entries read from disk that are kept decoded, per shard. */
const DECODED_ENTRIES_MAX = 64;
/** Payload of an entry that is kept decoded; larger ones are read again for each session. */
const DECODED_PAYLOAD_BYTES_MAX = 4096;

export class FanOut {
  readonly #recipients = new WeakMap<Logged, Map<number, Recipient>>();
  #decoded: LRUCache<number, Logged> | null = null;

  /** @returns what the message is to the session with this birth, undefined if it is not for it */
  recipient(logged: Logged, birth: number): Recipient | undefined {
    const op = logged.operation;
    if (op.type !== 'enq') return undefined;
    const { recipients } = op;
    if (recipients.length < INDEXED_RECIPIENTS_MIN)
      return recipients.find((t) => t.birth === birth);
    let index = this.#recipients.get(logged);
    if (!index) {
      index = new Map(recipients.map((recipient) => [recipient.birth, recipient]));
      this.#recipients.set(logged, index);
    }
    return index.get(birth);
  }

  /** An entry that was read from disk: others of its recipients will want it too. */
  keep(index: number, logged: Logged): void {
    const op = logged.operation;
    if (op.type !== 'enq' || op.recipients.length < INDEXED_RECIPIENTS_MIN) return;
    if (op.message.payload.length > DECODED_PAYLOAD_BYTES_MAX) return;
    this.#decoded ??= new LRUCache({ max: DECODED_ENTRIES_MAX });
    this.#decoded.set(index, logged);
  }

  kept(index: number): Logged | undefined {
    return this.#decoded?.get(index);
  }

  /** Another leader may put other entries at the same indexes. */
  clear(): void {
    this.#decoded = null;
  }
}
