/** Where a shard's records stand in the store: prefix 2, shard (big-endian), kind, index. */
export const KEY_IDENTITY = Uint8Array.of(1, 1);
export const KEY_SETTINGS = Uint8Array.of(1, 2);
export const KEY_RUNS = Uint8Array.of(1, 3);

const SHARD = 2;
const HARD = 1;
const CHECKPOINT = 2;
const ENTRY = 3;
const PARTIAL = 4;

export function hardKey(shard: number): Uint8Array {
  return Uint8Array.of(SHARD, shard >> 8, shard & 0xff, HARD);
}

export function checkpointKey(shard: number): Uint8Array {
  return Uint8Array.of(SHARD, shard >> 8, shard & 0xff, CHECKPOINT);
}

/** What a learner has of a snapshot that is not complete. */
export function partialKey(shard: number): Uint8Array {
  return Uint8Array.of(SHARD, shard >> 8, shard & 0xff, PARTIAL);
}

/** Key of a log entry: indexes sort as numbers up to 2^48. */
export function entryKey(shard: number, index: number): Uint8Array {
  const key = new Uint8Array(10);
  key[0] = SHARD;
  key[1] = shard >> 8;
  key[2] = shard & 0xff;
  key[3] = ENTRY;
  const high = Math.floor(index / 0x1_0000_0000);
  key[4] = (high >> 8) & 0xff;
  key[5] = high & 0xff;
  key[6] = (index >>> 24) & 0xff;
  key[7] = (index >>> 16) & 0xff;
  key[8] = (index >>> 8) & 0xff;
  key[9] = index & 0xff;
  return key;
}
