import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrokerError } from '../../errors.ts';
import { type Level, LevelStore } from './level-store.ts';

const noFatal = {
  onFatal: (_: string, error: BrokerError): void => {
    throw error;
  },
};
const bytes = (value: string): Uint8Array => Buffer.from(value, 'latin1');

async function tempFolder(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'shoal-store-'));
}

const write = (store: LevelStore, key: string, value: string): Promise<void> =>
  new Promise((resolve) => store.write([{ key: bytes(key), value: bytes(value) }], true, resolve));
const read = (store: LevelStore, key: string): Promise<string | undefined> =>
  new Promise((resolve) =>
    store.getMany([bytes(key)], ([value]) =>
      resolve(value === undefined ? undefined : Buffer.from(value).toString('latin1')),
    ),
  );

describe('LevelStore', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await tempFolder();
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('keeps what was written over close and open, and close waits for writes', async () => {
    const store = await LevelStore.open(join(dir, 'deep', 'er'), noFatal);
    void write(store, 'a', '1');
    void write(store, 'b', '2');
    await store.close();
    const again = await LevelStore.open(join(dir, 'deep', 'er'), noFatal);
    assert.equal(await read(again, 'a'), '1');
    assert.equal(await read(again, 'b'), '2');
    await again.close();
  });

  it('refuses a folder that is open elsewhere: BROKER_ERR_DATA_LOCKED', async () => {
    const store = await LevelStore.open(dir, noFatal);
    await assert.rejects(LevelStore.open(dir, noFatal), { code: 'BROKER_ERR_DATA_LOCKED' });
    await store.close();
  });

  it('refuses a damaged store: BROKER_ERR_CORRUPT_STORE', async () => {
    const store = await LevelStore.open(dir, noFatal);
    await write(store, 'a', '1');
    await store.close();
    await writeFile(join(dir, 'CURRENT'), 'MANIFEST-000777\n');
    await assert.rejects(LevelStore.open(dir, noFatal), (error: BrokerError) => {
      assert.equal(error.code, 'BROKER_ERR_CORRUPT_STORE');
      return true;
    });
  });

  it('drops a torn tail and keeps everything before it', async () => {
    const store = await LevelStore.open(dir, noFatal);
    await write(store, 'a', '1');
    await write(store, 'b', 'torn'.repeat(100));
    await store.close();
    const log = (await readdir(dir)).find((name) => name.endsWith('.log'))!;
    const size = (await readFile(join(dir, log))).length;
    await truncate(join(dir, log), size - 100);
    const again = await LevelStore.open(dir, noFatal);
    assert.equal(await read(again, 'a'), '1');
    assert.equal(await read(again, 'b'), undefined);
    await again.close();
  });

  it('reports a flipped bit in a stored value: BROKER_ERR_CORRUPT_RECORD', async () => {
    const level = new FakeLevel();
    const fatal: string[] = [];
    const store = new LevelStore(level.asLevel(), { onFatal: (code) => fatal.push(code) });
    await write(store, 'a', 'value');
    const stored = level.records.get('a')!;
    stored[stored.length - 1]! ^= 4;
    let answered = false;
    store.getMany([bytes('a')], () => {
      answered = true;
    });
    await level.settled();
    assert.deepEqual(fatal, ['BROKER_ERR_CORRUPT_RECORD']);
    assert.equal(answered, false);
  });

  for (const [code, error] of [
    ['BROKER_ERR_DISK_FULL', levelError('IO error: 000003.log: No space left on device')],
    ['BROKER_ERR_DISK_FAILED', levelError('IO error: 000003.log: Input/output error')],
    ['BROKER_ERR_CORRUPT_STORE', levelError('Corruption: block checksum', 'LEVEL_CORRUPTION')],
  ] as const) {
    it(`ends with ${code} at the first failed write, and answers nobody after it`, async () => {
      const level = new FakeLevel();
      const fatal: string[] = [];
      const store = new LevelStore(level.asLevel(), { onFatal: (c) => fatal.push(c) });
      await write(store, 'a', '1');
      level.failure = error;
      const answers: string[] = [];
      store.write([{ key: bytes('b'), value: bytes('2') }], true, () => answers.push('b'));
      await level.settled();
      level.failure = undefined;
      store.write([{ key: bytes('c'), value: bytes('3') }], true, () => answers.push('c'));
      store.getMany([bytes('a')], () => answers.push('get'));
      store.scan(bytes('a'), bytes('z'), 9, 100, () => answers.push('scan'));
      await level.settled();
      assert.deepEqual(fatal, [code]);
      assert.deepEqual(answers, []);
      assert.equal(level.batches.length, 1);
      await store.close();
    });
  }

  it('commits all writes of a turn, and all that come meanwhile, with one sync each', async () => {
    const level = new FakeLevel();
    const store = new LevelStore(level.asLevel(), noFatal);
    const release = level.hold();
    const first = [write(store, 'a', '1'), write(store, 'b', '2'), write(store, 'c', '3')];
    await level.settled();
    const second = [write(store, 'd', '4'), write(store, 'e', '5')];
    assert.deepEqual(level.batches, [{ operations: 3, sync: true }]);
    assert.equal(await read(store, 'd'), '4');
    assert.ok(store.pendingBytes >= 10);
    // The first batch hangs, and the longer the more.
    const underWayMs = store.underWayMs;
    while (store.underWayMs <= underWayMs) await new Promise(setImmediate);
    release();
    await Promise.all([...first, ...second]);
    assert.deepEqual(level.batches, [
      { operations: 3, sync: true },
      { operations: 2, sync: true },
    ]);
    assert.equal(store.pendingBytes, 0);
    assert.equal(store.underWayMs, 0);
  });

  it('gathers a bounded batch, so that its length tells of the disk and not of the load', async () => {
    const level = new FakeLevel();
    const store = new LevelStore(level.asLevel(), noFatal);
    const release = level.hold();
    const large = 'x'.repeat(1024 * 1024);
    const done: number[] = [];
    const first = write(store, 'a', '0');
    await level.settled();
    const writes = Array.from({ length: 10 }, (_, i) =>
      write(store, 'b', `${i}${large}`).then(() => done.push(i)),
    );
    assert.equal((await read(store, 'b'))?.[0], '9', 'the newest of all that wait');
    release();
    await Promise.all([first, ...writes]);
    assert.deepEqual(
      level.batches.map(({ operations }) => operations),
      [1, 4, 4, 2],
    );
    assert.deepEqual(done, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.equal(store.pendingBytes, 0);
    await store.close();
  });

  it('grants a large batch the time that a slow disk needs for it', async () => {
    const level = new FakeLevel();
    const store = new LevelStore(level.asLevel(), noFatal);
    const release = level.hold();
    const large = new Promise<void>((resolve) =>
      store.write([{ key: bytes('a'), value: Buffer.alloc(128 * 1024 * 1024) }], true, resolve),
    );
    await level.settled();
    assert.equal(level.batches.length, 1);
    assert.equal(store.underWayMs, 0);
    release();
    await large;
    await store.close();
  });

  it('does not sync when no write of the batch asks for it', async () => {
    const level = new FakeLevel();
    const store = new LevelStore(level.asLevel(), noFatal);
    await new Promise<void>((resolve) =>
      store.write([{ key: bytes('a'), value: bytes('1') }], false, resolve),
    );
    assert.deepEqual(level.batches, [{ operations: 1, sync: false }]);
  });
});

