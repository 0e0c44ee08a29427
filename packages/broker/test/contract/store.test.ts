import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LevelStore } from '../../src/edge/store/level-store.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { describeStoreContract } from './store.ts';

describeStoreContract('memory store', async () => ({
  store: new MemoryStore({ defer: queueMicrotask }),
  dispose: async () => {},
}));

describeStoreContract('memory store whose disk answers out of order', async () => {
  let waiting: (() => void)[] = [];
  const defer = (fn: () => void): void => {
    if (waiting.length === 0) {
      queueMicrotask(() => {
        const due = waiting.reverse();
        waiting = [];
        for (const run of due) run();
      });
    }
    waiting.push(fn);
  };
  return { store: new MemoryStore({ defer }), dispose: async () => {} };
});

describeStoreContract('classic-level', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-store-'));
  const store = await LevelStore.open(dir, {
    onFatal: (_, error) => {
      throw error;
    },
  });
  return {
    store,
    dispose: async () => {
      await store.close();
      await rm(dir, { recursive: true });
    },
  };
});
