import { SWIM_MAGIC } from '../core/message.ts';
import type { HelloWrap } from '../discovery/discovery.ts';
import { HELLO_MAGIC } from '../discovery/hello.ts';
import type { SwimErrorCode } from '../errors.ts';
import { formatKeyId, type Keyring } from '../security/keyring.ts';
import {
  NO_MESSAGE_REFUSED,
  SEAL_BYTES,
  SEALED_MAGIC,
  type SealCounters,
  Sealer,
} from '../security/sealer.ts';
import type { RequestDone, Transport, TransportOpener, TransportOptions } from '../transport.ts';
import { KEYRING_MAGIC } from './keyring-message.ts';
import { systemClock } from './system.ts';

const REFUSED_INTERVAL_MS = 10_000;

/**
 * What is done with messages in clear, where there is a keyring.
 *
 * The two lenient values are steps of moving a running cluster to encryption: `send-clear` on every
 * member, then `accept-clear` on every member, then `required`.
 */
export type Encryption = 'required' | 'accept-clear' | 'send-clear';

/** Hears of refused messages: at most once in ten seconds for each code. */
export type OnRefused = (code: SwimErrorCode, from: string, detail: string) => void;

export interface SecureOptions {
  readonly keyring: Keyring | undefined;
  readonly encryption: Encryption;
  /** Empty for a joiner. */
  readonly clusterId: string;
  readonly sendersMax: number;
  /** Who seals, and in which life. */
  readonly origin: string;
  readonly onRefused: OnRefused;
  /** A request about the keyring: sealed, and from a member of our cluster. */
  onKeyring(bytes: Uint8Array): Promise<Uint8Array>;
}

/**
 * A transport whose packets and requests are sealed on their way out and opened on their way in.
 *
 * Without a keyring they pass as they are. With one, a stranger without a key gets no answer of any
 * kind: no packet, and no byte on a stream, which is closed once its first bytes show no key of ours.
 */
