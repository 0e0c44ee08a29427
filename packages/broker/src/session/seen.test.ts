import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Reader, Writer } from '../bytes.ts';
import type { Rx2Id } from './message.ts';
import { SeenSet } from './seen.ts';

function encode(seen: SeenSet): Uint8Array {
  const w = new Writer();
  seen.write(w);
  return w.take();
}

function decode(bytes: Uint8Array): SeenSet {
  const seen = new SeenSet();
  seen.read(new Reader(bytes));
  return seen;
}

/** What a publishing shard sends: an index it still owes, so never below the oldest one. */
const id: fc.Arbitrary<Rx2Id> = fc
  .tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 30 }), fc.nat({ max: 30 }))
  .map(([shard, low, above]) => ({ shard, low, index: low + above }));

describe('SeenSet (PUBLISH QoS 2)', () => {
  it('knows a message again, of its shard only', () => {
    const seen = new SeenSet();
    assert.equal(seen.has({ shard: 1, index: 5, low: 5 }), false);
    seen.add({ shard: 1, index: 5, low: 5 });
    assert.equal(seen.has({ shard: 1, index: 5, low: 5 }), true);
    assert.equal(seen.has({ shard: 1, index: 6, low: 5 }), false);
    assert.equal(seen.has({ shard: 2, index: 5, low: 5 }), false);
  });

  it('has seen all that its shard no longer owes, whether it was meant for it or not', () => {
    const seen = new SeenSet();
    seen.add({ shard: 1, index: 40, low: 30 });
    assert.equal(seen.has({ shard: 1, index: 29, low: 29 }), true);
    assert.equal(seen.has({ shard: 1, index: 30, low: 30 }), false);
  });

  it('never forgets, and never takes for seen what is owed and did not come: a plain set agrees', () => {
    fc.assert(
      fc.property(fc.array(id, { maxLength: 40 }), (ids) => {
        let seen = new SeenSet();
        const added = new Set<string>();
        const low = [0, 0, 0];
        for (const next of ids) {
          seen.add(next);
          added.add(`${next.shard}.${next.index}`);
          low[next.shard] = Math.max(low[next.shard]!, next.low);
          // A copy that took over from a checkpoint knows as much.
          const bytes = encode(seen);
          seen = decode(bytes);
          assert.deepEqual(encode(seen), bytes);
          for (let shard = 0; shard < 3; shard++) {
            for (let index = 0; index < 62; index++)
              assert.equal(
                seen.has({ shard, index, low: 0 }),
                index < low[shard]! || added.has(`${shard}.${index}`),
                `${shard}.${index}`,
              );
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it('is bounded by what the shard still owes: a stream that is settled as it goes stays small', () => {
    const seen = new SeenSet();
    for (let index = 1; index <= 10_000; index++)
      seen.add({ shard: 1, index, low: Math.max(0, index - 10) });
    assert.ok(encode(seen).length < 50, `${encode(seen).length} bytes`);
  });

  it('is empty once cleared', () => {
    const seen = new SeenSet();
    seen.add({ shard: 1, index: 40, low: 30 });
    seen.clear();
    assert.equal(seen.has({ shard: 1, index: 29, low: 0 }), false);
    assert.deepEqual(encode(seen), encode(new SeenSet()));
  });
});
