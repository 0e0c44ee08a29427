/**
 * Stable hashes of strings: the same on every node, platform and version, since they say where data
 * is. Changing one moves every session of every cluster.
 */

/** ASCII strings up to this long are hashed without a call into the text encoder. */
const SHORT_CHARS_MAX = 256;

const scratch = new Uint8Array(SHORT_CHARS_MAX);
const encoder = new TextEncoder();

/**
 * MurmurHash3 x86_32 (Austin Appleby, public domain) of the UTF-8 bytes of `key`.
 *
 * Not for secrets: an attacker who chooses keys can choose collisions.
 *
 * @param key any string; a lone surrogate counts as U+FFFD
 * @param seed unsigned 32-bit integer; other seeds give independent hashes
 * @returns unsigned 32-bit integer
 */
export function hash32(key: string, seed = 0): number {
  const length = key.length;
  if (length <= SHORT_CHARS_MAX) {
    let i = 0;
    for (; i < length; i++) {
      const code = key.charCodeAt(i);
      if (code >= 0x80) break;
      scratch[i] = code;
    }
    if (i === length) return murmur3(scratch, length, seed);
  }
  const bytes = encoder.encode(key);
  return murmur3(bytes, bytes.length, seed);
}

/**
 * The shard of a key: of a Client Identifier, of a retained message's Topic Name, of a shared group.
 *
 * @param shardCount 1 ≤ shardCount ≤ 65,536, fixed when the cluster is born
 * @returns 0 ≤ shard < shardCount
 */
export function shardOf(key: string, shardCount: number): number {
  return hash32(key) % shardCount;
}

/** MurmurHash3 x86_32 of the first `length` bytes. */
export function murmur3(bytes: Uint8Array, length: number, seed: number): number {
  let h = seed | 0;
  const blocksEnd = length & ~3;
  for (let i = 0; i < blocksEnd; i += 4) {
    const block = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    h ^= scramble(block);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = length - 1; i >= blocksEnd; i--) tail = (tail << 8) | bytes[i]!;
  h ^= scramble(tail);
  return mix32(h ^ length);
}

/** Murmur3's finaliser: a bijection of 32-bit integers in which every input bit moves every output bit. */
export function mix32(value: number): number {
  let h = value;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}

function scramble(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
}