export class SecureTransport implements Transport {
  readonly #options: SecureOptions;
  readonly #sealer: Sealer | undefined;
  readonly #refusedMs = new Map<SwimErrorCode, number>();
  #inner: Transport = UNBOUND;
  /** For discovery over its own sockets: refuses everything but hellos. */
  readonly helloWrap: HelloWrap = {
    wrap: (hello) => this.#sealPacket(hello),
    unwrap: (from, bytes) => (bytes[0] === HELLO_MAGIC ? this.#openPacket(from, bytes) : undefined),
  };

  private constructor(options: SecureOptions) {
    const { keyring, clusterId, sendersMax, origin } = options;
    this.#options = options;
    this.#sealer =
      keyring === undefined ? undefined : new Sealer({ keyring, clusterId, sendersMax, origin });
  }

  /**
   * @param open opens what the sealed messages go over
   * @throws what `open` throws
   */
  static async open(
    open: TransportOpener,
    secure: SecureOptions,
    options: TransportOptions,
  ): Promise<SecureTransport> {
    const made = new SecureTransport(secure);
    const sealer = made.#sealer;
    const requestHead = sealer && {
      bytes: SEAL_BYTES,
      admit: (head: Uint8Array, from: string) => made.#admits(sealer, head, from),
    };
    made.#inner = await open({
      listen: options.listen,
      streamBytesMax: options.streamBytesMax + (sealer === undefined ? 0 : SEAL_BYTES),
      streamTimeoutMs: options.streamTimeoutMs,
      ...(requestHead === undefined ? {} : { requestHead }),
      onPacket: (from, bytes) => {
        const message = made.#openPacket(from, bytes);
        if (message !== undefined) options.onPacket(from, message);
      },
      onRequest: (from, bytes, reply) => {
        const opened = made.#openRequest(from, bytes, reply);
        if (opened !== undefined) options.onRequest(from, opened.bytes, opened.reply);
      },
    });
    return made;
  }

  get address(): string {
    return this.#inner.address;
  }

  get failed(): number {
    return this.#inner.failed;
  }

  get counters(): Readonly<SealCounters> {
    return this.#sealer?.counters ?? NO_MESSAGE_REFUSED;
  }

  /** The address that this member tells others. */
  setAddress(address: string): void {
    if (this.#sealer !== undefined) this.#sealer.address = address;
  }

  /** Follows the core when it learns its cluster. */
  setClusterId(clusterId: string): void {
    if (this.#sealer !== undefined) this.#sealer.clusterId = clusterId;
  }

  /** From now on. */
  setKeyring(keyring: Keyring): void {
    if (this.#sealer !== undefined) this.#sealer.keyring = keyring;
  }

  /**
   * @param isOwn whether the receiver itself gives `to` as its address: then no other member can open it
   */
  send(to: string, message: Uint8Array, isOwn = false): void {
    this.#inner.send(to, this.#sealPacket(message, isOwn ? to : undefined));
  }

  /** @param isOwn as for {@link send} */
  request(
    to: string,
    message: Uint8Array,
    timeoutMs: number,
    done: RequestDone,
    isOwn = false,
  ): void {
    const clear = this.#sealer === undefined || this.#options.encryption === 'send-clear';
    if (clear) this.#inner.request(to, message, timeoutMs, done);
    else this.requestSealed(to, message, timeoutMs, done, isOwn);
  }

  /** A request that never goes in clear: without a keyring there is no answer. */
  requestSealed(
    to: string,
    message: Uint8Array,
    timeoutMs: number,
    done: RequestDone,
    isOwn = true,
  ): void {
    const sealer = this.#sealer;
    if (sealer === undefined) {
      setImmediate(() => done(null));
      return;
    }
    const request = sealer.seal('request', message, undefined, isOwn ? to : undefined);
    this.#inner.request(to, request, timeoutMs, (bytes, why) => {
      const opened = bytes === null ? undefined : sealer.open('response', bytes, request);
      done(opened?.bytes ?? null, why);
    });
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  #sealPacket(message: Uint8Array, recipient?: string): Uint8Array {
    const sealer = this.#sealer;
    if (sealer === undefined || this.#options.encryption === 'send-clear') return message;
    if (message[0] !== HELLO_MAGIC) return sealer.seal('datagram', message, undefined, recipient);
    return Buffer.concat([Uint8Array.of(HELLO_MAGIC), sealer.seal('hello', message)]);
  }

  #openPacket(from: string, bytes: Uint8Array): Uint8Array | undefined {
    const sealer = this.#sealer;
    if (sealer === undefined) return this.#passClear(from, bytes);
    if (isClear(bytes)) return this.#admitsClear(sealer, from) ? bytes : undefined;
    if (bytes[0] === HELLO_MAGIC) {
      const sealed = bytes.subarray(1);
      const hello = this.#noticing(sealer, from, sealed, () => sealer.open('hello', sealed))?.bytes;
      return hello?.[0] === HELLO_MAGIC ? hello : undefined;
    }
    return this.#noticing(sealer, from, bytes, () => sealer.open('datagram', bytes))?.bytes;
  }

  #openRequest(
    from: string,
    bytes: Uint8Array,
    reply: (bytes: Uint8Array | null) => void,
  ): { bytes: Uint8Array; reply: (bytes: Uint8Array | null) => void } | undefined {
    const sealer = this.#sealer;
    if (sealer === undefined || isClear(bytes)) {
      // With a sealer, the head was admitted already.
      const message = sealer === undefined ? this.#passClear(from, bytes) : bytes;
      if (message === undefined) reply(null);
      return message === undefined ? undefined : { bytes: message, reply };
    }
    const opened = this.#noticing(sealer, from, bytes, () => sealer.open('request', bytes));
    if (opened === undefined) {
      reply(null);
      return undefined;
    }
    const replySealed = (answer: Uint8Array | null): void =>
      reply(answer === null ? null : sealer.seal('response', answer, bytes));
    if (opened.bytes[0] !== KEYRING_MAGIC) return { bytes: opened.bytes, reply: replySealed };
    if (opened.sameCluster) {
      this.#options.onKeyring(opened.bytes).then(replySealed, () => reply(null));
    } else {
      reply(null);
    }
    return undefined;
  }

  /** Without a keyring: a sealed message shows that its sender has one. */
  #passClear(from: string, bytes: Uint8Array): Uint8Array | undefined {
    if (bytes[0] !== SEALED_MAGIC) return bytes;
    this.refused('SWIM_ERR_KEY_UNKNOWN', from, 'This member has no keyring at all.');
    return undefined;
  }

  #admits(sealer: Sealer, head: Uint8Array, from: string): boolean {
    if (isClear(head)) return this.#admitsClear(sealer, from);
    return this.#noticing(sealer, from, head, () => sealer.admit('request', head)) !== undefined;
  }

  #admitsClear(sealer: Sealer, from: string): boolean {
    if (this.#options.encryption !== 'required') return true;
    sealer.counters.clearRefused++;
    this.refused('SWIM_ERR_CLEAR_REFUSED', from, '');
    return false;
  }

  /** Runs `open`, and tells of an unknown key. */
  #noticing<T>(
    sealer: Sealer,
    from: string,
    bytes: Uint8Array,
    open: () => T | undefined,
  ): T | undefined {
    const before = sealer.counters.sealKeyUnknown;
    const result = open();
    if (sealer.counters.sealKeyUnknown > before) {
      const theirs = sealer.keyIdOf(bytes);
      const ours = formatKeyId(sealer.keyring.primary.id);
      this.refused('SWIM_ERR_KEY_UNKNOWN', from, `Its id is ${theirs}; ours in use is ${ours}.`);
    }
    return result;
  }

  /** Tells of something refused, the same at most once in ten seconds. */
  refused(code: SwimErrorCode, from: string, detail: string): void {
    const nowMs = systemClock();
    const lastMs = this.#refusedMs.get(code);
    if (lastMs !== undefined && nowMs - lastMs < REFUSED_INTERVAL_MS) return;
    this.#refusedMs.set(code, nowMs);
    this.#options.onRefused(code, from, detail);
  }
}

/** Of membership or of discovery, and not sealed; a sealed hello has a byte before the seal. */
function isClear(bytes: Uint8Array): boolean {
  return bytes[0] === SWIM_MAGIC || (bytes[0] === HELLO_MAGIC && bytes[1] !== SEALED_MAGIC);
}
/** Before it is bound. */
const UNBOUND: Transport = {
  address: '',
  failed: 0,
  send: () => {},
  request: (_to, _bytes, _timeoutMs, done) => done(null),
  close: async () => {},
};
