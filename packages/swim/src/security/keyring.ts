import { createHash, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { SwimError } from '../errors.ts';

const ID_LABEL = 'shoal swim key id v1';

/** Bytes of a key: AES-256. */
export const KEY_BYTES = 32;
/** Keys on one ring; one more is refused. */
export const KEYS_MAX = 16;

/** What may be told of a key: everything but the key. */
export interface KeyInfo {
  /** Eight hexadecimal digits; the same key has the same id everywhere. */
  readonly id: string;
  /** Whether messages are sealed with it; those sealed with any other of the ring are read. */
  readonly primary: boolean;
}

/** One key, ready to be used. */
export interface RingKey {
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** A new key, from the system's source of randomness. */
export function generateKey(): Uint8Array {
  return new Uint8Array(randomBytes(KEY_BYTES));
}

/** The public name of a key: eight hexadecimal digits that tell nothing about the rest of it. */
export function keyId(key: Uint8Array): string {
  return formatKeyId(numericId(key));
}

export function formatKeyId(id: number): string {
  return id.toString(16).padStart(8, '0');
}

/**
 * The keys of a cluster, one of them primary. Never changes: each operation gives another ring.
 *
 * A new key is installed everywhere, then used everywhere, then the old one removed everywhere: at
 * no moment does a member get what it cannot read. Printing or serialising a ring shows ids only.
 */
export class Keyring {
  readonly #keys: ReadonlyMap<number, RingKey>;
  readonly primary: RingKey;

  private constructor(keys: ReadonlyMap<number, RingKey>, primary: RingKey) {
    this.#keys = keys;
    this.primary = primary;
  }

  /**
   * @param keys 1 to 16 keys of 32 bytes, the primary first; copied
   * @throws SwimError SWIM_ERR_KEY_INVALID, SWIM_ERR_KEYRING_FULL
   */
  static of(keys: readonly Uint8Array[]): Keyring {
    const [first, ...others] = keys;
    if (first === undefined) throw new SwimError('SWIM_ERR_KEY_INVALID', 'A ring is never empty.');
    const primary = ringKey(first);
    let ring = new Keyring(new Map([[primary.id, primary]]), primary);
    for (const key of others) ring = ring.install(key);
    return ring;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** The key of this id, undefined if it is not on the ring. */
  find(id: number): RingKey | undefined {
    return this.#keys.get(id);
  }

  has(id: string): boolean {
    return this.#keys.has(Number.parseInt(id, 16));
  }

  /** The primary first. */
  list(): KeyInfo[] {
    return this.#ordered().map((key) => ({
      id: formatKeyId(key.id),
      primary: key === this.primary,
    }));
  }

  /** The keys themselves, the primary first, for the owner to keep. */
  secrets(): Uint8Array[] {
    return this.#ordered().map((key) => key.bytes.slice());
  }

  /**
   * Adds a key that is read and not yet used. One that is there already changes nothing.
   *
   * @throws SwimError SWIM_ERR_KEY_INVALID, SWIM_ERR_KEYRING_FULL
   */
  install(key: Uint8Array): Keyring {
    const added = ringKey(key);
    const present = this.#keys.get(added.id);
    if (present !== undefined) {
      if (Buffer.compare(present.bytes, added.bytes) === 0) return this;
      throw new SwimError('SWIM_ERR_KEY_INVALID', 'Another key has the same id: generate again.');
    }
    if (this.#keys.size >= KEYS_MAX) throw new SwimError('SWIM_ERR_KEYRING_FULL');
    return new Keyring(new Map([...this.#keys, [added.id, added]]), this.primary);
  }

  /** Makes a key of the ring primary. @throws SwimError SWIM_ERR_KEY_MISSING */
  use(id: string): Keyring {
    const key = this.#get(id);
    return key === this.primary ? this : new Keyring(this.#keys, key);
  }

  /**
   * Removes a key; one that is not there changes nothing.
   *
   * @throws SwimError SWIM_ERR_KEY_PRIMARY
   */
  remove(id: string): Keyring {
    if (!this.has(id)) return this;
    const key = this.#get(id);
    if (key === this.primary) throw new SwimError('SWIM_ERR_KEY_PRIMARY', id);
    const keys = new Map(this.#keys);
    keys.delete(key.id);
    return new Keyring(keys, this.primary);
  }

  /** Ids only, so that a ring in a log or an error shows no secret. */
  toJSON(): KeyInfo[] {
    return this.list();
  }

  [inspect.custom](): KeyInfo[] {
    return this.list();
  }

  #get(id: string): RingKey {
    const key = this.#keys.get(Number.parseInt(id, 16));
    if (key === undefined) throw new SwimError('SWIM_ERR_KEY_MISSING', id);
    return key;
  }

  #ordered(): RingKey[] {
    const others = [...this.#keys.values()].filter((key) => key !== this.primary);
    return [this.primary, ...others];
  }
}

function ringKey(bytes: Uint8Array): RingKey {
  if (!(bytes instanceof Uint8Array) || bytes.length !== KEY_BYTES) {
    throw new SwimError('SWIM_ERR_KEY_INVALID');
  }
  return { id: numericId(bytes), bytes: bytes.slice() };
}

function numericId(key: Uint8Array): number {
  return createHash('sha256').update(ID_LABEL).update(key).digest().readUInt32BE(0);
}
