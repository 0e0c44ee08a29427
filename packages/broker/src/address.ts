/** Network addresses as text: HOST:PORT, with an IPv6 host in brackets. */
import { BrokerError } from './errors.ts';

export interface Address {
  /** Name or IP address, without brackets. */
  readonly host: string;
  /** 0 ≤ port ≤ 65535. */
  readonly port: number;
}

/** Parses `text`; never throws. */
export function parseAddress(text: string): Address | { readonly problem: string } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text);
  if (match === null) {
    if (/^https?:\/\//.test(text)) return { problem: 'an address, not a URL' };
    if (!text.includes(':')) return { problem: 'the port is missing' };
    return { problem: 'an IPv6 host goes into brackets, as in [::1]:1883' };
  }
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  if (port > 65_535) return { problem: 'the port is above 65535' };
  return { host, port };
}

/** The inverse of {@link parseAddress}. */
export function formatAddress(address: Address): string {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** True for 127.0.0.0/8, ::1 and the name localhost; false for any other name. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return /^127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(host);
}

/** The rule for what has no authentication, as far as `text` is an address at all. */
export function isOffLoopback(text: string): boolean {
  const address = parseAddress(text);
  return !('problem' in address) && !isLoopback(address.host);
}

/**
 * Where a listener without authentication may listen.
 *
 * @param key names the setting in the error
 * @throws BROKER_ERR_ADDRESS_UNUSABLE, BROKER_ERR_ADDRESS_NOT_LOOPBACK
 */
export function loopbackAddress(key: string, text: string): Address {
  const address = parseAddress(text);
  if ('problem' in address)
    throw new BrokerError('BROKER_ERR_ADDRESS_UNUSABLE', `${key} ${text}: ${address.problem}`);
  if (!isLoopback(address.host))
    throw new BrokerError('BROKER_ERR_ADDRESS_NOT_LOOPBACK', `${key} ${text}`);
  return address;
}
