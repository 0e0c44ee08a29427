import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

const NAMES_MAX = 1_024;
const NAME_TTL_MS = 5_000;

/**
 * Looks host names up, for IP addresses of one family. Remembers an address for five seconds; the first
 * message after them starts another lookup.
 *
 * That message, and those during the lookup, go to the known address: a slow or absent name server
 * delays nothing and separates no members. The first message after the lookup goes to the new address.
 * Messages to a name without a known address wait for it.
 *
 * Without this every datagram to a name would ask the system's thread pool. At most
 * {@link NAMES_MAX} names are kept; a name is asked for once at a time, however many wait for it, and one
 * with a known address once in five seconds, whether that fails or not.
 */
export class Resolver {
  readonly #family: 4 | 6;
  readonly #ask: (host: string, family: 4 | 6) => Promise<string>;
  readonly #known = new Map<string, { readonly ip: string; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<string>>();

  constructor(family: 4 | 6, ask = askSystem) {
    this.#family = family;
    this.#ask = ask;
  }

  /** At once if the host is an IP address or was asked for lately. */
  cached(host: string, nowMs: number): string | undefined {
    if (isIP(host) !== 0) return host;
    const entry = this.#known.get(host);
    return entry !== undefined && entry.untilMs > nowMs ? entry.ip : undefined;
  }

  /** @throws what the resolver throws (ENOTFOUND and the like), for a name without a known address */
  async resolve(host: string, nowMs: number): Promise<string> {
    const cached = this.cached(host, nowMs);
    if (cached !== undefined) return cached;
    const asking = this.#asking.get(host) ?? this.#look(host, nowMs);
    const old = this.#known.get(host);
    if (old === undefined) return await asking;
    asking.catch(() => {});
    return old.ip;
  }

  #look(host: string, nowMs: number): Promise<string> {
    const old = this.#known.get(host);
    const asking = this.#ask(host, this.#family)
      .then(
        (ip) => {
          this.#keep(host, ip, nowMs);
          return ip;
        },
        (error: unknown) => {
          if (old !== undefined) this.#keep(host, old.ip, nowMs);
          throw error;
        },
      )
      .finally(() => this.#asking.delete(host));
    this.#asking.set(host, asking);
    return asking;
  }

  #keep(host: string, ip: string, nowMs: number): void {
    if (this.#known.size >= NAMES_MAX && !this.#known.has(host)) this.#known.clear();
    this.#known.set(host, { ip, untilMs: nowMs + NAME_TTL_MS });
  }
}

async function askSystem(host: string, family: 4 | 6): Promise<string> {
  return (await lookup(host, { family })).address;
}
