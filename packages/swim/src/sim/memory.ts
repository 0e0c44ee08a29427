import { formatAddress, parseAddress } from '../address.ts';
import { SwimError } from '../errors.ts';
import type { Transport, TransportOptions } from '../transport.ts';
import { Network } from './network.ts';
import { Prng } from './prng.ts';
import { RealTime } from './real-time.ts';

/** Packets and requests under way in a hub; what comes then fails as if lost. */
const UNDER_WAY_MAX = 65_536;
const PORTS = 65_535;

/**
 * A network within one process, for tests of what is built on membership: no socket, no port that
 * may be taken, nothing lost unless too much is under way.
 *
 * ```ts
 * const hub = new MemoryHub();
 * const a = await SwimAgent.start({ ...options, listen: 'a:1', transport: hub.open });
 * const b = await SwimAgent.start({ ...options, listen: 'b:1', transport: hub.open, seeds: ['a:1'] });
 * ```
 *
 * It is the simulated network in real time, without faults and delays. Packets arrive in the order
 * sent, in a later turn of the event loop. At most 65,536 packets and requests are under way; what comes
 * then fails as if lost.
 */
export class MemoryHub {
  readonly #network = new Network({
    scheduler: new RealTime(),
    prng: new Prng('memory'),
    faults: { delayMinMs: 0, delayMaxMs: 0 },
    underWayMax: UNDER_WAY_MAX,
  });
  #lastPort = 0;

  /** Opens a transport at `listen`, any host:port; port 0 for one of the hub's choice. */
  readonly open = async (options: TransportOptions): Promise<Transport> => {
    const { host, port } = parseAddress(options.listen);
    const listen = formatAddress(host, port === 0 ? this.#freePort(host) : port);
    if (this.#network.isTaken(listen)) throw new SwimError('SWIM_ERR_ADDRESS_IN_USE', listen);
    return this.#network.open({ ...options, listen });
  };

  #freePort(host: string): number {
    for (let tries = 0; tries < PORTS; tries++) {
      this.#lastPort = (this.#lastPort % PORTS) + 1;
      if (!this.#network.isTaken(formatAddress(host, this.#lastPort))) return this.#lastPort;
    }
    throw new SwimError('SWIM_ERR_ADDRESS_IN_USE', `Every port of ${host}.`);
  }
}
