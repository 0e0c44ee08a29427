/** Membership as configured: in a thread of its own, or in the main loop. */

import { SwimAgent, type SwimAgentOptions, type SwimHandle, SwimThread } from '@shoal/swim';
import type { Config } from '../config.ts';
import { BrokerError } from '../errors.ts';

/**
 * @param onFatal the thread ended: peers will find this node faulty
 * @throws SwimError as SwimAgent.start and SwimThread.start
 */
export async function startMembership(
  settings: Config['swim'],
  options: Omit<SwimAgentOptions, 'transport' | 'hostOf'>,
  onFatal: (error: BrokerError) => void,
): Promise<SwimHandle> {
  const { thread, unwellAfterMs, deadAfterMs } = settings;
  if (thread === 'main') return await SwimAgent.start(options);
  return await SwimThread.start({
    ...options,
    unwellAfterMs,
    deadAfterMs,
    onFailure: (cause) =>
      onFatal(new BrokerError('BROKER_ERR_MEMBERSHIP_ENDED', cause.message, { cause })),
  });
}
