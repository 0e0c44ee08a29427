import assert from 'node:assert/strict';
import { everything, matches, read } from './files.ts';

/** Words are put together here, so that this file does not find itself. */
const word = (...parts: string[]) => parts.join('');

describe('house style: words', () => {
  const files = everything();

  it('has found the documents and the configuration', () => {
    const paths = files.map(({ path }) => path);
    for (const path of ['README.md', 'package.json', '.ci/run', 'docker/Dockerfile']) {
      assert.ok(paths.includes(path), path);
    }
  });

  it('names no package registry: a clone installs from whichever its user has', () => {
    const hosts = new RegExp(
      [
        word('registry', String.raw`\.npmjs`),
        word('npm', String.raw`\.pkg\.github`),
        word('art', 'ifactory'),
      ].join('|'),
      'i',
    );
    const found = files.flatMap(({ path, text }) => matches(path, text, hosts));
    assert.deepEqual(found, []);
    assert.ok(!read('package-lock.json').includes('"resolved": "http'), 'package-lock.json');
  });

  it('has no unfinished work in it', () => {
    const marks = new RegExp(
      `\\b(${word('TO', 'DO')}|${word('FIX', 'ME')}|${word('HA', 'CK')})\\b`,
    );
    const found = files.flatMap(({ path, text }) => matches(path, text, marks));
    assert.deepEqual(found, []);
  });

  it("uses the field's words for nodes and roles", () => {
    const replaced = new RegExp(`\\b(${word('mas', 'ter')}[ /-]?${word('sla', 've')})\\b`, 'i');
    const found = files.flatMap(({ path, text }) => matches(path, text, replaced));
    assert.deepEqual(found, []);
  });
});
