import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLevelLog } from './level-log.ts';
import { LevelStore } from './level-store.ts';

const BLOCK_BYTES = 32 * 1024;

/** The log that LevelDB wrote for batches of these sizes, one after the other. */
async function logOf(sizes: readonly number[]): Promise<Buffer> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-log-'));
  try {
    const store = await LevelStore.open(dir, { onFatal: (code) => assert.fail(code) });
    for (const [i, size] of sizes.entries()) {
      const key = Uint8Array.of(i >> 8, i & 255);
      const value = new Uint8Array(size).fill(i);
      await new Promise<void>((done) => store.write([{ key, value }], true, done));
    }
    const name = (await readdir(dir)).find((file) => file.endsWith('.log'))!;
    const log = await readFile(join(dir, name));
    await store.close();
    return log;
  } finally {
    await rm(dir, { recursive: true });
  }
}

function flipped(log: Buffer, at: number): Buffer {
  const out = Buffer.from(log);
  out[at]! ^= 1;
  return out;
}

describe("LevelDB's log, read before LevelDB does (ADR 0017)", () => {
  let log: Buffer;
  let records: number[];

  before(async () => {
    // Small ones, one over several blocks, one that ends close to a block's end.
    log = await logOf([...Array<number>(60).fill(200), 80_000, ...Array<number>(300).fill(150)]);
    records = [];
    for (let at = 0; at < log.length; ) {
      const room = BLOCK_BYTES - (at % BLOCK_BYTES);
      if (room < 7) at += room;
      records.push(at);
      at += 7 + log.readUInt16LE(at + 4);
    }
  });

  it('is whole as LevelDB wrote it', () => {
    assert.deepEqual(readLevelLog(log), { damage: null, torn: false });
    assert.deepEqual(readLevelLog(Buffer.alloc(0)), { damage: null, torn: false });
  });

  it('may end anywhere, as a kill leaves it', () => {
    for (let end = 0; end < log.length; end += 397)
      assert.deepEqual(readLevelLog(log.subarray(0, end)), { damage: null, torn: false }, `${end}`);
  });

  it('may end in zeros, as a power cut leaves it', () => {
    for (const zeros of [1, 6, 7, 4096, 100_000]) {
      const tail = readLevelLog(Buffer.concat([log, Buffer.alloc(zeros)]));
      assert.equal(tail.damage, null, `${zeros}`);
    }
  });

  it('is damaged by any bit that flips before its last record', () => {
    const last = records.at(-1)!;
    for (let at = 0; at < last; at += 397) {
      // What fills the end of a block is nobody's.
      const next = records.findIndex((record) => record > at);
      const start = records[next - 1]!;
      if (at >= start + 7 + log.readUInt16LE(start + 4)) continue;
      assert.notEqual(readLevelLog(flipped(log, at)).damage, null, `byte ${at}`);
    }
    for (const start of records.slice(0, -1).filter((_, i) => i % 20 === 0))
      for (let at = start; at < start + 7; at++)
        assert.notEqual(readLevelLog(flipped(log, at)).damage, null, `head, byte ${at}`);
  });

  it('is torn, or rotten, if the last record fails its checksum', () => {
    assert.deepEqual(readLevelLog(flipped(log, log.length - 1)), { damage: null, torn: true });
  });

  it('is damaged if a whole record is gone from the middle', () => {
    const at = records.findIndex((start) => start > 1000);
    const [from, to] = [records[at]!, records[at + 1]!];
    const first = log.subarray(0, from);
    const moved = Buffer.concat([first, log.subarray(to, BLOCK_BYTES)]);
    assert.match(String(readLevelLog(moved).damage), /begins with change/);
  });

  it('is damaged if zeros stand where a record was', () => {
    const at = records.findIndex((start) => start > 1000);
    const holed = Buffer.from(log).fill(0, records[at]!, records[at + 1]!);
    assert.notEqual(readLevelLog(holed).damage, null);
  });

  it('that is noise is read in bounded time', () => {
    const noise = Buffer.alloc(1 << 20);
    let x = 1;
    for (let i = 0; i < noise.length; i++) noise[i] = x = (x * 1103515245 + 12345) & 0x7fffffff;
    assert.equal(readLevelLog(noise).damage, null);
  });
});
