import { z } from 'zod';
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

const id = z.string().regex(/^[0-9a-f]{8}$/);
const instance = z.string().max(64);

const requestSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('list') }),
  z.strictObject({ op: z.literal('install'), key: z.base64().max(64), instance }),
  z.strictObject({ op: z.literal('use'), id, instance }),
  z.strictObject({ op: z.literal('remove'), id, instance }),
]);

const answerSchema = z.union([
  z.strictObject({
    instance,
    keys: z.array(z.strictObject({ id, primary: z.boolean() })).max(KEYS_MAX),
  }),
  z.strictObject({ errorCode: z.enum(Object.keys(SWIM_ERRORS) as [SwimErrorCode]) }),
]);

export function encodeKeyringMessage(message: KeyringRequest | KeyringAnswer): Uint8Array {
  const prefix = Buffer.of(KEYRING_MAGIC, KEYRING_VERSION);
  return Buffer.concat([prefix, Buffer.from(JSON.stringify(message))]);
}

/** Undefined if the bytes are no such request. */
export function decodeKeyringRequest(bytes: Uint8Array): KeyringRequest | undefined {
  return requestSchema.safeParse(parse(bytes)).data;
}

/** Undefined if the bytes are no such answer. */
export function decodeKeyringAnswer(bytes: Uint8Array): KeyringAnswer | undefined {
  return answerSchema.safeParse(parse(bytes)).data;
}

function parse(bytes: Uint8Array): unknown {
  if (bytes.length > MESSAGE_BYTES_MAX) return undefined;
  if (bytes[0] !== KEYRING_MAGIC || bytes[1] !== KEYRING_VERSION) return undefined;
  try {
    return JSON.parse(Buffer.from(bytes.subarray(2)).toString('utf8'));
  } catch {
    return undefined;
  }
}
