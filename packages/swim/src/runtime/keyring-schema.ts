/** What messages about keyrings look like. */
import { z } from 'zod';
import { SWIM_ERRORS, type SwimErrorCode } from '../errors.ts';
import { KEYS_MAX } from '../security/keyring.ts';

const id = z.string().regex(/^[0-9a-f]{8}$/);
const instance = z.string().max(64);

/** Of a KeyringRequest. */
export const requestSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('list') }),
  z.strictObject({ op: z.literal('install'), key: z.base64().max(64), instance }),
  z.strictObject({ op: z.literal('use'), id, instance }),
  z.strictObject({ op: z.literal('remove'), id, instance }),
]);

/** Of a KeyringAnswer. */
export const answerSchema = z.union([
  z.strictObject({
    instance,
    keys: z.array(z.strictObject({ id, primary: z.boolean() })).max(KEYS_MAX),
  }),
  z.strictObject({ errorCode: z.enum(Object.keys(SWIM_ERRORS) as [SwimErrorCode]) }),
]);
