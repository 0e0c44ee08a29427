import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ManagedProcess, run } from '../../../../bench/src/chaos/managed-process.ts';
import { NOT_INSTALLED, networkMissing } from '../../../../bench/src/chaos/waits/machines.ts';
import type { ShapeReport } from '../../../../bench/src/chaos/waits/report.ts';

const CHAOS = fileURLToPath(new URL('../../../../bench/src/chaos/main.ts', import.meta.url));

/** A short form of `npm run chaos -- --scenario cut`: real nodes in network namespaces, packets dropped. */
describe('black box: nodes that do not reach each other', function () {
  this.timeout(240_000);
  const missing = networkMissing();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'shoal-cut-'));
  after(() => fs.rmSync(folder, { recursive: true }));

  /** With SHOAL_REQUIRE_TOOLS=1 a missing program is a failure; namespaces that are refused are not. */
  const itApart = (title: string, test: () => Promise<void>): void => {
    if (missing === undefined) it(title, test);
    else if (missing === NOT_INSTALLED && process.env['SHOAL_REQUIRE_TOOLS'] === '1') {
      it(title, () => {
        throw new Error(missing);
      });
    } else it(`${title} (skipped: ${missing})`);
  };

  const start = async (
    ...args: string[]
  ): Promise<{ harness: ManagedProcess; begun: Promise<void> }> => {
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const few = ['--nodes', '3', '--start-arg=--set', '--start-arg=cluster.shards=64'];
    const all = ['--scenario', 'cut', '--rounds', '1', ...few, ...args];
    const harness = await ManagedProcess.start({
      command: process.execPath,
      args: ['--conditions=shoal-source', CHAOS, ...all],
      logFile: path.join(folder, 'log'),
      // Killed, it cannot remove what the nodes have written.
      env: { TMPDIR: folder },
      onLine: (line) => {
        if (line.startsWith('whole: ')) resolve();
      },
    });
    return { harness, begun };
  };

  itApart('loses, repeats and reorders nothing, and is whole after it', async () => {
    const json = path.join(folder, 'report.json');
    const { harness } = await start('--shape', 'isolate', '--lasts', '4000', '--json', json);
    await harness.exited;
    const said = harness.tail(60);
    assert.ok(fs.existsSync(json), said);
    const { reports } = JSON.parse(fs.readFileSync(json, 'utf8')) as { reports: ShapeReport[] };
    assert.deepEqual(
      reports.map(({ shape, safe }) => ({ shape, safe })),
      [{ shape: 'isolate', safe: true }],
      said,
    );
    // That nobody could acknowledge these shows that the cut was one.
    const held = reports.flatMap(({ classes }) => classes.filter(({ of }) => of === 'minority'));
    assert.ok(
      held.some(({ heldMs }) => (heldMs?.n ?? 0) > 0),
      said,
    );
  });

  itApart('leaves no process behind, not even when it is killed', async () => {
    const { harness, begun } = await start('--lasts', '60000');
    await Promise.race([begun, harness.exited]);
    const children = childrenOf(harness.pid);
    assert.ok(children.length >= 6, `three nodes and three namespaces: ${harness.tail()}`);
    await harness.kill('SIGKILL');
    await Promise.all(children.map(ended));
  });
});

function childrenOf(pid: number): number[] {
  const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').map(Number);
}

/** Processes that are not ours to wait for; tail waits for them. */
async function ended(pid: number): Promise<void> {
  const waiting = ['-f', `--pid=${pid}`, '/dev/null'];
  const { code } = await run('tail', waiting, { timeoutMs: 60_000 });
  assert.equal(code, 0, `${pid} goes on`);
}
