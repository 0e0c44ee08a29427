import { Resolver } from 'node:dns/promises';
import { formatAddress } from '../address.ts';
import type { Discovery, Finder } from './discovery.ts';

/** Services of one name whose addresses are asked for; further ones are left out. */
const SERVICES_MAX = 64;

/** What {@link dnsSeeds} asks for. */
export interface DnsSeedsOptions {
  /** The name asked for: `swim.example`; of services `_swim._udp.example`. */
  readonly name: string;
  /** Port of every address found, 1 to 65535; services bring their own. */
  readonly port?: number;
  /** Default A and AAAA. SRV gives ports and names, whose A and AAAA are asked for in turn. */
  readonly type?: 'A' | 'AAAA' | 'SRV';
  /** IP or IP:port of the servers to ask; default those of the system. */
  readonly servers?: readonly string[];
  /** Wait for one answer; there are two attempts. Default 1 s. */
  readonly timeoutMs?: number;
}

/**
 * Seeds from DNS: every address of a name, or every service of one.
 *
 * Each round asks the DNS servers, not `/etc/hosts`, so it follows a change as soon as the server has
 * it. A service that cannot be looked up hides none of the others. At most 64 are taken, by priority.
 */
export function dnsSeeds(options: DnsSeedsOptions): Discovery {
  const { name, port, type, servers = [] } = options;
  const kind = type === 'SRV' ? 'srv' : 'dns';
  const from = servers.length === 0 ? '' : `@${servers.join('@')}`;
  return {
    describes: `${kind}:${name}${port === undefined ? '' : `:${port}`}${from}`,
    open: async () => new DnsFinder(options),
  };
}

class DnsFinder implements Finder {
  readonly #options: DnsSeedsOptions;

  constructor(options: DnsSeedsOptions) {
    this.#options = options;
  }

  async search(found: (seed: string) => void, signal: AbortSignal): Promise<void> {
    const { name, port, type, servers = [], timeoutMs = 1_000 } = this.#options;
    // A new one each time: the system's servers may have changed.
    const resolver = new Resolver({ timeout: timeoutMs, tries: 2 });
    if (servers.length > 0) resolver.setServers(servers);
    const cancel = (): void => resolver.cancel();
    signal.addEventListener('abort', cancel);
    try {
      if (type === 'SRV') await findServices(resolver, name, found);
      else await findAddresses(resolver, name, port ?? 0, type, found);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  async close(): Promise<void> {}
}

async function findServices(
  resolver: Resolver,
  name: string,
  found: (seed: string) => void,
): Promise<void> {
  const services = await resolver.resolveSrv(name);
  services.sort((one, other) => one.priority - other.priority);
  await oneOf(
    services
      .slice(0, SERVICES_MAX)
      .map((service) => findAddresses(resolver, service.name, service.port, undefined, found)),
  );
}

async function findAddresses(
  resolver: Resolver,
  name: string,
  port: number,
  type: 'A' | 'AAAA' | undefined,
  found: (seed: string) => void,
): Promise<void> {
  const take = (addresses: readonly string[]): void => {
    for (const address of addresses) found(formatAddress(address, port));
  };
  const asked: Promise<void>[] = [];
  if (type !== 'AAAA') asked.push(resolver.resolve4(name).then(take));
  if (type !== 'A') asked.push(resolver.resolve6(name).then(take));
  await oneOf(asked);
}

/** Waits for all. If all failed, fails with the error that says most. */
async function oneOf(asked: readonly Promise<void>[]): Promise<void> {
  const failures: NodeJS.ErrnoException[] = [];
  for (const result of await Promise.allSettled(asked)) {
    if (result.status === 'rejected') failures.push(result.reason as NodeJS.ErrnoException);
  }
  if (failures.length === 0 || failures.length < asked.length) return;
  throw failures.find((failure) => failure.code !== 'ENODATA') ?? failures[0];
}
