import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { fuzz } from './fuzz.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

describe('mutated messages into a member', function () {
  this.timeout(60_000);

  it('throw nothing, stay within every bound, and change nothing unless authentic', async () => {
    const result = await fuzz({ count: 20_000, seed: 'unit' });
    assert.equal(result.inputs, 20_000);
    // The fuzz bites: it fills what is bounded, and makes the member refute and doubt.
    assert.ok(result.refutes >= 3 && result.suspicions > 20, JSON.stringify(result));
    assert.ok(result.sealed > 1_000 && result.foreign > 1_000);
    assert.ok((result.largest['members'] as number) >= 150);
    assert.ok((result.largest['eventsKept'] as number) >= 16);
  });

  it('are asked for by a command that names what is wrong with its options', () => {
    for (const [args, status, said] of [
      [['--help'], 0, /--count N/],
      [['--nope'], 2, /Unknown option '--nope'[\s\S]*--count N/],
      [['--count', 'many'], 2, /--count: 'many' is not 1\.\.1000000000/],
    ] as const) {
      const run = spawnSync(process.execPath, ['--conditions=shoal-source', MAIN, ...args]);
      assert.equal(run.status, status);
      assert.match(`${run.stdout}${run.stderr}`, said);
    }
  });
});
