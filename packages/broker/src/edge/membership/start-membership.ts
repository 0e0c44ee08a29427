/** Membership as configured: in a thread of its own, or in the main loop. */

import {
  SwimAgent,
  type SwimAgentOptions,
  SwimError,
  type SwimHandle,
  SwimThread,
  swimConfig,
} from '@shoal/swim';
import { type Config, swimSettings } from '../../config.ts';
import { BrokerError } from '../../errors.ts';
import type { Identity } from '../../node/members/identity.ts';
import type { NodeCore } from '../../node/node.ts';
import type { Log } from '../../ports.ts';
import { encodeMeta } from '../../process/member-meta.ts';
import type { ProcessCore } from '../../process/process-core.ts';
import type { ProcessMembership } from '../../process/process-port.ts';
import type { KeyringKeys } from '../store/keyring-file.ts';
import { agentOptions } from './member-hosts.ts';

type AgentOptions = Omit<SwimAgentOptions, 'transport' | 'hostOf'>;

export interface MembershipOptions {
  readonly config: Config;
  readonly identity: Identity;
  readonly core: NodeCore;
  readonly process: ProcessCore;
  /** Absent where nodes talk in clear. */
  readonly keyring: KeyringKeys | undefined;
  readonly onKeyring: (keys: KeyringKeys) => Promise<void>;
  /** A connection to the cluster address that is not membership's. */
  readonly onForeignStream: NonNullable<SwimAgentOptions['onForeignStream']>;
  readonly log: Log;
}

/**
 * Takes part in membership; joining goes on after it resolves.
 *
 * @throws BROKER_ERR_ADDRESS_IN_USE; otherwise SwimError as SwimAgent.start and SwimThread.start
 */
export async function startMembership(options: MembershipOptions): Promise<SwimHandle> {
  const { config, process } = options;
  try {
    return await start(config.swim, agentOptionsOf(options), (error) => process.fatal(error));
  } catch (cause) {
    if (!(cause instanceof SwimError) || cause.code !== 'SWIM_ERR_ADDRESS_IN_USE') throw cause;
    const detail = `cluster.listen ${config.cluster.listen}`;
    throw new BrokerError('BROKER_ERR_ADDRESS_IN_USE', detail, { cause });
  }
}

function agentOptionsOf(options: MembershipOptions): AgentOptions {
  const { config, identity, core, process, keyring, onKeyring, onForeignStream, log } = options;
  const { listen, advertise, join, discovery, encryption } = config.cluster;
  return {
    config: swimConfig(swimSettings(config.swim)),
    name: identity.name,
    bootEpoch: identity.bootEpoch,
    clusterId: core.clusterId,
    listen,
    ...(keyring === undefined ? {} : { keyring, encryption }),
    ...(advertise === undefined ? {} : { advertise }),
    meta: encodeMeta(process.meta),
    seeds: join,
    discovery,
    onKeyring,
    onMembers: () => process.onMembers(),
    onView: ({ number }) => process.onStableView(number),
    onClusterId: (id) => core.joining.onClusterId(id),
    // The process ends by it, and takes this boot epoch when it starts again.
    onBootEpoch: (epoch) => new Promise(() => core.lineage.outlive(epoch, () => {})),
    onForeignStream,
    onNotice: (code, address) => process.onNotice(code, address),
    log,
  };
}

async function start(
  settings: Config['swim'],
  options: AgentOptions,
  onFatal: (error: BrokerError) => void,
): Promise<SwimHandle> {
  const { thread, unwellAfterMs, deadAfterMs } = settings;
  if (thread === 'main') return await SwimAgent.start({ ...options, ...agentOptions() });
  return await SwimThread.start({
    ...options,
    unwellAfterMs,
    deadAfterMs,
    setup: { module: HOSTS_MODULE },
    onFailure: (cause) =>
      onFatal(new BrokerError('BROKER_ERR_MEMBERSHIP_ENDED', cause.message, { cause })),
  });
}

/** From source it is TypeScript, from dist and an installed package JavaScript. */
const HOSTS_MODULE = new URL(
  import.meta.url.endsWith('.ts') ? './member-hosts.ts' : './member-hosts.js',
  import.meta.url,
).href;

/** Membership as the process core uses it. */
export function processMembership(handle: SwimHandle): ProcessMembership {
  return {
    members: () => handle.members(),
    stableView: () => handle.view(),
    setMeta: (meta) => handle.setMeta(meta),
    setUnwell: (unwell) => handle.setUnwell(unwell),
    leave: (done) => void handle.leave().then(done, done),
  };
}
