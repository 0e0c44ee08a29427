import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hash32, murmur3, shardOf } from './hash.ts';

describe('hash32', () => {
  it('is MurmurHash3 x86_32: published test vectors', () => {
    for (const [key, seed, expected] of [
      ['', 0, 0],
      ['', 1, 0x514e28b7],
      ['', 0xffffffff, 0x81f16f39],
      ['test', 0, 0xba6bd213],
      ['test', 0x9747b28c, 0x704b81dc],
      ['Hello, world!', 0x9747b28c, 0x24884cba],
      ['aaaa', 0x9747b28c, 0x5a97808a],
      ['aaa', 0x9747b28c, 0x283e0130],
      ['aa', 0x9747b28c, 0x5d211726],
      ['a', 0x9747b28c, 0x7fa09ea6],
      ['The quick brown fox jumps over the lazy dog', 0x9747b28c, 0x2fa826cd],
      ['ππππππππ', 0x9747b28c, 0xd58063c1],
    ] as const) {
      assert.equal(hash32(key, seed).toString(16), expected.toString(16), key);
    }
    assert.equal(murmur3(Uint8Array.of(0xff, 0xff, 0xff, 0xff), 4, 0), 0x76293b50);
    assert.equal(murmur3(Uint8Array.of(0x21, 0x43, 0x65, 0x87), 4, 0x5082edee), 0x2362f9de);
  });

  it('hashes the UTF-8 bytes whatever the length and the characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), fc.nat(), (key, seed) => {
        const bytes = Buffer.from(key, 'utf8');
        assert.equal(hash32(key, seed), murmur3(bytes, bytes.length, seed));
      }),
    );
  });
});

describe('shardOf', () => {
  it('never changes: a stored session is found where it was put', () => {
    assert.deepEqual(
      ['', 'client-1', 'client-2', 'sensor/ü', 'a'.repeat(300)].map((key) => shardOf(key, 1024)),
      [0, 562, 684, 201, 243],
    );
  });

  it('spreads Client Identifiers that differ in a number evenly', () => {
    const counts = new Array<number>(64).fill(0);
    for (let n = 0; n < 64_000; n++) counts[shardOf(`device-${n}`, 64)]!++;
    // Chi-square with 63 degrees of freedom: 103.4 is exceeded once in a thousand.
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    assert.ok(chiSquare < 103.4, `chi-square ${chiSquare}`);
  });
});
