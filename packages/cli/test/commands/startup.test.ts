import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));

describe('command modules', () => {
  // oclif loads all of them to list them, so what one imports at its top slows every command down.
  it('load only oclif and each other before they run', async () => {
    const loaded = new Set<string>();
    const hooks = registerHooks({
      resolve: (specifier, context, next) => {
        if (context.parentURL?.startsWith(`file://${SRC}`)) loaded.add(specifier);
        // A fresh URL for each file, or what an earlier test loaded would not be seen again.
        const found = next(specifier, context);
        return found.url.startsWith(`file://${SRC}`)
          ? { ...found, url: `${found.url}?startup` }
          : found;
      },
    });
    try {
      for (const file of globSync('commands/**/*.ts', { cwd: SRC })) {
        await import(`${SRC}${file}?startup`);
      }
    } finally {
      hooks.deregister();
    }
    const foreign = [...loaded].filter((specifier) => !specifier.startsWith('.'));
    assert.deepEqual(foreign, ['@oclif/core']);
  });
});
