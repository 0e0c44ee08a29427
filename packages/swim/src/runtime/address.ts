import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { SwimError } from '../errors.ts';

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

/** Whether a host means every interface, so that nobody can be sent to it. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/**
 * Host names to IP addresses of one family, remembered for a few seconds.
 *
 * Without this every datagram to a name would ask the resolver's thread pool. At most
 * {@link NAMES_MAX} names are kept.
 */
export class Resolver {
  private readonly family: 4 | 6;
  private readonly known = new Map<string, { readonly ip: string; readonly untilMs: number }>();

  constructor(family: 4 | 6) {
    this.family = family;
  }

  /** At once if the host is an IP address or was asked for lately. */
  cached(host: string, nowMs: number): string | undefined {
    if (isIP(host) !== 0) return host;
    const entry = this.known.get(host);
    return entry !== undefined && entry.untilMs > nowMs ? entry.ip : undefined;
  }

  /** @throws what the resolver throws (ENOTFOUND and the like) */
  async resolve(host: string, nowMs: number): Promise<string> {
    const cached = this.cached(host, nowMs);
    if (cached !== undefined) return cached;
    const { address } = await lookup(host, { family: this.family });
    if (this.known.size >= NAMES_MAX) this.known.clear();
    this.known.set(host, { ip: address, untilMs: nowMs + NAME_TTL_MS });
    return address;
  }
}

const NAMES_MAX = 1_024;
const NAME_TTL_MS = 5_000;
