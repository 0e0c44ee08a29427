import { SWIM_ERRORS, type SwimErrorCode } from '../errors.ts';
import { KEYS_MAX, type KeyInfo } from '../security/keyring.ts';

/*
 * A request about the keyring, and its answer, on a stream and always sealed:
 *
 *   0x4B  version:1  JSON
 */

/** First byte of a message about the keyring: 'K'. */
export const KEYRING_MAGIC = 0x4b;
const KEYRING_VERSION = 1;
/** Bytes of a request about keys, or of its answer; a longer one is refused. */
const MESSAGE_BYTES_MAX = 4_096;

/** What a member is asked to do with its keyring. `instance` is what its answer to `list` said. */
export type KeyringRequest =
  | { readonly op: 'list' }
  | { readonly op: 'install'; readonly key: string; readonly instance: string }
  | { readonly op: 'use'; readonly id: string; readonly instance: string }
  | { readonly op: 'remove'; readonly id: string; readonly instance: string };

/** A member's ring after the operation, or why there was none. */
export type KeyringAnswer =
  | { readonly instance: string; readonly keys: readonly KeyInfo[] }
  | { readonly errorCode: SwimErrorCode };

export function encodeKeyringMessage(message: KeyringRequest | KeyringAnswer): Uint8Array {
  const prefix = Buffer.of(KEYRING_MAGIC, KEYRING_VERSION);
  return Buffer.concat([prefix, Buffer.from(JSON.stringify(message))]);
}

/** Undefined if the bytes are no such request. */
export function decodeKeyringRequest(bytes: Uint8Array): KeyringRequest | undefined {
  const value = parse(bytes);
  if (value === undefined) return undefined;
  const { op, key, id, instance } = value;
  if (op === 'list') return hasOnly(value, 'op') ? { op } : undefined;
  if (!isInstance(instance)) return undefined;
  if (op === 'install') {
    const isKey =
      typeof key === 'string' && KEY.test(key) && hasOnly(value, 'op', 'key', 'instance');
    return isKey ? { op, key, instance } : undefined;
  }
  if (op !== 'use' && op !== 'remove') return undefined;
  return isId(id) && hasOnly(value, 'op', 'id', 'instance') ? { op, id, instance } : undefined;
}

/** Undefined if the bytes are no such answer. */
export function decodeKeyringAnswer(bytes: Uint8Array): KeyringAnswer | undefined {
  const value = parse(bytes);
  if (value === undefined) return undefined;
  const { errorCode, instance, keys } = value;
  if (typeof errorCode === 'string' && hasOnly(value, 'errorCode')) {
    const isKnown = Object.hasOwn(SWIM_ERRORS, errorCode);
    return isKnown ? { errorCode: errorCode as SwimErrorCode } : undefined;
  }
  if (!isInstance(instance) || !Array.isArray(keys) || keys.length > KEYS_MAX) return undefined;
  return keys.every(isKeyInfo) && hasOnly(value, 'instance', 'keys')
    ? { instance, keys }
    : undefined;
}

type Fields = Readonly<Record<string, unknown>>;

function parse(bytes: Uint8Array): Fields | undefined {
  if (bytes.length > MESSAGE_BYTES_MAX) return undefined;
  if (bytes[0] !== KEYRING_MAGIC || bytes[1] !== KEYRING_VERSION) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.subarray(2)).toString('utf8'));
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasOnly(value: Fields, ...names: readonly string[]): boolean {
  return Object.keys(value).every((name) => names.includes(name));
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{8}$/.test(value);
}

function isInstance(value: unknown): value is string {
  return typeof value === 'string' && value.length <= INSTANCE_LENGTH_MAX;
}

function isKeyInfo(value: unknown): value is KeyInfo {
  if (!isFields(value)) return false;
  return isId(value.id) && typeof value.primary === 'boolean' && hasOnly(value, 'id', 'primary');
}

/** Base64, of 32 bytes or what a sender takes for a key. */
const KEY = /^(?=.{0,64}$)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** Characters of the name of the process that a request about keys is for. */
const INSTANCE_LENGTH_MAX = 64;
