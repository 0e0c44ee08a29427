import type { SwimErrorCode } from '../errors.ts';
import type { KeyInfo } from '../security/keyring.ts';

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
export async function decodeKeyringRequest(bytes: Uint8Array): Promise<KeyringRequest | undefined> {
  const { requestSchema } = await loadSchema();
  return requestSchema.safeParse(parse(bytes)).data;
}

/** Undefined if the bytes are no such answer. */
export async function decodeKeyringAnswer(bytes: Uint8Array): Promise<KeyringAnswer | undefined> {
  const { answerSchema } = await loadSchema();
  return answerSchema.safeParse(parse(bytes)).data;
}

/** When it is first needed: it is 7 MiB in a thread that may never need it. */
async function loadSchema(): Promise<typeof import('./keyring-schema.ts')> {
  return await import('./keyring-schema.ts');
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
