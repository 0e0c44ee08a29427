/** Connections with one subscription each that then do nothing: what the broker keeps for them. */

import { setTimeout as delay } from 'node:timers/promises';
import { treeCpuUs } from '../proc/cpu.ts';
import { isSettled, treePrivateBytes } from '../proc/memory.ts';
import { type ConnectionListener, LoadConnection, openMany } from './connection.ts';
import type { IdleStep, IdleTask } from './result.ts';

/** Connections per source address, well below half the range of ports (connect crawls past it). */
const CONNECTIONS_PER_ADDRESS = 5_000;
const SAMPLE_EVERY_MS = 1_000;
/** At rest: seven samples within 0.5 %, half a minute after: V8 gives garbage back only after a pause. */
const SETTLE_SAMPLES = 7;
const SETTLE_SHARE = 0.005;
const SETTLE_MIN_SECONDS = 30;

/** Runs the whole task, one step after the other on top of the connections before. */
export async function runIdle(task: IdleTask): Promise<IdleStep[]> {
  let lost = 0;
  const listener: ConnectionListener = {
    onMessage: () => undefined,
    onPublished: () => undefined,
    onLost: () => {
      lost++;
    },
  };
  const steps: IdleStep[] = [];
  let open = 0;
  for (const connections of task.steps) {
    const base = open;
    const cpuBefore = treeCpuUs(task.brokerPid);
    await openMany(connections - base, task.connectConcurrency, async (offset) => {
      const index = base + offset;
      const connection = await LoadConnection.open(
        index,
        {
          host: task.host,
          transport: task.transport,
          port: task.port,
          clientId: `bench-idle-${index}`,
          cleanSession: true,
          localAddress: `127.1.${1 + Math.floor(index / CONNECTIONS_PER_ADDRESS)}.1`,
        },
        listener,
      );
      await connection.subscribe(`idle/${index}/commands`, 0);
      return connection;
    });
    const connectCpuUs = (treeCpuUs(task.brokerPid) - cpuBefore) / Math.max(1, connections - base);
    open = connections;
    const { privateBytes, settled } = await settle(task);
    steps.push({ connections, privateBytes, settled, connectCpuUs });
  }
  if (lost > 0) throw new Error(`the broker closed ${lost} idle connections`);
  return steps;
}

/** Waits until the broker's memory is at rest, at most `settleMaxSeconds`. */
async function settle(task: IdleTask): Promise<{ privateBytes: number; settled: boolean }> {
  const samples: number[] = [];
  const samplesMax = Math.ceil((task.settleMaxSeconds * 1000) / SAMPLE_EVERY_MS);
  const samplesMin = Math.min(samplesMax, (SETTLE_MIN_SECONDS * 1000) / SAMPLE_EVERY_MS);
  while (samples.length < samplesMax) {
    await delay(SAMPLE_EVERY_MS);
    samples.push(treePrivateBytes(task.brokerPid));
    if (samples.length >= samplesMin && isSettled(samples, SETTLE_SAMPLES, SETTLE_SHARE)) {
      return { privateBytes: samples.at(-1) as number, settled: true };
    }
  }
  return { privateBytes: samples.at(-1) ?? treePrivateBytes(task.brokerPid), settled: false };
}
