import { decodeMessage, encodeMessage, encodeUpdate } from '../../src/core/codec.ts';
import { decodeEvent, encodeEvent } from '../../src/core/event-codec.ts';
import { type Body, MEMBER_STATES, type Message, type Update } from '../../src/core/message.ts';
import type { Prng } from '../../src/sim/prng.ts';

/** Numbers at which something may tip over. */
const EXTREMES = [0, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff];
const EPOCHS = [0, 1, 2, 3, 0xffff_ffff, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER];

/** Makes messages that are wrong, from messages that are right; all drawn from one generator. */
export class Mutator {
  readonly #prng: Prng;
  readonly #names: readonly string[];
  readonly #own: string;
  #incarnations = 0;
  readonly #messages = new WeakMap<Uint8Array, Message>();

  /** @param names of members; @param own that of the one which is fed */
  constructor(prng: Prng, names: readonly string[], own: string) {
    this.#own = own;
    this.#prng = prng;
    this.#names = names;
  }

  /** Noise, a message with bytes changed, or one with fields changed that is well-formed. */
  mutate(messages: readonly Uint8Array[]): Uint8Array {
    const prng = this.#prng;
    const roll = prng.next();
    if (roll < 0.05) return this.noise();
    const message = prng.pick(messages);
    if (roll < 0.4) return this.mutateBytes(message, messages);
    return this.#mutateFields(message);
  }

  /** Bytes changed; never what it was. */
  mutateBytes(message: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
    const prng = this.#prng;
    for (;;) {
      let bytes: Uint8Array = message.slice();
      for (let times = prng.int(1, 4); times > 0; times--) bytes = this.#changed(bytes, others);
      if (!equal(bytes, message)) return bytes;
    }
  }

  noise(): Uint8Array {
    const prng = this.#prng;
    return Uint8Array.from({ length: prng.int(0, 200) }, () => prng.int(0, 255));
  }

