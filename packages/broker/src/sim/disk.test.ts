import assert from 'node:assert/strict';
import { Prng, Scheduler } from '@shoal/swim/sim';
import { SimDisk } from './disk.ts';

const key = (n: number) => Uint8Array.of(n);

function disk(seed = 1) {
  const scheduler = new Scheduler();
  const options = { syncMinMs: 1, syncMaxMs: 5, readMaxMs: 1 };
  return { scheduler, disk: new SimDisk({ scheduler, random: new Prng(seed), options }) };
}

describe('simulated disk', () => {
  it('answers batches in the order in which they were given', () => {
    const { scheduler, disk: d } = disk();
    const store = d.open((answer) => answer());
    const done: number[] = [];
    for (let n = 0; n < 20; n++) {
      store.write([{ key: key(n), value: key(n) }], n % 3 !== 0, () => done.push(n));
    }
    assert.deepEqual(done, []);
    scheduler.runUntil(100);
    assert.deepEqual(
      done,
      Array.from({ length: 20 }, (_, n) => n),
    );
  });

  it('keeps a prefix of what was not synced when power is cut, and all that was', () => {
    const kept = new Set<number>();
    for (let seed = 0; seed < 30; seed++) {
      const { scheduler, disk: d } = disk(seed);
      const store = d.open((answer) => answer());
      store.write([{ key: key(0), value: key(0) }], true, () => {});
      scheduler.runUntil(50);
      for (let n = 1; n <= 5; n++) store.write([{ key: key(n), value: key(n) }], true, () => {});
      d.powerCut();
      const next = d.open((answer) => answer());
      next.scan(key(0), key(255), 100, 1e6, (records) => {
        const keys = records.map((record) => record.key[0]);
        assert.deepEqual(
          keys,
          Array.from({ length: keys.length }, (_, n) => n),
        );
        assert.ok(keys.length >= 1);
        kept.add(keys.length);
      });
      scheduler.runUntil(100);
    }
    assert.ok(kept.size > 3, 'different prefixes survive');
  });

  it('keeps what the kernel accepted when only the process dies, and answers no caller', () => {
    const { scheduler, disk: d } = disk();
    let answers = 0;
    d.open((answer) => answer()).write([{ key: key(1), value: key(1) }], true, () => answers++);
    d.processDied();
    scheduler.runUntil(100);
    assert.equal(answers, 0);
    assert.equal(d.records, 1);
  });

  it('syncs nothing while it is stalled', () => {
    const { scheduler, disk: d } = disk();
    d.stalledUntilMs = 500;
    let doneMs = 0;
    d.open((answer) => answer()).write([], true, () => {
      doneMs = scheduler.nowMs;
    });
    scheduler.runUntil(1000);
    assert.ok(doneMs >= 500);
  });
});
