/** A thread that starts as it should, and ends at the first call. */
import { parentPort } from 'node:worker_threads';
import type { ToWorker } from '../../src/thread/messages.ts';

parentPort?.on('message', (message: ToWorker) => {
  if (message.type === 'join') throw new Error('planted');
});
await import('../../src/thread/worker.ts');
