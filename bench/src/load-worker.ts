/** The load generator's process: takes one task over IPC, runs it, answers, ends. */
import { runConnects } from './load/connects.ts';
import { runIdle } from './load/idle.ts';
import { runOffline } from './load/offline.ts';
import type { LoadReport, LoadTask } from './load/result.ts';
import { runTraffic } from './load/traffic.ts';

process.once('message', (task) => {
  run(task as LoadTask)
    .catch((error: unknown): LoadReport => ({ type: 'failed', message: String(error) }))
    .then((report) => {
      process.send?.(report, undefined, undefined, () => process.exit(0));
    });
});
// The benchmark's own end must not leave the load running.
process.once('disconnect', () => process.exit(1));

async function run(task: LoadTask): Promise<LoadReport> {
  switch (task.kind) {
    case 'traffic':
      return { type: 'done', measurements: await runTraffic(task) };
    case 'offline':
      return { type: 'done', measurements: await runOffline(task) };
    case 'connects':
      return { type: 'done', measurements: [await runConnects(task)] };
    case 'idle':
      return { type: 'idle', steps: await runIdle(task) };
  }
}
