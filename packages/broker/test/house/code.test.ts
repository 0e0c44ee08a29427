import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { codeOnly, isTest, matches, typeScript } from './files.ts';

/** Where control flow gathers, files grow; beyond this they are split by event. */
const LINES_MAX = 500;
/** The formatter keeps code within 100; a last word, or an example, may hang over. */
const COMMENT_COLUMNS_MAX = 115;

/** Files that are allowed to be longer, each with the reason; an entry no longer needed fails. */
const LONGER: Readonly<Record<string, string>> = {};

/** Layers without I/O: the cores. */
const CORE =
  /^packages\/(swim\/src\/(core\/|codec\.ts)|broker\/src\/(mqtt|placement|store|shard|session|node)\/)/;

const IMPURE =
  /\b(Date\.now|new Date|Math\.random|performance\.|setTimeout|setInterval|setImmediate|queueMicrotask|process\.|async |await |new Promise|Promise\.)/;

describe('house style: code', () => {
  const files = typeScript();

  it('has found the code', () => {
    assert.ok(files.length > 100, `${files.length} files`);
  });

  it(`keeps files within ${LINES_MAX} lines, but for those listed with a reason`, () => {
    const long = files.filter(({ text }) => text.split('\n').length - 1 > LINES_MAX);
    assert.deepEqual(
      long.map(({ path }) => path),
      Object.keys(LONGER).sort(),
    );
  });

  it(`keeps comments within ${COMMENT_COLUMNS_MAX} columns, but for addresses`, () => {
    const wide = new RegExp(`^(?=\\s*(//|/?\\*))(?!.*https?:).{${COMMENT_COLUMNS_MAX + 1},}$`);
    const found = files.flatMap(({ path, text }) => matches(path, text, wide));
    assert.deepEqual(found, []);
  });

  it('keeps clocks, chance, timers and promises out of the cores', () => {
    const found = files
      .filter(({ path }) => CORE.test(path) && !isTest(path))
      .flatMap(({ path, text }) => matches(path, codeOnly(text), IMPURE));
    assert.deepEqual(found, []);
  });

  it('sees a clock in a core, and none in a comment or a text', () => {
    const planted = "// Date.now()\nconst a = 'Date.now()';\nconst b = Date.now();\n";
    assert.equal(matches('x.ts', codeOnly(planted), IMPURE).length, 1);
  });

  it('says in each source file what it is for', () => {
    // A command says it to its users.
    const said = /^\s*\/\*\*|static override (description|summary) =/m;
    const silent = files.filter(({ path, text }) => !isTest(path) && !said.test(text));
    assert.deepEqual(
      silent.map(({ path }) => path),
      [],
    );
  });

  it('names files in kebab case, after what they export', () => {
    const odd = files.filter(
      ({ path }) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(basename(path)),
    );
    const vague = files.filter(({ path }) =>
      /^(utils?|helpers?|manager|misc|common)(\.|-)/.test(basename(path)),
    );
    assert.deepEqual(
      [...odd, ...vague].map(({ path }) => path),
      [],
    );
  });

  it('leaves no test switched off or alone', () => {
    const pattern =
      /\b(describe|context|it|specify|suite|test)\.(only|skip)\(|\bx(it|describe|specify|context)\(/;
    const found = files
      .filter(({ path }) => isTest(path))
      .flatMap(({ path, text }) => matches(path, codeOnly(text), pattern));
    assert.deepEqual(found, []);
  });

  it('waits for events in tests, never for time to pass', () => {
    const pattern = /setTimeout\(\s*(resolve|r|res|done)\s*,|\bsleep\(\s*\d/;
    const found = files
      .filter(({ path }) => path.endsWith('.test.ts'))
      .flatMap(({ path, text }) => matches(path, codeOnly(text), pattern));
    assert.deepEqual(found, []);
  });
});
