import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Keyring, RingKey } from './keyring.ts';
import { ReplayWindow } from './replay-window.ts';

/*
 * A sealed message, integers big endian:
 *
 *   0x45  version:1  clusterTag:8  keyId:4  salt:16  counter:6  ciphertext  tag:16
 *   └──────────────────── associated data ────────────────────┘
 *
 * AES-256-GCM. The associated data goes on, unsent: one byte for the kind of message, in a response salt
 * and counter of its request, and in version 2 the receiver's own address. So no message opens as
 * another kind, a response fits one request, and a message for one member does not open at another.
 * Version 1 is for receivers whose own address is unknown: seeds, and strangers that ask. The cluster's
 * id is in it by clusterTag.
 *
 * The key of a message is HMAC-SHA256(key of the ring, label | salt); salts are made by the sender, so
 * members never share a key, and the nonce can be the counter. Salts come from the system's randomness,
 * the time and the process. A leap of the clock renews them: two copies of one virtual machine share
 * their randomness and their counters.
 */
const MAGIC_AT = 0;
const VERSION_AT = 1;
const CLUSTER_AT = 2;
const KEY_AT = 10;
const SALT_AT = 14;
const COUNTER_AT = 30;
const HEADER_BYTES = 36;
const TAG_BYTES = 16;
const SALT_BYTES = 16;
const COUNTER_BYTES = 6;
const NONCE_BYTES = 12;
const BINDING_BYTES = SALT_BYTES + COUNTER_BYTES;
/** Bytes of the receiver's address. */
const RECIPIENT_BYTES_MAX = 255;

/** First byte of a sealed message: 'E'. */
export const SEALED_MAGIC = 0x45;
export const SEALED_VERSION = 1;
/** The version of messages that open only at the receiver's own address. */
export const SEALED_VERSION_BOUND = 2;
/** What sealing adds to a message. */
export const SEAL_BYTES = HEADER_BYTES + TAG_BYTES;
const GCM = { authTagLength: TAG_BYTES };
const SALT_LABEL = 'shoal swim salt v1';
/** A longer time between two messages is a leap of the clock: a member speaks more often. */
const LEAP_MS = 10_000;
const KEY_LABEL = 'shoal swim message key v1';
const CLUSTER_LABEL = 'shoal swim cluster v1';

/** What a message is sealed as; it opens as nothing else. */
export type SealKind = 'datagram' | 'request' | 'response' | 'hello' | 'link';

const KINDS: readonly SealKind[] = ['datagram', 'request', 'response', 'hello', 'link'];

/** Messages refused, by reason; only ever grow. Nothing else comes of them. */
export interface SealCounters {
  /** Not sealed, though only sealed ones are taken. */
  clearRefused: number;
  /** Not a sealed message of this version, or too short to be one. */
  sealMalformed: number;
  /** Sealed with a key that is not on the ring; no cryptography was spent on it. */
  sealKeyUnknown: number;
  /** Sealed for another cluster; no cryptography was spent on it. */
  sealOtherCluster: number;
  /** Changed on the way, made without the key, or meant for another receiver. */
  sealForged: number;
  /** Seen before, or older than the window knows. */
  sealReplayed: number;
}

/** All at zero. */
export const NO_MESSAGE_REFUSED: Readonly<SealCounters> = Object.freeze({
  clearRefused: 0,
  sealMalformed: 0,
  sealKeyUnknown: 0,
  sealOtherCluster: 0,
  sealForged: 0,
  sealReplayed: 0,
});

/** A message that was opened. */
export interface Opened {
  readonly bytes: Uint8Array;
  /** Whether the sender has our cluster's id; false for a joiner, and for another cluster. */
  readonly sameCluster: boolean;
}

/** A sender that was authenticated: its key, derived, and the counters it has used. */
interface Sender {
  readonly key: Buffer;
  readonly window: ReplayWindow;
}

/** The key that seals the own messages of one kind. */
interface SendingKey {
  readonly salt: Buffer;
  counter: number;
  ringKeyId: number;
  key: Buffer;
}

/**
 * Seals messages for the members of a cluster, and opens theirs.
 *
 * A message is looked at in the order of cost: form, key id, cluster, counter, and only then the
 * cipher. What fails leaves a counter behind and nothing else: no state is made for a sender before
 * one of its messages is authentic, so floods neither grow nor displace anything. At most
 * `sendersMax` senders are remembered; the one silent for longest goes first, and its messages
 * could then be replayed once.
 *
 * Each of the own kinds has a salt of its own, so that the quick one does not push the counters of
 * a slow one out of the receivers' windows. Responses need no window: each fits one request.
 */
