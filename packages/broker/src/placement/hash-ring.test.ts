import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';

/**
 * The lookup rule of the npm package hash-ring@1.0.1, re-stated: see docs/adr/0002-hash-ring.md.
 * Points are CRC-32 numbers, sorted as text; a key is compared with them as it is, not hashed.
 */
function hashRing(nodes: readonly string[]): (key: string) => string {
  const points: { readonly hash: number; readonly node: string }[] = [];
  for (const node of nodes) {
    for (let replica = 0; replica < 128; replica++) {
      points.push({ hash: crc32(`${node}:${replica}`), node });
    }
  }
  points.sort((a, b) => (String(a.hash) < String(b.hash) ? -1 : 1));
  // A string against a number: both become numbers, and NaN is never ≥ anything.
  return (key) => (points.find(({ hash }) => Number(key) >= hash) ?? points[0]!).node;
}

describe('why not the npm package hash-ring@1.0.1', () => {
  const lookup = hashRing(['node-1', 'node-2', 'node-3', 'node-4']);

  it('its rule puts every string key on one node', () => {
    const used = new Set(Array.from({ length: 1000 }, (_, n) => lookup(`client-${n}`)));
    assert.equal(used.size, 1);
  });

  it('its rule puts keys that look like small numbers on that node, too', () => {
    const used = new Set(Array.from({ length: 1000 }, (_, n) => lookup(String(n))));
    assert.equal(used.size, 1);
  });
});
