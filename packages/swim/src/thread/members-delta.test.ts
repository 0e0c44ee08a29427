import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { SwimMember } from '../core/message.ts';
import { applyDelta, diffMembers } from './members-delta.ts';

const member = (name: string, change: Partial<SwimMember> = {}): SwimMember => ({
  name,
  bootEpoch: 1,
  incarnation: 0,
  state: 'alive',
  address: 'host:1',
  meta: new Uint8Array([1, 2]),
  unwell: false,
  ...change,
});

describe('difference of members', () => {
  it('is what changed, came and went, and gives the later list', () => {
    const before = ['b', 'c', 'd', 'f'].map((name) => member(name));
    const after = [member('a'), member('b'), member('c', { unwell: true }), member('e')];
    const delta = diffMembers(before, after);
    assert(delta !== undefined);
    assert.deepEqual(
      delta.changed.map(({ name }) => name),
      ['a', 'c', 'e'],
    );
    assert.deepEqual(delta.removed, ['d', 'f']);
    const applied = applyDelta(before, delta);
    assert.deepEqual(applied, after);
    assert.equal(applied[1], before[0]);
    assert.equal(Object.isFrozen(applied), true);
  });

  it('gives the later list whatever the two are', () => {
    const list = fc
      .uniqueArray(fc.tuple(fc.constantFrom('', 'a', 'b', 'bb', 'c', 'ü', 'z'), fc.nat(2)), {
        selector: ([name]) => name,
      })
      .map((entries) =>
        entries
          .sort(([left], [right]) => (left < right ? -1 : 1))
          .map(([name, incarnation]) => member(name, { incarnation })),
      );
    fc.assert(
      fc.property(list, list, (before, after) => {
        const delta = diffMembers(before, after);
        assert.deepEqual(delta === undefined ? before : applyDelta(before, delta), after);
      }),
    );
  });

  it('is nothing for lists that say the same', () => {
    assert.equal(diffMembers([member('a')], [member('a')]), undefined);
    assert.equal(diffMembers([], []), undefined);
  });

  it('sees every field, and carries no more bytes than it shows', () => {
    const large = new Uint8Array(1_000);
    for (const change of [
      { state: 'suspect' },
      { incarnation: 1 },
      { bootEpoch: 2 },
      { address: 'host:2' },
      { meta: large.subarray(0, 2) },
    ] as const) {
      const delta = diffMembers([member('a')], [member('a', change)]);
      assert.equal(delta?.changed.length, 1);
      assert.equal(delta?.changed[0]?.meta.buffer.byteLength, 2);
    }
  });
});
