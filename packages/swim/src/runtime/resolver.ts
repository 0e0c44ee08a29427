import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/**
 * Host names to IP addresses of one family, remembered for five seconds: a name whose address
 * changed is followed that long after the last look, at the latest.
 *
 * Without this every datagram to a name would ask the system's thread pool. At most
 * {@link NAMES_MAX} names are kept; a name is asked for once at a time, however many wait for it.
 */
export class Resolver {
  private readonly family: 4 | 6;
  private readonly ask: (host: string, family: 4 | 6) => Promise<string>;
  private readonly known = new Map<string, { readonly ip: string; readonly untilMs: number }>();
  private readonly asking = new Map<string, Promise<string>>();

  constructor(family: 4 | 6, ask = askSystem) {
    this.family = family;
    this.ask = ask;
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
    const asked = this.asking.get(host);
    if (asked !== undefined) return await asked;
    const asking = this.ask(host, this.family);
    this.asking.set(host, asking);
    try {
      const ip = await asking;
      if (this.known.size >= NAMES_MAX) this.known.clear();
      this.known.set(host, { ip, untilMs: nowMs + NAME_TTL_MS });
      return ip;
    } finally {
      this.asking.delete(host);
    }
  }
}

async function askSystem(host: string, family: 4 | 6): Promise<string> {
  return (await lookup(host, { family })).address;
}

const NAMES_MAX = 1_024;
const NAME_TTL_MS = 5_000;
