import { isLoopback, parseAddress } from '../address.ts';
import { SwimError } from '../errors.ts';

/**
 * Without a key, a member of a network of sockets stays on loopback. Names other than localhost may
 * lead anywhere.
 *
 * @throws SwimError SWIM_ERR_KEY_REQUIRED
 */
export function checkLoopback(options: {
  readonly listen: string;
  readonly advertise?: string;
  readonly keyring?: readonly Uint8Array[];
  readonly insecure?: boolean;
}): void {
  if (options.keyring !== undefined || options.insecure === true) return;
  for (const address of [options.listen, options.advertise]) {
    if (address === undefined || isLoopback(parseAddress(address).host)) continue;
    throw new SwimError('SWIM_ERR_KEY_REQUIRED', address);
  }
}
