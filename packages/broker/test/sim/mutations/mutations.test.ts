import assert from 'node:assert/strict';
import { mutated, runMutant } from './mutants.ts';
import { MUTATIONS } from './mutations.ts';

/** Seeds of its focus within which a mutation shows; most do in a handful. */
const TRIES = 40;

describe('mutations of the core', function () {
  this.timeout(120_000);

  for (const mutation of MUTATIONS) {
    it(`'${mutation.name}' applies`, async () => {
      const source = await mutated(mutation);
      assert.ok(source.includes(mutation.to));
    });
  }

  it('names its mutation when a patch does not apply', async () => {
    const [first] = MUTATIONS;
    const gone = { ...first!, name: 'gone', from: 'nothing of the kind' };
    await assert.rejects(mutated(gone), /mutation 'gone': its text occurs 0 times/);
  });

  for (const mutation of MUTATIONS) {
    const { focus, name } = mutation;
    if (focus === undefined) continue;
    it(`'${name}' is noticed`, async () => {
      const { args, seed } = focus;
      const verdict = await runMutant(mutation, { args, seed, seeds: TRIES, threads: 2 });
      assert.notEqual(verdict.seed, undefined, `not noticed in ${verdict.runs} seeds`);
    });
  }
});
