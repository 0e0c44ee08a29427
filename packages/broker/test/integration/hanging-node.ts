/**
 * A node in a process of its own, whose main loop hangs when its parent says so: for as many ms as the
 * message. Its argument is what it is configured with, as JSON.
 */
import { resolveConfig, startNode } from '../../src/index.ts';

const flags = JSON.parse(process.argv[2] as string) as Record<string, string | string[]>;
const running = await startNode(resolveConfig({ env: {}, flags }), {
  onFatal: (error) => {
    throw error;
  },
});
await running.ready;
process.on('message', (ms: number) => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
});
process.send?.('ready');
