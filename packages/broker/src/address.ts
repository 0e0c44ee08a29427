/** Addresses to listen on; of what has no authentication: on loopback only. */
import { type HostPort, isLoopback, readAddress } from '@shoal/swim';
import { BrokerError } from './errors.ts';

/** The rule for what has no authentication, as far as `text` is an address at all. */
export function isOffLoopback(text: string): boolean {
  const address = readAddress(text);
  return !('problem' in address) && !isLoopback(address.host);
}

/**
 * Where to listen.
 *
 * @param key names the setting in the error
 * @throws BROKER_ERR_ADDRESS_UNUSABLE
 */
export function listenAddress(key: string, text: string): HostPort {
  const address = readAddress(text);
  if ('problem' in address)
    throw new BrokerError('BROKER_ERR_ADDRESS_UNUSABLE', `${key} ${text}: ${address.problem}`);
  return address;
}

/**
 * Where a listener without authentication may listen.
 *
 * @param key names the setting in the error
 * @throws BROKER_ERR_ADDRESS_UNUSABLE, BROKER_ERR_ADDRESS_NOT_LOOPBACK
 */
export function loopbackAddress(key: string, text: string): HostPort {
  const address = listenAddress(key, text);
  if (!isLoopback(address.host))
    throw new BrokerError('BROKER_ERR_ADDRESS_NOT_LOOPBACK', `${key} ${text}`);
  return address;
}
