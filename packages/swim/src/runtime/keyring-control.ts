import { randomBytes } from 'node:crypto';
import { SwimError, type SwimErrorCode } from '../errors.ts';
import { type KeyInfo, Keyring } from '../security/keyring.ts';
import {
  decodeKeyringAnswer,
  decodeKeyringRequest,
  encodeKeyringMessage,
  type KeyringAnswer,
  type KeyringRequest,
} from './keyring-message.ts';

/** Members asked at once. */
const AT_ONCE = 16;
/** Operations that wait for their turn on one member; more are told that it is busy. */
const WAITING_MAX = 64;
/** Members that an error names; it counts the others. */
const NAMES_SHOWN_MAX = 8;

/** What came of an operation on one member: its keys afterwards, or why there was none. */
export interface KeyringResult {
  readonly name: string;
  readonly keys?: readonly KeyInfo[];
  readonly errorCode?: SwimErrorCode;
}

/** A member that is present. */
export interface KeyringPeer {
  readonly name: string;
  readonly address: string;
}

export interface KeyringControlOptions {
  readonly name: string;
  readonly keyring: Keyring | undefined;
  /** Present members without this one. */
  peers(): readonly KeyringPeer[];
  /** One request over a sealed stream; null if there was no answer. */
  request(to: string, bytes: Uint8Array, done: (bytes: Uint8Array | null) => void): void;
  /** Keeps a ring for the next start, before it is used. */
  store(keys: readonly Uint8Array[]): Promise<void> | void;
  /** Uses a ring from now on. */
  apply(keyring: Keyring): void;
}

/**
 * The keyrings of all present members, changed together while they run.
 *
 * Rotation: {@link install} the new key, {@link use} it, {@link remove} the old one. Every step may
 * be repeated, and ends with each member's own answer: one that failed can be tried again. A member
 * that is absent meanwhile must be started with the present keys.
 */
