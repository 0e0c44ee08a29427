import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A stand-in for the demo: guards a folder and one child, says so, stays. */
const script = (keep: boolean) => `
  import { spawn } from 'node:child_process';
  import { Guard } from ${JSON.stringify(new URL('./guard.ts', import.meta.url).href)};
  const guard = new Guard(process.argv[1]);
  const ended = spawn('true');
  guard.started(ended.pid);
  ended.once('exit', () => {
    guard.ended(ended.pid);
    const child = spawn('sleep', ['600'], { stdio: 'inherit', detached: true });
    guard.started(child.pid);
    ${keep ? 'guard.keepFolder();' : ''}
    console.log('started');
  });
  setInterval(() => {}, 1000);
`;

describe('demo guard', () => {
  let parent: string;
  let folder: string;

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'shoal-guard-test-'));
    folder = mkdtempSync(join(parent, 'demo-'));
  });

  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  /**
   * Runs the stand-in, kills it with SIGKILL, and waits until nobody holds its output any more: the
   * child, which would sleep for ten minutes, inherited it, so the end of the output is its end.
   */
  async function killedDemo(keep: boolean): Promise<void> {
    const demo = spawn(process.execPath, ['--input-type=module', '-e', script(keep), folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(demo.stdout, 'data');
    const outputEnd = once(demo.stdout, 'end');
    demo.kill('SIGKILL');
    await outputEnd;
  }

  it('ends the nodes and removes the folder when the demo is killed with SIGKILL', async () => {
    const removed = new Promise<void>((resolve) => {
      const watcher = watch(dirname(folder), () => {
        if (existsSync(folder)) return;
        watcher.close();
        resolve();
      });
    });
    await killedDemo(false);
    await removed;
    assert.equal(existsSync(folder), false);
  });

  it('leaves the folder alone when the data is to be kept', async () => {
    await killedDemo(true);
    assert.equal(existsSync(folder), true);
  });
});