function levelError(message: string, code = 'LEVEL_IO_ERROR'): Error {
  return Object.assign(new Error(message), { code });
}

/** Just enough of classic-level, with faults on demand. */
class FakeLevel {
  readonly records = new Map<string, Uint8Array>();
  readonly batches: { operations: number; sync: boolean }[] = [];
  failure: Error | undefined;
  #held: Promise<void> = Promise.resolve();

  /** Holds batches back until the returned function is called. */
  hold(): () => void {
    let release = (): void => {};
    this.#held = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  }

  /** After every microtask that is due now. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  asLevel(): Level {
    const level = {
      batch: async (
        operations: readonly { type: string; key: Uint8Array; value?: Uint8Array }[],
        options: { sync: boolean },
      ) => {
        if (this.failure) throw this.failure;
        this.batches.push({ operations: operations.length, sync: options.sync });
        await this.#held;
        for (const { key, value } of operations) {
          const text = Buffer.from(key).toString('latin1');
          if (value === undefined) this.records.delete(text);
          else this.records.set(text, value);
        }
      },
      getMany: async (keys: readonly Uint8Array[]) =>
        keys.map((key) => this.records.get(Buffer.from(key).toString('latin1'))),
      iterator: () => ({ nextv: async () => [], close: async () => {} }),
      close: async () => {},
    };
    return level as unknown as Level;
  }
}
