/** One thread of the Lifeguard experiment: a cell in, what was counted out. */
import { parentPort } from 'node:worker_threads';
import { type AnomalyOptions, runAnomaly } from './anomaly.ts';

parentPort?.on('message', (options: AnomalyOptions) => {
  parentPort?.postMessage(runAnomaly(options));
});
