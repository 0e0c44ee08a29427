import { SwimError } from './errors.ts';

/** A parsed host:port. */
export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * Parses `host:port`, an IPv6 host in brackets.
 *
 * @throws SwimError SWIM_ERR_ADDRESS_INVALID
 */
export function parseAddress(address: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port <= 65_535)) {
    throw new SwimError('SWIM_ERR_ADDRESS_INVALID', `"${address}" is not HOST:PORT.`);
  }
  return { host, port };
}

/** The inverse of {@link parseAddress}. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine reaches a host: 127.0.0.0/8, ::1 or the name localhost. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Whether a host means every interface, so that no peer can use it. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