  #changed(bytes: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
    const prng = this.#prng;
    const at = prng.int(0, Math.max(0, bytes.length - 1));
    switch (prng.int(0, 7)) {
      case 0:
        if (bytes.length > 0) bytes[at] = (bytes[at] as number) ^ (1 << prng.int(0, 7));
        return bytes;
      case 1:
        if (bytes.length > 0) bytes[at] = prng.int(0, 255);
        return bytes;
      case 2:
        return bytes.subarray(0, at);
      case 3:
        return concat(bytes.subarray(0, at), this.noise(), bytes.subarray(at));
      case 4: {
        const end = Math.min(bytes.length, at + prng.int(1, 40));
        return concat(bytes.subarray(0, at), bytes.subarray(end));
      }
      case 5: {
        const end = Math.min(bytes.length, at + prng.int(1, 200));
        return concat(bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end));
      }
      case 6: {
        const other = prng.pick(others);
        return concat(bytes.subarray(0, at), other.subarray(prng.int(0, other.length)));
      }
      default: {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        if (at + 4 <= bytes.length) view.setUint32(at, prng.pick(EXTREMES));
        return bytes;
      }
    }
  }

  #mutateFields(bytes: Uint8Array): Uint8Array {
    const message = this.#decoded(bytes);
    if (message === undefined) return bytes;
    const prng = this.#prng;
    const { header } = message;
    const clusterId = prng.chance(0.02) ? prng.pick(['', 'd', 'x'.repeat(64)]) : header.clusterId;
    const name = prng.chance(0.3) ? this.#name() : header.name;
    const bootEpoch = this.#bootEpoch(name, header.bootEpoch);
    const updates = message.updates.map((update) => this.#update(update));
    if (prng.chance(0.2)) updates.push(...updates);
    if (prng.chance(0.2) && updates.length > 0) {
      updates.push({ ...(updates[0] as Update), name: this.#name() });
    }
    return encodeMessage(
      { ...header, clusterId, name, bootEpoch },
      this.#body(message.body),
      updates.map(encodeUpdate),
      message.events.map((record) => this.#event(record)),
    );
  }

  /** What a message of the corpus says, decoded once. */
  #decoded(bytes: Uint8Array): Message | undefined {
    let message = this.#messages.get(bytes);
    if (message !== undefined) return message;
    const answer = decodeMessage(bytes);
    if (typeof answer === 'string') return undefined;
    message = answer;
    this.#messages.set(bytes, message);
    return message;
  }

  #body(body: Body): Body {
    const prng = this.#prng;
    const changed: Record<string, unknown> = { ...body };
    if ('seq' in body && prng.chance(0.3)) changed['seq'] = prng.pick(EXTREMES);
    if ('digest' in body && prng.chance(0.3)) changed['digest'] = prng.pick(EXTREMES);
    if ('target' in body && prng.chance(0.5)) changed['target'] = this.#name();
    if ('targetBootEpoch' in body && prng.chance(0.2)) {
      changed['targetBootEpoch'] = prng.pick(EPOCHS);
      changed['targetIncarnation'] = prng.pick(EXTREMES);
    }
    if ('remainingMs' in body) changed['remainingMs'] = prng.pick(EXTREMES);
    return changed as unknown as Body;
  }

  #update(update: Update): Update {
    const prng = this.#prng;
    if (prng.chance(0.3)) return update;
    const name = prng.chance(0.5) ? update.name : this.#name();
    return {
      ...update,
      name,
      bootEpoch: this.#bootEpoch(name, update.bootEpoch),
      incarnation: this.#incarnation(update.incarnation),
      state: prng.chance(0.5) ? update.state : prng.pick(MEMBER_STATES),
      unwell: prng.chance(0.5),
      versions: prng.chance(0.9) ? update.versions : { min: 1, max: prng.int(1, 255) },
      ageS: prng.chance(0.8) ? 0 : prng.pick(EXTREMES),
      accuser: prng.chance(0.5) ? update.accuser : this.#name(),
      address: prng.chance(0.8) ? update.address : `${this.#name()}:${prng.int(0, 70_000)}`,
      meta: prng.chance(0.9) ? update.meta : new Uint8Array(prng.int(0, 512)),
    };
  }

  /** Of a member seldom another one: it would not be heard any more. */
  #bootEpoch(name: string, bootEpoch: number): number {
    const prng = this.#prng;
    return prng.chance(this.#names.includes(name) ? 0.000_1 : 0.2) ? prng.pick(EPOCHS) : bootEpoch;
  }

  /** Seldom the highest: a member that got there refutes no more. */
  #incarnation(incarnation: number): number {
    const prng = this.#prng;
    // Rising, as the members refute what was said before.
    this.#incarnations += 0.02;
    if (prng.chance(0.3)) return Math.floor(this.#incarnations) + prng.int(0, 3);
    if (prng.chance(0.999_9)) return Math.min(0xffff_ffff, incarnation + prng.int(0, 3));
    return prng.pick(EXTREMES);
  }

  #event(record: Uint8Array): Uint8Array {
    const prng = this.#prng;
    const event = decodeEvent(record);
    if (event === undefined || prng.chance(0.1)) return record;
    return encodeEvent({
      ...event,
      origin: prng.chance(0.5) ? event.origin : this.#name(),
      bootEpoch: prng.chance(0.9) ? event.bootEpoch : prng.pick(EPOCHS),
      sequence: prng.chance(0.9) ? event.sequence + prng.int(0, 3_000) : prng.pick(EPOCHS),
      ageMs: prng.chance(0.5) ? 0 : prng.pick(EXTREMES),
    });
  }

  /** Mostly a member's, often the own one, else one of very many. */
  #name(): string {
    const prng = this.#prng;
    if (prng.chance(0.2)) return this.#own;
    return prng.chance(0.8) ? prng.pick(this.#names) : `x${prng.int(0, 1_000_000)}`;
  }
}

/** Whether a datagram is of the cluster: only such a one may change anything. */
export function isOfCluster(bytes: Uint8Array, clusterId: string): boolean {
  const message: Message | string = decodeMessage(bytes);
  return typeof message !== 'string' && message.header.clusterId === clusterId;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
