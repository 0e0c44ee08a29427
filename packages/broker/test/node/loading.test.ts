import assert from 'node:assert/strict';
import { Shards, type ShardsNode, type ShardsOptions } from '../../src/node/shards.ts';
import type { Store } from '../../src/ports.ts';
import { entryKey } from '../../src/shard/keys.ts';
import { encodeEntry } from '../../src/shard/log.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { TestShard } from './copies.ts';

/** A store whose answers wait in `work`, and what is asked of it. */
function watchedStore() {
  const work: (() => void)[] = [];
  const inner = new MemoryStore({ defer: (fn) => work.push(fn) });
  const seen = { underWay: 0, mostUnderWay: 0, mostBytes: 0 };
  const began = () => {
    seen.mostUnderWay = Math.max(seen.mostUnderWay, ++seen.underWay);
  };
  const store: Store = {
    write: (changes, sync, done) => inner.write(changes, sync, done),
    getMany: (keys, done) => {
      began();
      inner.getMany(keys, (values) => {
        seen.underWay--;
        done(values);
      });
    },
    scan: (gte, lt, limit, bytesMax, done) => {
      began();
      inner.scan(gte, lt, limit, bytesMax, (records, more) => {
        seen.underWay--;
        const bytes = records.reduce((sum, { value }) => sum + value.length, 0);
        seen.mostBytes = Math.max(seen.mostBytes, bytes);
        done(records, more);
      });
    },
  };
  const settle = () => {
    for (let fn = work.shift(); fn; fn = work.shift()) fn();
  };
  return { store, seen, settle };
}

describe('loading shards', () => {
  it('reads few shards at a time, a page of each', () => {
    const { store, seen, settle } = watchedStore();
    const options = { self: 'a#1', bootEpoch: 1, limits: {}, damage: null, acceptLoss: false };
    const node = { lead: {}, env: { store, log: () => {}, nowMs: () => 0 } };
    const shards = new Shards(options as unknown as ShardsOptions, node as unknown as ShardsNode);
    shards.create(200);
    let done = false;
    shards.load((problem) => {
      assert.equal(problem, null);
      done = true;
    });
    settle();
    assert.equal(done, true);
    assert.equal(seen.mostUnderWay, 8);
  });

  it('reads large entries by their bytes and lets go of them', () => {
    const { store, seen, settle } = watchedStore();
    const shard = new TestShard(1);
    const copy = shard.add('a#1');
    const { replica } = copy;
    const { number } = replica.view;
    const body = new Uint8Array(100_000);
    const changes = Array.from({ length: 100 }, (_, i) => ({
      key: entryKey(0, i + 1),
      value: encodeEntry(i + 1, number, 1, (w) => w.bytes(body)).bytes,
    }));
    store.write(changes, true, () => {});
    settle();
    copy.reads = store;
    replica.load(() => {});
    settle();
    assert.equal(replica.log.end, 100);
    assert.ok(seen.mostBytes < 700_000, `${seen.mostBytes} bytes in a page`);
    assert.ok(replica.log.memCount <= 4, `${replica.log.memCount} entries in memory`);
  });
});