export class KeyringControl {
  readonly #options: KeyringControlOptions;
  #keyring: Keyring | undefined;
  /** Names this process in requests. Its successor has an empty replay window, and refuses them. */
  readonly #instance = randomBytes(16).toString('hex');
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: KeyringControlOptions) {
    this.#options = options;
    this.#keyring = options.keyring;
  }

  /** The keys of every present member. @throws SwimError SWIM_ERR_NO_KEYRING */
  async list(): Promise<KeyringResult[]> {
    this.#own();
    return await this.#everywhere((peer) => this.#ask(peer, { op: 'list' }), { op: 'list' });
  }

  /**
   * Adds a key (32 bytes) everywhere: it is read from now on, and not used yet.
   *
   * @throws SwimError SWIM_ERR_KEY_INVALID, SWIM_ERR_NO_KEYRING
   */
  async install(key: Uint8Array): Promise<KeyringResult[]> {
    this.#own();
    Keyring.of([key]);
    return await this.#change({ op: 'install', key: Buffer.from(key).toString('base64') });
  }

  /**
   * Has every member seal with the key of this id.
   *
   * @param force although a member lacks it or does not answer: it is cut off until it has the key
   * @throws SwimError SWIM_ERR_KEY_MISSING naming the members that lack it (nothing has changed),
   * SWIM_ERR_NO_KEYRING
   */
  async use(id: string, force = false): Promise<KeyringResult[]> {
    await this.#check(force, 'SWIM_ERR_KEY_MISSING', (keys) => keys.some((key) => key.id === id));
    return await this.#change({ op: 'use', id });
  }

  /**
   * Removes the key of this id everywhere; where it is not, nothing changes.
   *
   * @param force although a member does not answer; one that uses the key keeps it all the same
   * @throws SwimError SWIM_ERR_KEY_PRIMARY naming the members that use it or did not answer
   * (nothing has changed), SWIM_ERR_NO_KEYRING
   */
  async remove(id: string, force = false): Promise<KeyringResult[]> {
    const isFree = (keys: readonly KeyInfo[]): boolean =>
      !keys.some((key) => key.id === id && key.primary);
    await this.#check(force, 'SWIM_ERR_KEY_PRIMARY', isFree);
    return await this.#change({ op: 'remove', id });
  }

  /** Answers a request of another member. */
  async answer(bytes: Uint8Array): Promise<Uint8Array> {
    const request = decodeKeyringRequest(bytes);
    const answer: KeyringAnswer =
      request === undefined ? { errorCode: 'SWIM_ERR_MALFORMED' } : await this.#perform(request);
    return encodeKeyringMessage(answer);
  }

  #own(): Keyring {
    if (this.#keyring === undefined) throw new SwimError('SWIM_ERR_NO_KEYRING');
    return this.#keyring;
  }

  async #check(
    force: boolean,
    code: SwimErrorCode,
    suits: (keys: readonly KeyInfo[]) => boolean,
  ): Promise<void> {
    const results = await this.list();
    if (force) return;
    const unfit = results.filter((result) => result.keys === undefined || !suits(result.keys));
    if (unfit.length === 0) return;
    const names = unfit.slice(0, NAMES_SHOWN_MAX).map(({ name, errorCode }) => {
      return errorCode === undefined ? name : `${name} (${errorCode})`;
    });
    const more = unfit.length > names.length ? ` and ${unfit.length - names.length} more` : '';
    throw new SwimError(code, `On ${names.join(', ')}${more}.`);
  }

  async #change(change: Change): Promise<KeyringResult[]> {
    return await this.#everywhere(
      async (peer) => {
        const listed = await this.#ask(peer, { op: 'list' });
        if ('errorCode' in listed) return listed;
        return await this.#ask(peer, { ...change, instance: listed.instance });
      },
      { ...change, instance: this.#instance },
    );
  }

  /** This member first, so that it can read what the others seal; then a few at a time. */
  async #everywhere(
    there: (peer: KeyringPeer) => Promise<KeyringAnswer>,
    here: KeyringRequest,
  ): Promise<KeyringResult[]> {
    const results = [result(this.#options.name, await this.#perform(here))];
    const peers = [...this.#options.peers()];
    const worker = async (): Promise<void> => {
      for (let peer = peers.pop(); peer !== undefined; peer = peers.pop()) {
        results.push(result(peer.name, await there(peer)));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return results.sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  #ask(peer: KeyringPeer, request: KeyringRequest): Promise<KeyringAnswer> {
    return new Promise((resolve) => {
      this.#options.request(peer.address, encodeKeyringMessage(request), (bytes) => {
        if (bytes === null) resolve({ errorCode: 'SWIM_ERR_UNREACHABLE' });
        else resolve(answerOf(bytes));
      });
    });
  }

  /** One after another: each begins with the ring that the one before it left. */
  async #perform(request: KeyringRequest): Promise<KeyringAnswer> {
    if (this.#waiting >= WAITING_MAX) return { errorCode: 'SWIM_ERR_BUSY' };
    this.#waiting++;
    const mine = this.#turn.then(() => this.#performNow(request));
    this.#turn = mine;
    try {
      return await mine;
    } finally {
      this.#waiting--;
    }
  }

  /** Never rejects. */
  async #performNow(request: KeyringRequest): Promise<KeyringAnswer> {
    try {
      const before = this.#own();
      const after = this.#changed(before, request);
      if (after !== before) {
        await this.#store(after);
        this.#keyring = after;
        this.#options.apply(after);
      }
      return { instance: this.#instance, keys: after.list() };
    } catch (error) {
      return { errorCode: error instanceof SwimError ? error.code : 'SWIM_ERR_KEYRING_STORE' };
    }
  }

  #changed(keyring: Keyring, request: KeyringRequest): Keyring {
    if (request.op === 'list') return keyring;
    if (request.instance !== this.#instance) throw new SwimError('SWIM_ERR_MALFORMED');
    if (request.op === 'install') return keyring.install(Buffer.from(request.key, 'base64'));
    return request.op === 'use' ? keyring.use(request.id) : keyring.remove(request.id);
  }

  async #store(keyring: Keyring): Promise<void> {
    try {
      await this.#options.store(keyring.secrets());
    } catch (cause) {
      throw new SwimError('SWIM_ERR_KEYRING_STORE', '', { cause });
    }
  }
}

async function answerOf(bytes: Uint8Array): Promise<KeyringAnswer> {
  return decodeKeyringAnswer(bytes) ?? { errorCode: 'SWIM_ERR_MALFORMED' };
}

type Change =
  | { readonly op: 'install'; readonly key: string }
  | { readonly op: 'use' | 'remove'; readonly id: string };

function result(name: string, answer: KeyringAnswer): KeyringResult {
  return 'errorCode' in answer
    ? { name, errorCode: answer.errorCode }
    : { name, keys: answer.keys };
}
