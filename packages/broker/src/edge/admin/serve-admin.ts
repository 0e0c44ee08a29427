import type { SwimHandle } from '@shoal/swim';
import type { Config } from '../../config.ts';
import { BrokerError } from '../../errors.ts';
import type { NodeCore } from '../../node/node.ts';
import type { Log } from '../../ports.ts';
import type { ProcessCore } from '../../process/process-core.ts';
import { type AdminApi, startAdminApi } from './admin-api.ts';
import { Backend } from './backend.ts';
import { BrokerMetrics } from './metrics.ts';

export interface ServeAdminOptions {
  readonly config: Config;
  readonly core: NodeCore;
  /** Null until this node takes part in membership. */
  readonly membership: () => SwimHandle | null;
  readonly process: ProcessCore;
  readonly log: Log;
}

export interface ServedAdmin extends AdminApi {
  /** A tick of the process was so many milliseconds late. */
  onTick(lateMs: number): void;
}

/**
 * Serves the admin API of a node: probes and metrics at once, the rest when the node has joined. Other
 * members hear of its address.
 *
 * @throws BrokerError as startAdminApi
 */
export async function serveAdmin(options: ServeAdminOptions): Promise<ServedAdmin> {
  const { config, core, process, log } = options;
  const membership = () => {
    const handle = options.membership();
    if (handle === null) throw new BrokerError('BROKER_ERR_NOT_READY', 'the node is starting');
    return handle;
  };
  const backend = new Backend(core, {
    dataDir: config.data.dir,
    join: (address) => membership().join(address),
    keyring: () => membership().keyring,
    leave: () => process.leave(),
    forceLeave: (name) => membership().forceLeave(name),
    reportEnd: (name, bootEpoch) => membership().reportEnd(name, bootEpoch),
  });
  const metrics = new BrokerMetrics(
    () => backend.counters(),
    config.node.name,
    () => options.membership() ?? undefined,
  );
  const api = await startAdminApi({ listen: config.admin.listen, backend, metrics, log });
  process.setMeta({ admin: api.address });
  return {
    address: api.address,
    onTick: (lateMs) => metrics.onTick(lateMs),
    close: async () => {
      backend.close();
      await api.close();
    },
  };
}
