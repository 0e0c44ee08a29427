import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { StoreChange } from '../ports.ts';
import { MemoryStore } from './memory-store.ts';
import { OrderedMap } from './ordered-map.ts';

const bytes = (value: string): Uint8Array => Buffer.from(value, 'latin1');
const put = (key: string, value: string): StoreChange => ({ key: bytes(key), value: bytes(value) });

/** A store whose disk answers only when told to. */
function manual(unsyncedBatchesMax?: number) {
  const deferred: (() => void)[] = [];
  const store = new MemoryStore({
    defer: (fn) => deferred.push(fn),
    ...(unsyncedBatchesMax === undefined ? {} : { unsyncedBatchesMax }),
  });
  return {
    store,
    deferred,
    runAll: () => {
      for (const fn of deferred.splice(0)) fn();
    },
    content: () =>
      store
        .syncedView()
        .map(({ key, value }) => `${Buffer.from(key).toString()}=${Buffer.from(value).toString()}`)
        .join(' '),
  };
}

describe('MemoryStore', () => {
  it('loses in a crash what was not synced, as if never written', () => {
    const { store, runAll, content } = manual();
    store.write([put('a', '1'), put('b', '1')], true, () => {});
    runAll();
    store.write([put('a', '2'), { key: bytes('b'), value: null }], false, () => {});
    store.write([put('a', '3'), put('c', '3')], true, () => {});
    assert.equal(content(), 'a=1 b=1');
    store.crash(0);
    assert.equal(store.size, 2);
    assert.equal(content(), 'a=1 b=1');
  });

  it('keeps a prefix of the unsynced batches when told to', () => {
    for (const [keep, expected] of [
      [0, ''],
      [1, 'a=1'],
      [2, 'a=2 b=2'],
      [9, 'a=2 b=2 c=3'],
    ] as const) {
      const { store, content } = manual();
      store.write([put('a', '1')], true, () => {});
      store.write([put('a', '2'), put('b', '2')], false, () => {});
      store.write([put('c', '3')], true, () => {});
      store.crash(keep);
      assert.equal(content(), expected);
    }
  });

  it('makes earlier unsynced batches durable with the sync that follows them', () => {
    const { store, runAll } = manual();
    store.write([put('a', '1')], false, () => {});
    runAll();
    assert.equal(store.unsyncedBatches, 1);
    store.write([put('b', '2')], true, () => {});
    assert.equal(store.unsyncedBatches, 2);
    runAll();
    assert.equal(store.unsyncedBatches, 0);
    store.crash(0);
    assert.equal(store.size, 2);
  });

  it('answers nobody who asked before a crash, and serves who asks after it', () => {
    const { store, runAll } = manual();
    const answers: string[] = [];
    store.write([put('a', '1')], true, () => answers.push('write before'));
    store.getMany([bytes('a')], () => answers.push('read before'));
    store.crash(1);
    store.write([put('b', '2')], true, () => answers.push('write after'));
    store.getMany([bytes('a')], (values) => answers.push(`read ${values[0]?.length}`));
    runAll();
    assert.deepEqual(answers, ['write after', 'read 1']);
  });

  it('keeps what a dead process wrote, until the power is cut before a sync', () => {
    const { store, runAll, content } = manual();
    let answered = false;
    store.write([put('a', '1')], false, () => {
      answered = true;
    });
    store.abandon();
    runAll();
    assert.deepEqual([answered, store.size, store.unsyncedBatches], [false, 1, 1]);
    store.crash(0);
    assert.equal(content(), '');
  });

  it('counts the oldest unsynced batches as written back beyond its bound', () => {
    const { store, content } = manual(2);
    for (const value of ['1', '2', '3']) store.write([put(value, value)], false, () => {});
    store.crash(0);
    assert.equal(content(), '1=1');
  });

  it('copies what it is given and what it gives', () => {
    const { store, runAll } = manual();
    const value = bytes('x');
    store.write([{ key: bytes('a'), value }], true, () => {});
    value[0] = 0;
    const seen: number[] = [];
    const look = (): void =>
      store.getMany([bytes('a')], ([got]) => {
        seen.push(got![0]!);
        got![0] = 1;
      });
    look();
    look();
    runAll();
    assert.deepEqual(seen, [120, 120]);
  });

  it('flips a bit of a stored value', () => {
    const { store, content } = manual();
    store.write([put('a', 'a')], true, () => {});
    store.crash(1);
    assert.equal(store.flipBit(bytes('a'), 9), true);
    assert.equal(content(), 'a=c');
    assert.equal(store.flipBit(bytes('none'), 0), false);
  });
});

describe('OrderedMap', () => {
  it('equals a sorted Map over chunk splits and emptied chunks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(1500), fc.boolean()), { minLength: 0, maxLength: 3000 }),
        fc.nat(1500),
        fc.nat(1500),
        (steps, from, to) => {
          const name = (n: number): string => String(n).padStart(4, '0');
          const map = new OrderedMap<number>();
          const model = new Map<string, number>();
          for (let n = 0; n < 1000; n++) {
            map.set(name(n), n);
            model.set(name(n), n);
          }
          for (const [n, add] of steps) {
            if (add) {
              map.set(name(n), n);
              model.set(name(n), n);
            } else {
              map.delete(name(n));
              model.delete(name(n));
            }
          }
          const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
          assert.deepEqual([...map.entries()], sorted);
          const ranged: [string, number][] = [];
          map.range(name(from), name(to), (key, value) => {
            ranged.push([key, value]);
            return true;
          });
          assert.deepEqual(
            ranged,
            sorted.filter(([key]) => key >= name(from) && key < name(to)),
          );
          assert.equal(map.size, model.size);
        },
      ),
      { numRuns: 30 },
    );
  });
});