export class Sealer {
  readonly counters: SealCounters = { ...NO_MESSAGE_REFUSED };
  keyring: Keyring;
  /** What this member says that its address is: messages for another one do not open. */
  address = '';
  #clusterTag: Buffer;
  readonly #origin: string;
  readonly #wallMs: () => number;
  #lastSealMs: number;
  readonly #senders: LRUCache<string, Sender>;
  #sendingKeys: Readonly<Record<SealKind, SendingKey>>;
  readonly #associated = Buffer.alloc(HEADER_BYTES + 1 + BINDING_BYTES + RECIPIENT_BYTES_MAX);
  readonly #nonce = Buffer.alloc(NONCE_BYTES);

  constructor(options: {
    readonly keyring: Keyring;
    /** Empty for a joiner. */
    readonly clusterId: string;
    readonly sendersMax: number;
    /** Who seals, and in which life; in the salts, so that no two ever have the same. */
    readonly origin?: string;
    /** The time of day in milliseconds; for tests. */
    readonly wallMs?: () => number;
  }) {
    this.keyring = options.keyring;
    this.#clusterTag = tagOf(options.clusterId);
    // Bounded by the sum of sizes, each 1: so the cache grows with what it holds.
    this.#senders = new LRUCache({ maxSize: options.sendersMax, sizeCalculation: () => 1 });
    this.#origin = options.origin ?? '';
    this.#wallMs = options.wallMs ?? Date.now;
    this.#lastSealMs = this.#wallMs();
    this.#sendingKeys = this.#freshKeys();
  }

  /** Follows the core when it learns its cluster. */
  set clusterId(clusterId: string) {
    this.#clusterTag = tagOf(clusterId);
  }

  /** Senders remembered. */
  get senderCount(): number {
    return this.#senders.size;
  }

