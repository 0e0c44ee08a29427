import { isWildcard } from '@shoal/swim';
import { isOffLoopback, listenAddress } from '../../address.ts';
import type { Config } from '../../config.ts';
import type { ListenerConfig } from '../../config-listener.ts';
import type { NodeCore } from '../../node/node.ts';
import type { Log } from '../../ports.ts';
import type { Listener, ListenerOptions } from './listener.ts';
import { connectionsWithin, openFilesMax } from './open-files.ts';
import { startListener } from './transports.ts';

/** A listener as reports show it. */
export interface ListenerReport extends Pick<ListenerConfig, 'name' | 'transport' | 'path'> {
  /** As bound: with the port taken where 0 was asked for. */
  readonly address: string;
}

/** The listeners of a node: one bound on connections for all, opened and closed together. */
export class Listeners implements Omit<Listener, 'address'> {
  readonly #listeners: { readonly config: ListenerConfig; readonly listener: Listener }[] = [];

  /**
   * Takes the addresses of all listeners; clients are turned away until {@link open}.
   *
   * @throws BROKER_ERR_ADDRESS_IN_USE, BROKER_ERR_ADDRESS_UNUSABLE,
   *   BROKER_ERR_TLS_FILE, naming the listener or the file; none stays
   */
  static async start(
    configs: readonly ListenerConfig[],
    options: Omit<ListenerOptions, 'othersCount' | 'isOpen'>,
  ): Promise<Listeners> {
    const listeners = new Listeners();
    try {
      for (const config of configs) await listeners.#add(config, options);
    } catch (error) {
      await listeners.close();
      throw error;
    }
    return listeners;
  }

  async #add(config: ListenerConfig, options: ListenerOptions): Promise<void> {
    let own: Listener | undefined;
    const othersCount = () => this.count - (own?.count ?? 0);
    own = await startListener(config, { ...options, isOpen: false, othersCount });
    this.#listeners.push({ config, listener: own });
  }

  /** In the order of the configuration. */
  get reports(): readonly [ListenerReport, ...ListenerReport[]] {
    const [first, ...rest] = this.#listeners.map(({ config, listener }) => {
      const { name, transport, path } = config;
      const report = { name, transport, address: listener.address };
      return path === undefined ? report : { ...report, path };
    });
    if (first === undefined) throw new Error('a node without a listener');
    return [first, ...rest];
  }

  /** What this member tells clients and other members: the first listener of transport `tcp`, else the first. */
  get main(): ListenerReport {
    const { reports } = this;
    return reports.find(({ transport }) => transport === 'tcp') ?? reports[0];
  }

  /** Where clients may be referred to; '' where the address is a path on this machine, or every interface. */
  get reference(): string {
    const { transport, address } = this.main;
    if (transport === 'unix') return '';
    return isWildcard(listenAddress('mqtt.listeners', address).host) ? '' : address;
  }

  get count(): number {
    let count = 0;
    for (const { listener } of this.#listeners) count += listener.count;
    return count;
  }

  open(): void {
    for (const { listener } of this.#listeners) listener.open();
  }

  flush(): void {
    for (const { listener } of this.#listeners) listener.flush();
  }

  /** Certificates are read again; a bad one is logged, and the old one stays. */
  async reload(): Promise<void> {
    await Promise.all(this.#listeners.map(({ listener }) => listener.reload()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#listeners.map(({ listener }) => listener.close()));
  }
}

/** The listeners as configured, between clients and the core of a node. */
export function openListeners(
  { mqtt, auth, limits, timings }: Config,
  core: NodeCore,
  log: Log,
): Promise<Listeners> {
  for (const { name, transport, address } of mqtt.listeners)
    if (auth.insecure && !auth.required && transport !== 'unix' && isOffLoopback(address))
      log('warn', 'everybody who reaches the address may read and write every message', {
        listener: name,
        address,
        why: 'auth.insecure is set, and auth.required is not',
      });
  return Listeners.start(mqtt.listeners, {
    onConnection: (socket) => core.accept(socket),
    maxConnections: connectionsWithin(limits.connections, openFilesMax(), log),
    excess: core.counters,
    maxPacketBytes: limits.maxPacketBytes,
    opening: {
      handshakesMax: limits.handshakes,
      handshakeTimeoutMs: timings.handshakeTimeoutMs,
      counters: core.counters,
    },
    onPending: (changeBytes) => {
      core.counters.clientBytes += changeBytes;
    },
    log,
  });
}
