import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Store, StoreChange } from '../../src/ports.ts';

/** One store under test, and how to get rid of it. */
export interface StoreUnderTest {
  readonly store: Store;
  dispose(): Promise<void>;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const bytes = (value: string): Uint8Array => Buffer.from(value, 'latin1');
const put = (key: string, value: string): StoreChange => ({ key: bytes(key), value: bytes(value) });
const del = (key: string): StoreChange => ({ key: bytes(key), value: null });

interface Scan {
  readonly records: [string, string][];
  readonly more: boolean;
}

/** What every {@link Store} promises, in every implementation. */
export function describeStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`Store contract: ${name}`, () => {
    let store: Store;
    let under: StoreUnderTest;

    beforeEach(async () => {
      under = await open();
      store = under.store;
    });
    afterEach(() => under.dispose());

    const write = (changes: readonly StoreChange[], sync = true): Promise<void> =>
      new Promise((resolve) => store.write(changes, sync, resolve));
    const getMany = (keys: readonly string[]): Promise<(string | undefined)[]> =>
      new Promise((resolve) =>
        store.getMany(keys.map(bytes), (values) =>
          resolve(values.map((value) => (value === undefined ? undefined : text(value)))),
        ),
      );
    const scanned = (gte: string, lt: string, limit: number, bytesMax: number): Promise<Scan> =>
      new Promise((resolve) =>
        store.scan(bytes(gte), bytes(lt), limit, bytesMax, (records, more) =>
          resolve({ records: records.map(({ key, value }) => [text(key), text(value)]), more }),
        ),
      );
    const scan = async (gte: string, lt: string, limit: number): Promise<[string, string][]> =>
      (await scanned(gte, lt, limit, 1_000_000)).records;

    it('gives back what was written, in the order of the keys asked for', async () => {
      await write([put('a', '1'), put('b', '2')]);
      assert.deepEqual(await getMany(['b', 'missing', 'a', 'b']), ['2', undefined, '1', '2']);
      assert.deepEqual(await getMany([]), []);
    });

    it('tells an empty value from none', async () => {
      await write([put('empty', '')]);
      assert.deepEqual(await getMany(['empty', 'none']), ['', undefined]);
    });

    it('applies the changes of one batch in order: the last one for a key wins', async () => {
      await write([put('k', '1'), del('k'), put('k', '2'), put('gone', 'x'), del('gone')]);
      assert.deepEqual(await getMany(['k', 'gone']), ['2', undefined]);
    });

    it('scans gte ≤ key < lt in the order of unsigned bytes, at most limit', async () => {
      await write([put('\x7f', 'b'), put('\x80', 'c'), put('\xff', 'd'), put('\x00', 'a')]);
      await write([put('\x80\x00', 'cc')]);
      assert.deepEqual(await scan('\x00', '\xff', 10), [
        ['\x00', 'a'],
        ['\x7f', 'b'],
        ['\x80', 'c'],
        ['\x80\x00', 'cc'],
      ]);
      assert.deepEqual(await scan('\x7f', '\xff\xff', 2), [
        ['\x7f', 'b'],
        ['\x80', 'c'],
      ]);
      assert.deepEqual(await scan('\x00', '\xff', 0), []);
      assert.deepEqual(await scan('\x90', '\x91', 5), []);
    });

    it('stops a scan with the record that reaches the bytes, and says that there is more', async () => {
      const value = 'x'.repeat(100);
      await write(['a', 'b', 'c', 'd', 'e'].map((key) => put(key, value)));
      const keys = async (gte: string, limit: number, bytesMax: number) => {
        const { records, more } = await scanned(gte, 'z', limit, bytesMax);
        return `${records.map(([key]) => key).join('')}${more ? '+' : ''}`;
      };
      assert.equal(await keys('a', 10, 1), 'a+');
      assert.equal(await keys('a', 10, 100), 'a+');
      assert.equal(await keys('a', 10, 101), 'ab+');
      assert.equal(await keys('c', 10, 1000), 'cde');
      assert.equal(await keys('a', 2, 1000), 'ab+');
      assert.equal(await keys('x', 10, 1), '');
      const written = write([del('a'), del('b'), put('bb', value), put('f', value)]);
      assert.equal(await keys('a', 10, 1), 'bb+');
      assert.equal(await keys('a', 10, 101), 'bbc+');
      assert.equal(await keys('a', 10, 1000), 'bbcdef');
      await written;
      assert.equal(await keys('a', 10, 1), 'bb+');
    });

    it('gives a whole range page by page, whatever is being written', async () => {
      const all = Array.from({ length: 40 }, (_, i) => `k${String(i).padStart(2, '0')}`);
      await write(all.map((key) => put(key, 'v'.repeat(30))));
      const written = write(all.filter((_, i) => i % 3 === 0).map(del));
      const seen: string[] = [];
      for (let from = 'k', more = true; more; ) {
        const page = await scanned(from, 'l', 7, 100);
        assert.ok(page.records.length > 0 || !page.more);
        seen.push(...page.records.map(([key]) => key));
        more = page.more;
        from = `${seen.at(-1)}\0`;
      }
      assert.deepEqual(
        seen,
        all.filter((_, i) => i % 3 !== 0),
      );
      await written;
    });

    it('lets a read see every earlier write, answered or not', async () => {
      await write([put('a', 'old'), put('b', 'old'), put('c', 'old'), put('d', 'old')]);
      const written = Promise.all([
        write([put('a', 'new'), del('b')]),
        write([put('bb', 'new')], false),
        write([del('c')]),
      ]);
      const values = getMany(['a', 'b', 'bb', 'c', 'd']);
      const first = scan('a', 'z', 2);
      const all = scan('a', 'z', 10);
      assert.deepEqual(await values, ['new', undefined, 'new', undefined, 'old']);
      assert.deepEqual(await first, [
        ['a', 'new'],
        ['bb', 'new'],
      ]);
      assert.deepEqual(await all, [
        ['a', 'new'],
        ['bb', 'new'],
        ['d', 'old'],
      ]);
      await written;
    });

    it('lets no read see a later write', async () => {
      await write([put('a', 'old')]);
      const before = getMany(['a', 'b']);
      const scanning = scan('a', 'z', 10);
      const written = write([put('a', 'new'), put('b', 'new')]);
      assert.deepEqual(await before, ['old', undefined]);
      assert.deepEqual(await scanning, [['a', 'old']]);
      await written;
    });

    it('answers writes in order, never within the call', async () => {
      const answered: number[] = [];
      const writes = Array.from({ length: 20 }, (_, i) =>
        write([put(`k${i}`, String(i))], i % 3 === 0).then(() => answered.push(i)),
      );
      assert.deepEqual(answered, []);
      let within = true;
      const last = new Promise<void>((resolve) =>
        store.write([], true, () => {
          assert.equal(within, false);
          resolve();
        }),
      );
      within = false;
      await Promise.all([...writes, last]);
      assert.deepEqual(
        answered,
        Array.from({ length: 20 }, (_, i) => i),
      );
    });

    it('equals a sorted list for any history of writes and reads', async function () {
      this.timeout(30_000);
      const key = fc.string({ unit: fc.constantFrom('a', 'b', '\xff', '\0'), maxLength: 3 });
      const keyed = key.map((k) => `k${k}`);
      const change = fc.record({
        key: keyed,
        value: fc.option(fc.string({ unit: 'grapheme-ascii', maxLength: 4 })),
      });
      const step = fc.oneof(
        fc.record({
          type: fc.constant('write' as const),
          changes: fc.array(change),
          sync: fc.boolean(),
        }),
        fc.record({ type: fc.constant('get' as const), keys: fc.array(keyed) }),
        fc.record({ type: fc.constant('scan' as const), gte: keyed, lt: keyed, limit: fc.nat(6) }),
        fc.record({ type: fc.constant('wait' as const) }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const old = await scan('k', 'l', 1_000_000);
          await write(old.map(([k]) => del(k)));
          const model = new Map<string, string>();
          const checks: Promise<void>[] = [];
          let last = Promise.resolve();
          for (const at of steps) {
            if (at.type === 'write') {
              for (const { key: k, value } of at.changes) {
                if (value === null) model.delete(k);
                else model.set(k, value);
              }
              last = write(
                at.changes.map(({ key: k, value }) => (value === null ? del(k) : put(k, value))),
                at.sync,
              );
            } else if (at.type === 'get') {
              const expected = at.keys.map((k) => model.get(k));
              checks.push(getMany(at.keys).then((got) => assert.deepEqual(got, expected)));
            } else if (at.type === 'scan') {
              const expected = [...model]
                .filter(([k]) => k >= at.gte && k < at.lt)
                .sort(([a], [b]) => (a < b ? -1 : 1))
                .slice(0, at.limit);
              checks.push(
                scan(at.gte, at.lt, at.limit).then((got) => assert.deepEqual(got, expected)),
              );
            } else {
              await last;
            }
          }
          await Promise.all([...checks, last]);
        }),
        { numRuns: 60 },
      );
    });
  });
}
