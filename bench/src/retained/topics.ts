/** The retained messages of a run: their topics, and which of them have come. */
import { createHash } from 'node:crypto';
import type { ConnectionListener } from '../load/connection.ts';

export const TOPIC_BYTES = 64;
export const PAYLOAD_BYTES = 64;
const DEVICES = 1000;

/** Filter of every topic. */
export const ALL = 'plant/#';
/** Filter of one device in every hall: one topic of {@link DEVICES}. */
export const SOME = 'plant/+/device/0007/#';

const digits = (n: number) => String(n).padStart(4, '0');

/** Topic number `i`: 64 bytes, its device counts fastest. */
export function topicOf(i: number): string {
  const name = `plant/${digits(Math.floor(i / DEVICES))}/device/${digits(i % DEVICES)}/temperature/`;
  return name.padEnd(TOPIC_BYTES, 'x');
}

/** How many of the first `topics` topics {@link SOME} matches. */
export function someOf(topics: number): number {
  return Math.ceil((topics - 7) / DEVICES);
}

/** 64 bytes that begin with the topic's number, and that no disk can compress. */
export function payloadOf(i: number): Buffer {
  const payload = createHash('sha512').update(String(i)).digest();
  payload.writeUInt32BE(i);
  return payload;
}

/** Counts which messages came, and says when as many as are wanted have. */
export class Arrivals implements ConnectionListener {
  readonly #seen: Uint8Array;
  readonly #wants: { count: number; resolve: () => void; reject: (why: Error) => void }[] = [];
  /** Topics whose message has come. */
  distinct = 0;
  /** Messages that came again. */
  repeated = 0;

  constructor(topics: number) {
    this.#seen = new Uint8Array(topics);
  }

  /** So many topics have come. @throws Error if the connection is lost before */
  reach(count: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (this.distinct >= count) resolve();
    else this.#wants.push({ count, resolve, reject });
    return promise;
  }

  onMessage(_connection: unknown, bytes: Buffer, payloadAt: number): void {
    const i = bytes.readUInt32BE(payloadAt);
    if (this.#seen[i] === 1) {
      this.repeated++;
      return;
    }
    this.#seen[i] = 1;
    this.distinct++;
    const want = this.#wants[0];
    if (want === undefined || this.distinct < want.count) return;
    this.#wants.shift();
    want.resolve();
  }

  onPublished(): void {}

  onLost(): void {
    for (const { reject } of this.#wants.splice(0)) reject(new Error('the connection was lost'));
  }
}