  /**
   * Seals a message with the primary key.
   *
   * @param request the sealed request that this is the response to
   * @param recipient what the receiver says that its address is, if that is known; at most 255 bytes
   */
  seal(kind: SealKind, message: Uint8Array, request?: Uint8Array, recipient?: string): Uint8Array {
    const { primary } = this.keyring;
    this.#noticeLeap();
    const sending = this.#sendingKeys[kind];
    if (sending.ringKeyId !== primary.id) {
      sending.ringKeyId = primary.id;
      sending.key = derive(primary.bytes, sending.salt);
    }
    sending.counter++;
    const sealed = Buffer.allocUnsafe(SEAL_BYTES + message.length);
    sealed[MAGIC_AT] = SEALED_MAGIC;
    sealed[VERSION_AT] = recipient === undefined ? SEALED_VERSION : SEALED_VERSION_BOUND;
    this.#clusterTag.copy(sealed, CLUSTER_AT);
    sealed.writeUInt32BE(primary.id, KEY_AT);
    sending.salt.copy(sealed, SALT_AT);
    sealed.writeUIntBE(sending.counter, COUNTER_AT, COUNTER_BYTES);
    const cipher = createCipheriv('aes-256-gcm', sending.key, this.#nonceOf(sealed), GCM);
    cipher.setAAD(this.#associate(kind, sealed, request, recipient));
    const ciphertext = cipher.update(message);
    cipher.final();
    ciphertext.copy(sealed, HEADER_BYTES);
    cipher.getAuthTag().copy(sealed, HEADER_BYTES + message.length);
    return sealed;
  }

  /**
   * Opens a message; undefined if it is refused, which is counted.
   *
   * Datagrams, and links of what is built on membership, must be of our cluster. On streams and in
   * discovery (hello), others with our key are heard too: joiners, which do not know the cluster
   * yet, and members of another cluster.
   *
   * @param request the own sealed request that this should answer
   */
  open(kind: SealKind, sealed: Uint8Array, request?: Uint8Array): Opened | undefined {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    const ringKey = this.admit(kind, bytes);
    if (ringKey === undefined) return undefined;
    const name = bytes.toString('latin1', KEY_AT, COUNTER_AT);
    const counter = bytes.readUIntBE(COUNTER_AT, COUNTER_BYTES);
    const known = this.#senders.get(name);
    if (kind !== 'response' && known?.window.isFresh(counter) === false) {
      this.counters.sealReplayed++;
      return undefined;
    }
    const key = known?.key ?? derive(ringKey.bytes, bytes.subarray(SALT_AT, COUNTER_AT));
    const message = this.#decrypt(kind, bytes, key, request);
    if (message === undefined) {
      this.counters.sealForged++;
      return undefined;
    }
    const sender = known ?? { key, window: new ReplayWindow() };
    if (kind !== 'response') sender.window.record(counter);
    if (known === undefined) this.#senders.set(name, sender);
    return { bytes: message, sameCluster: this.#isOurs(bytes) };
  }

  /**
   * What can be said of a message by its first {@link SEAL_BYTES} bytes: the key that it is sealed
   * with, or undefined if it is refused, which is counted. Costs no cryptography.
   */
  admit(kind: SealKind, bytes: Uint8Array): RingKey | undefined {
    const head = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (
      head.length < SEAL_BYTES ||
      head[MAGIC_AT] !== SEALED_MAGIC ||
      (head[VERSION_AT] !== SEALED_VERSION && head[VERSION_AT] !== SEALED_VERSION_BOUND)
    ) {
      this.counters.sealMalformed++;
      return undefined;
    }
    const key = this.keyring.find(head.readUInt32BE(KEY_AT));
    if (key === undefined) {
      this.counters.sealKeyUnknown++;
      return undefined;
    }
    if ((kind === 'datagram' || kind === 'link') && !this.#isOurs(head)) {
      this.counters.sealOtherCluster++;
      return undefined;
    }
    return key;
  }

  /** The id of the key that a message claims to be sealed with, for the log. */
  keyIdOf(sealed: Uint8Array): string {
    return Buffer.from(sealed.subarray(KEY_AT, SALT_AT)).toString('hex');
  }

  #isOurs(sealed: Buffer): boolean {
    return this.#clusterTag.compare(sealed, CLUSTER_AT, KEY_AT) === 0;
  }

  #decrypt(
    kind: SealKind,
    sealed: Buffer,
    key: Buffer,
    request: Uint8Array | undefined,
  ): Uint8Array | undefined {
    const end = sealed.length - TAG_BYTES;
    const decipher = createDecipheriv('aes-256-gcm', key, this.#nonceOf(sealed), GCM);
    const recipient = sealed[VERSION_AT] === SEALED_VERSION_BOUND ? this.address : undefined;
    decipher.setAAD(this.#associate(kind, sealed, request, recipient));
    decipher.setAuthTag(sealed.subarray(end));
    const message = decipher.update(sealed.subarray(HEADER_BYTES, end));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return message;
  }

  #nonceOf(sealed: Buffer): Buffer {
    sealed.copy(this.#nonce, NONCE_BYTES - COUNTER_BYTES, COUNTER_AT, HEADER_BYTES);
    return this.#nonce;
  }

  #associate(
    kind: SealKind,
    sealed: Buffer,
    request: Uint8Array | undefined,
    recipient: string | undefined,
  ): Buffer {
    const associated = this.#associated;
    sealed.copy(associated, 0, 0, HEADER_BYTES);
    associated[HEADER_BYTES] = KINDS.indexOf(kind);
    let length = HEADER_BYTES + 1;
    if (request !== undefined) {
      associated.set(request.subarray(SALT_AT, HEADER_BYTES), length);
      length += BINDING_BYTES;
    }
    if (recipient !== undefined) length += associated.write(recipient, length);
    return associated.subarray(0, length);
  }

  /** The clock may leap because this is a copy of a machine, which goes on from the same counters. */
  #noticeLeap(): void {
    const nowMs = this.#wallMs();
    if (Math.abs(nowMs - this.#lastSealMs) > LEAP_MS) this.#sendingKeys = this.#freshKeys();
    this.#lastSealMs = nowMs;
  }

  #freshKeys(): Readonly<Record<SealKind, SendingKey>> {
    const { primary } = this.keyring;
    const fresh = (kind: SealKind): SendingKey => {
      const time = `${this.#wallMs()} ${process.hrtime.bigint()} ${process.pid}`;
      const hash = createHash('sha256').update(SALT_LABEL).update(randomBytes(SALT_BYTES));
      return sendingKey(primary, hash.update(`${kind} ${time} ${this.#origin}`).digest());
    };
    return {
      datagram: fresh('datagram'),
      request: fresh('request'),
      response: fresh('response'),
      hello: fresh('hello'),
      link: fresh('link'),
    };
  }
}

function sendingKey(primary: RingKey, random: Buffer): SendingKey {
  const salt = random.subarray(0, SALT_BYTES);
  return { salt, counter: 0, ringKeyId: primary.id, key: derive(primary.bytes, salt) };
}

function derive(key: Uint8Array, salt: Uint8Array): Buffer {
  return createHmac('sha256', key).update(KEY_LABEL).update(salt).digest();
}

/** A hash of the cluster's id; zeros for none. */
function tagOf(clusterId: string): Buffer {
  if (clusterId === '') return Buffer.alloc(KEY_AT - CLUSTER_AT);
  const hash = createHash('sha256').update(CLUSTER_LABEL).update(clusterId).digest();
  return hash.subarray(0, KEY_AT - CLUSTER_AT);
}
