import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MODEL_RUNS, missingTool, resultOf, runModel } from './run.ts';

const missing = await missingTool();
const reason = missing === undefined ? '' : ` (skipped: ${missing} is not installed)`;

describe(`models${reason}`, function () {
  this.timeout(120_000);

  before(function () {
    if (missing === undefined) return;
    if (process.env['SHOAL_REQUIRE_TOOLS'] === '1') throw new Error(`${missing} is not installed`);
    this.skip();
  });

  for (const run of MODEL_RUNS) {
    const rule = run.defines.join(' ');
    it(`${run.model} ${rule === '' ? 'as designed' : rule}: ${run.expected}`, async () => {
      const result = await runModel(run);
      assert.equal(result.verdict, run.expected, result.assertion);
      // A control must fail by what the model claims, not by a fault of the model.
      if (run.expected === 'violated') assert.match(result.assertion, /^assertion violated/);
      else assert.ok(result.states > 100_000, `only ${result.states} states`);
    });
  }
});

describe('models/run', () => {
  it('runs every negative control that a model names', async () => {
    for (const file of (await readdir(import.meta.dirname)).filter((at) => at.endsWith('.pml'))) {
      const model = file.replace('.pml', '');
      const source = await readFile(join(import.meta.dirname, file), 'utf8');
      const named = [...source.matchAll(/^ \* {3}([A-Z][A-Z_]+) {2,}\S/gm)].map((at) => at[1]!);
      const run = MODEL_RUNS.filter((at) => at.model === model && at.expected === 'violated');
      assert.ok(named.length >= 3);
      assert.deepEqual(run.map(({ defines }) => defines.at(-1)).sort(), named.sort());
    }
  });

  it('takes a search that did not end for neither', () => {
    const report =
      'error: max search depth too small\n\n(Spin Version 6)\nerrors: 0\n1 states, stored\n';
    assert.throws(() => resultOf(report), /did not end/);
    assert.throws(() => resultOf('pan: out of memory'), /did not end/);
  });
});
