import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { allBounds, boundsOf, limitsDocument, MEANINGS } from './limits.ts';

describe('limits', () => {
  it('are what docs/LIMITS.md says (node --conditions=shoal-source scripts/limits/main.ts)', () => {
    assert.equal(readFileSync('docs/LIMITS.md', 'utf8'), limitsDocument());
  });

  it('say what they bound', () => {
    const silent = allBounds().filter(({ sentence }) => sentence === '');
    assert.deepEqual(
      silent.map(({ path, name }) => `${path}: ${name}`),
      [],
    );
  });

  it('are explained once: by the sentence in the source or, for want of it, here', () => {
    const bounds = allBounds();
    const stale = Object.entries(MEANINGS).filter(
      ([key, meaning]) =>
        !bounds.some((b) => `${b.path} ${b.name}` === key && b.sentence === meaning),
    );
    assert.deepEqual(stale, []);
  });

  it('are found with value and sentence', () => {
    const text = [
      '/**',
      ' * Most of it,',
      ' * and no more.',
      ' */',
      'export const A_MAX = 64 * 1024;',
      '// Short.',
      'const B_MAX_MS = 5 + 0xff;',
      'const C = 3;',
      'const D_BYTES_MAX = 1_000;',
    ].join('\n');
    assert.deepEqual(boundsOf('x.ts', text), [
      { name: 'A_MAX', value: 65_536, path: 'x.ts', sentence: 'Most of it, and no more.' },
      { name: 'B_MAX_MS', value: 260, path: 'x.ts', sentence: 'Short.' },
      { name: 'D_BYTES_MAX', value: 1000, path: 'x.ts', sentence: '' },
    ]);
  });
});
