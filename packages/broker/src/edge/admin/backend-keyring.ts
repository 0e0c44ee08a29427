/** The keyrings of all members, for people: what membership does, with the broker's errors. */

import { type KeyringResult, SWIM_ERRORS, SwimError, type SwimHandle } from '@shoal/swim';
import { BrokerError, type BrokerErrorCode } from '../../errors.ts';
import { parseKey } from '../store/keyring-file.ts';
import type { KeyringStatus } from './admin-backend.ts';

type Operations = SwimHandle['keyring'];

export function listKeys(keyring: Operations): Promise<KeyringStatus> {
  return report(() => keyring.list());
}

export function installKey(keyring: Operations, text: string): Promise<KeyringStatus> {
  return report(() => keyring.install(parseKey(text)));
}

export function useKey(keyring: Operations, id: string, force: boolean): Promise<KeyringStatus> {
  return report(() => keyring.use(id, force));
}

export function removeKey(keyring: Operations, id: string, force: boolean): Promise<KeyringStatus> {
  return report(() => keyring.remove(id, force));
}

async function report(work: () => Promise<KeyringResult[]>): Promise<KeyringStatus> {
  try {
    const results = await work();
    const members = results.map(({ name, keys, errorCode }) => ({
      name,
      keys: keys ?? null,
      error: errorCode === undefined ? null : { code: errorCode, ...SWIM_ERRORS[errorCode] },
    }));
    return { members };
  } catch (error) {
    if (!(error instanceof SwimError)) throw error;
    const code = ERRORS[error.code] ?? 'BROKER_ERR_NOT_READY';
    const detail = error.message.replace(SWIM_ERRORS[error.code].message, '').trim();
    throw new BrokerError(code, detail, { cause: error });
  }
}

const ERRORS: Readonly<Record<string, BrokerErrorCode>> = {
  SWIM_ERR_NO_KEYRING: 'BROKER_ERR_KEYRING_ABSENT',
  SWIM_ERR_KEY_INVALID: 'BROKER_ERR_KEY_INVALID',
  SWIM_ERR_KEYRING_FULL: 'BROKER_ERR_KEY_INVALID',
  SWIM_ERR_KEY_MISSING: 'BROKER_ERR_KEY_MISSING',
  SWIM_ERR_KEY_PRIMARY: 'BROKER_ERR_KEY_IN_USE',
};
