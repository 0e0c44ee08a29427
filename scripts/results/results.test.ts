import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DOCUMENTS, withResults } from './results.ts';

describe('results', () => {
  for (const path of DOCUMENTS) {
    it(`in ${path} are those of their files (node scripts/results/main.ts)`, () => {
      const document = readFileSync(path, 'utf8');
      assert.equal(withResults(document), document);
      assert.match(document, /<!-- results /);
    });
  }

  it('say how they were made, and refuse a table that is not there', () => {
    const block = (number: number): string =>
      `a\n<!-- results bench/results/swim/preset.json ${number} -->\nold\n<!-- end of results -->\nb`;
    const made = withResults(block(0));
    assert.match(made, /^a\n<!-- results .*\n\n.*:\n\n\| members \|/);
    assert.match(made, /`npm run sim:swim -- --scenario preset .*`, commit [0-9a-f]{7,}\+?\.\n/);
    assert.ok(!made.includes('old'));
    assert.throws(() => withResults(block(99)), /no table 99/);
  });
});
