/** Network addresses as text: HOST:PORT, with an IPv6 host in brackets. */
import { SwimError } from './errors.ts';

/** A parsed HOST:PORT. */
export interface HostPort {
  /** Name or IP address, without brackets; an IPv6 address may end in %ZONE. */
  readonly host: string;
  /** 0 ≤ port ≤ 65535. */
  readonly port: number;
}

/** What keeps a text from being an address, for a message. */
export interface AddressProblem {
  readonly problem: string;
}

const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+(?:%[^\]\s/]+)?)\]|([^:[\]\s/]+)):(\d{1,5})$/;

/** Parses HOST:PORT; never throws, whatever a caller without types gives it. */
export function readAddress(text: string): HostPort | AddressProblem {
  if (typeof text !== 'string') return { problem: 'not a text' };
  const match = ADDRESS.exec(text);
  if (match === null) {
    if (/^https?:\/\//.test(text)) return { problem: 'an address, not a URL' };
    if (!text.includes(':')) return { problem: 'the port is missing' };
    return { problem: 'an IPv6 host goes into brackets, as in [::1]:1883' };
  }
  const port = Number(match[3]);
  if (port > 65_535) return { problem: 'the port is above 65535' };
  return { host: match[1] ?? match[2] ?? '', port };
}

/**
 * Parses HOST:PORT.
 *
 * @throws SwimError SWIM_ERR_ADDRESS_INVALID
 */
export function parseAddress(text: string): HostPort {
  const address = readAddress(text);
  if ('problem' in address) {
    throw new SwimError('SWIM_ERR_ADDRESS_INVALID', `"${text}" is not HOST:PORT.`);
  }
  return address;
}

/** The inverse of {@link parseAddress}. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True for 127.0.0.0/8, ::1 and the name localhost; false for any other name. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return /^127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(host);
}

/** Whether a host means every interface, so that no peer can use it. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
