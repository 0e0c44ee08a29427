import assert from 'node:assert/strict';
import fc from 'fast-check';
import { swimConfig } from '../config.ts';
import { about } from '../sim/core-bench.ts';
import { Prng } from '../sim/prng.ts';
import { encodeMessage, encodeUpdate } from './codec.ts';
import type { MemberState, Update } from './message.ts';
import { Swim } from './swim.ts';

const HEADER = { version: 1, clusterId: 'c', bootEpoch: 1 };

/** A member of a cluster that has heard all this. */
function member(name: string, heard: readonly Update[]): Swim {
  const prng = new Prng(name);
  const swim = new Swim({
    config: swimConfig(),
    name,
    bootEpoch: 1,
    clusterId: 'c',
    address: `${name}:1`,
    meta: new Uint8Array(),
    random: () => prng.next(),
  });
  swim.step({ type: 'start', seeds: [] }, 0);
  for (let at = 0; at < heard.length; at += 10) {
    const updates = heard.slice(at, at + 10).map(encodeUpdate);
    const bytes = encodeMessage({ ...HEADER, name: 'x' }, { type: 'gossip' }, updates);
    swim.step({ type: 'packet', from: 'x:1', bytes }, 0);
  }
  return swim;
}

/** What one periodic exchange of `left` with `right` costs, in streams and bytes. */
function exchange(left: Swim, right: Swim): { streams: number; bytes: number } {
  // A stranger that speaks is reason for an exchange.
  const hello = encodeMessage({ ...HEADER, name: 'right', bootEpoch: 2 }, { type: 'gossip' }, []);
  let effects = left.step({ type: 'packet', from: 'right:1', bytes: hello }, 5_000);
  let streams = 0;
  let bytes = 0;
  for (;;) {
    const open = effects.find((effect) => effect.type === 'stream-open');
    if (open === undefined) return { streams, bytes };
    streams++;
    const request = {
      type: 'stream-request',
      streamId: 1,
      from: 'left:1',
      bytes: open.bytes,
    } as const;
    const reply = right.step(request, 5_000).find((effect) => effect.type === 'stream-reply');
    assert.ok(reply?.bytes);
    bytes += open.bytes.length + reply.bytes.length;
    const { requestId } = open;
    effects = left.step({ type: 'stream-response', requestId, bytes: reply.bytes }, 5_000);
  }
}

const names = (size: number): string[] => Array.from({ length: size }, (_, n) => `member-${n}`);
const told = (swim: Swim) =>
  swim.members().map((each) => `${each.name} ${each.incarnation} ${each.state}`);

describe('push-pull by digest', () => {
  const pair = (size: number, differing: number) => {
    const all = names(size).map((name) => about(name));
    const both = [...all, about('left'), about('right')];
    const newer = all.slice(0, differing).map((each) => ({ ...each, incarnation: 1 }));
    return [member('left', both), member('right', [...both, ...newer])] as const;
  };

  it('costs one small stream between equals, whatever the size', () => {
    for (const size of [100, 4_000]) {
      const [left, right] = pair(size, 0);
      const { streams, bytes } = exchange(left, right);
      assert.equal(streams, 1);
      assert.ok(bytes < 400, `${bytes} bytes for ${size} members`);
    }
  });

  it('costs bytes in proportion to what differs, not to the size', () => {
    for (const size of [500, 4_000]) {
      for (const differing of [1, 10]) {
        const [left, right] = pair(size, differing);
        const { streams, bytes } = exchange(left, right);
        assert.equal(streams, 2);
        assert.ok(bytes < 500 + differing * 900, `${bytes} bytes: ${differing} of ${size} differ`);
        assert.deepEqual(told(left), told(right));
      }
    }
  });

  it('makes any two the same, but for what each suspects', () => {
    const heard = fc.array(
      fc.record({
        name: fc.constantFrom(...names(12)),
        incarnation: fc.nat(2),
        state: fc.constantFrom<MemberState>('alive', 'left'),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(heard, heard, (one, other) => {
        const known = [about('left'), about('right'), ...names(12).map((name) => about(name))];
        const hear = (what: typeof one) => [
          ...known,
          ...what.map(({ name, ...changes }) => about(name, changes)),
        ];
        const left = member('left', hear(one));
        const right = member('right', hear(other));
        exchange(left, right);
        assert.deepEqual(told(left), told(right));
      }),
    );
  });
});
