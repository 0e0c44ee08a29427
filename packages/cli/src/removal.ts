/** Follows the removal of a node to its end, also when the node asked is the one that goes. */

import type { ClusterStatus, RemovalProgress } from '@shoal/broker';
import { AdminClient } from './admin-client.ts';

export interface WaitOptions {
  readonly force: boolean;
  readonly timeoutMs: number;
  readonly onProgress: (progress: RemovalProgress) => void;
}

const POLL_MS = 500;

/**
 * Begins the removal and resolves when the node is gone.
 *
 * @throws BROKER_ERR_TIMEOUT after `timeoutMs` (the removal goes on), and what the node refuses with
 */
export async function removeAndWait(
  client: AdminClient,
  name: string,
  { force, timeoutMs, onProgress }: WaitOptions,
): Promise<RemovalProgress> {
  const before = await client.cluster();
  let progress = await client.removeNode(name, force);
  onProgress(progress);
  const deadline = performance.now() + timeoutMs;
  while (progress.state !== 'gone') {
    if (performance.now() > deadline) {
      const { BrokerError } = await import('@shoal/broker/errors');
      throw new BrokerError('BROKER_ERR_TIMEOUT', `${name} still drains`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    try {
      progress = await client.removalProgress(name);
    } catch (error) {
      if (before.node !== name || !hasCode(error, 'BROKER_ERR_ADMIN_UNREACHABLE')) throw error;
      // The node asked was the one to go, and it has stopped answering: ask those that stay.
      if (await isGone(before, name)) progress = { ...progress, ...FINISHED(progress) };
    }
    onProgress(progress);
  }
  return progress;
}

const FINISHED = (progress: RemovalProgress) => ({
  state: 'gone' as const,
  shardsDone: progress.shardsTotal,
  bytesDone: progress.bytesTotal,
  remainingMs: 0,
});

/** True when a member that stays says that `name` has left. */
async function isGone(before: ClusterStatus, name: string): Promise<boolean> {
  for (const { name: other, admin, state } of before.members) {
    if (other === name || state !== 'alive') continue;
    const client = await AdminClient.at(admin);
    try {
      const { members } = await client.cluster();
      const found = members.find((member) => member.name === name);
      return found === undefined || found.state === 'left';
    } catch {
      // Unreachable too: the next one may know.
    } finally {
      client.close();
    }
  }
  return false;
}

function hasCode(error: unknown, code: string): boolean {
  return (error as { code?: unknown }).code === code;
}
