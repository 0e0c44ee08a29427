/**
 * A node in a process of its own, whose main loop or disk hangs when its parent says so. Its argument
 * is what it is configured with, as JSON.
 */
import { execFileSync } from 'node:child_process';
import { open } from 'node:fs';
import { join } from 'node:path';
import { resolveConfig, startNode } from '../../src/index.ts';

const flags = JSON.parse(process.argv[2] as string) as Record<string, string | string[]>;
const running = await startNode(resolveConfig({ env: {}, flags }), {
  onFatal: (error) => {
    throw error;
  },
});
await running.ready;
/** The threads that write to the disk. */
const THREADS = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);

/** Every such thread waits for a writer of its pipe: so does all that is to be written. */
function hangDisk(): void {
  for (let thread = 0; thread < THREADS; thread++) {
    const pipe = join(String(flags['data.dir']), `pipe-${thread}`);
    execFileSync('mkfifo', [pipe]);
    open(pipe, 'r', () => {});
  }
}

/** The loop stands still for as many ms, or the disk until the parent opens the pipes. */
process.on('message', (what: number | 'disk') => {
  if (what === 'disk') hangDisk();
  else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, what);
});
process.send?.('ready');
