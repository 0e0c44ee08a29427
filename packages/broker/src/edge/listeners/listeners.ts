import { loopbackAddress } from '../../address.ts';
import type { Config } from '../../config.ts';
import type { NodeCore } from '../../node/node.ts';
import type { Log } from '../../ports.ts';
import type { Listener, ListenerOptions } from './listener.ts';
import { TcpListener } from './tcp.ts';

type ListenerConfig = Config['mqtt']['listeners'][number];

/** A listener as reports show it. */
export interface ListenerReport extends ListenerConfig {
  /** As bound: with the port taken where 0 was asked for. */
  readonly address: string;
}

/** How a listener of each transport is started. */
const START: Readonly<
  Record<
    ListenerConfig['transport'],
    (config: ListenerConfig, options: ListenerOptions) => Promise<Listener>
  >
> = {
  tcp: ({ name, address }, options) =>
    TcpListener.start({ ...options, ...loopbackAddress(`mqtt.listeners ${name}`, address), name }),
};

/** The listeners of a node: one bound on connections for all, opened and closed together. */
export class Listeners implements Omit<Listener, 'address'> {
  readonly #listeners: { readonly config: ListenerConfig; readonly listener: Listener }[] = [];

  /**
   * Takes the addresses of all listeners; clients are turned away until {@link open}.
   *
   * @throws BROKER_ERR_ADDRESS_IN_USE, BROKER_ERR_ADDRESS_UNUSABLE, BROKER_ERR_ADDRESS_NOT_LOOPBACK, naming the
   *   listener; none stays
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
    own = await START[config.transport](config, { ...options, isOpen: false, othersCount });
    this.#listeners.push({ config, listener: own });
  }

  /** In the order of the configuration: the first is the one that this member tells others. */
  get reports(): readonly [ListenerReport, ...ListenerReport[]] {
    const [first, ...rest] = this.#listeners.map(({ config, listener }) => ({
      ...config,
      address: listener.address,
    }));
    if (first === undefined) throw new Error('a node without a listener');
    return [first, ...rest];
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

  async close(): Promise<void> {
    await Promise.all(this.#listeners.map(({ listener }) => listener.close()));
  }
}

/** The listeners as configured, between clients and the core of a node. */
export function openListeners(
  { mqtt, limits }: Config,
  core: NodeCore,
  log: Log,
): Promise<Listeners> {
  return Listeners.start(mqtt.listeners, {
    onConnection: (socket) => core.accept(socket),
    maxConnections: limits.connections,
    onPending: (changeBytes) => {
      core.counters.clientBytes += changeBytes;
    },
    log,
  });
}
