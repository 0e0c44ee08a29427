import { loopbackAddress } from '../../address.ts';
import type { Config } from '../../config.ts';
import type { NodeCore } from '../../node/node.ts';
import type { Log } from '../../ports.ts';
import { TcpListener } from './tcp.ts';

export interface OpenListenerOptions {
  readonly config: Config;
  readonly core: NodeCore;
  readonly log: Log;
}

/**
 * Takes the port for clients, who are turned away until the listener is opened.
 *
 * @throws BROKER_ERR_ADDRESS_NOT_LOOPBACK, and as TcpListener.start
 */
export function openListener({ config, core, log }: OpenListenerOptions): Promise<TcpListener> {
  const { host, port } = loopbackAddress('mqtt.listen', config.mqtt.listen);
  return TcpListener.start({
    host,
    port,
    isOpen: false,
    onConnection: (socket) => core.accept(socket),
    maxConnections: config.limits.connections,
    onPending: (changeBytes) => {
      core.counters.clientBytes += changeBytes;
    },
    log,
  });
}
