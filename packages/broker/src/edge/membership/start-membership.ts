/** Membership as configured: in a thread of its own, or in the main loop. */

import {
  SwimAgent,
  type SwimAgentOptions,
  SwimError,
  type SwimHandle,
  SwimThread,
} from '@shoal/swim';
import type { Config } from '../../config.ts';
import { BrokerError } from '../../errors.ts';
import { agentOptions } from './member-hosts.ts';

/**
 * @param onFatal the thread ended: peers will find this node faulty
 * @throws BROKER_ERR_ADDRESS_IN_USE; otherwise SwimError as SwimAgent.start and SwimThread.start
 */
export async function startMembership(
  settings: Config['swim'],
  options: Omit<SwimAgentOptions, 'transport' | 'hostOf'>,
  onFatal: (error: BrokerError) => void,
): Promise<SwimHandle> {
  try {
    return await start(settings, options, onFatal);
  } catch (cause) {
    if (cause instanceof SwimError && cause.code === 'SWIM_ERR_ADDRESS_IN_USE')
      throw new BrokerError('BROKER_ERR_ADDRESS_IN_USE', `cluster.listen ${options.listen}`, {
        cause,
      });
    throw cause;
  }
}

async function start(
  settings: Config['swim'],
  options: Omit<SwimAgentOptions, 'transport' | 'hostOf'>,
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
