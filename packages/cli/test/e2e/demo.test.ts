import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SHOAL = fileURLToPath(new URL('../../bin/shoal', import.meta.url));

/** The command that `npm start` runs. */
describe('shoal demo', function () {
  this.timeout(240_000);
  let temporary: string;
  let demo: ChildProcess | null = null;

  beforeEach(() => {
    temporary = mkdtempSync(join(tmpdir(), 'shoal-demo-test-'));
  });

  afterEach(() => {
    demo?.kill('SIGKILL');
    rmSync(temporary, { recursive: true, force: true });
  });

  /** Runs the demo with a temporary folder of its own, so that what it leaves behind is seen. */
  function start(...flags: string[]) {
    const child = spawn(SHOAL, ['demo', ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: temporary },
    });
    demo = child;
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => {
      output.stdout += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      output.stderr += String(chunk);
    });
    return { child, output, ended: once(child, 'close') };
  }

  it('plays to its end, loses nothing, and leaves nothing behind', async () => {
    const { output, ended } = start('--once', '--json', '--messages', '300');
    const [code] = await ended;
    assert.equal(code, 0, output.stderr);
    const summary = JSON.parse(output.stdout);
    assert.equal(summary.ok, true, output.stderr);
    assert.ok(summary.checks.length >= 8);
    assert.ok(summary.figures.inFlightAtKill > 0);
    assert.ok(summary.figures.acknowledgedBeforeKill >= 300);
    assert.ok(summary.figures.killToFirstMessageMs > 0);
    assert.match(output.stderr, /QoS 2: 300 messages acknowledged, 300 received, 0 lost/);
    assert.deepEqual(readdirSync(temporary), []);
  });

  it('ends its nodes and removes their data when it is interrupted', async () => {
    const { child, output, ended } = start();
    while (!/node2 {2}pid \d+/.test(output.stdout)) await once(child.stdout, 'data');
    const pids = [...output.stdout.matchAll(/node\d {2}pid (\d+)/g)].map((match) => match[1]);
    child.kill('SIGINT');
    const [code] = await ended;
    assert.equal(code, 130, output.stderr);
    assert.deepEqual(readdirSync(temporary), []);
    for (const pid of pids) {
      assert.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' });
    }
  });
});
