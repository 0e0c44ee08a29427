/**
 * What one record costs in each store: append 100-byte values in turns of 1 ms, delete them later.
 *
 *     node --conditions=shoal-source bench/micro/store.ts [recordsPerSecond…]
 *
 * Prints µs of CPU per record (user + system, all threads of the process), the delay from write to
 * `done`, and what the same turns cost without a store.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LevelStore } from '../../packages/broker/src/edge/store/level-store.ts';
import type { Store, StoreChange } from '../../packages/broker/src/ports.ts';
import { MemoryStore } from '../../packages/broker/src/store/memory-store.ts';

const SECONDS = 5;
const VALUE_BYTES = 100;
/** A record is deleted this many records after it was put. */
const DELETE_DISTANCE = 10_000;

const rates = process.argv.slice(2).map(Number);
if (rates.length === 0) rates.push(10_000, 50_000);

function keyOf(n: number): Uint8Array {
  const key = Buffer.alloc(12);
  key.writeUInt32BE(n % 64, 0);
  key.writeUIntBE(n, 4, 6);
  return key;
}

async function run(name: string, store: Store | undefined, perSecond: number): Promise<void> {
  const value = Buffer.alloc(VALUE_BYTES, 7);
  const delaysMs: number[] = [];
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  let written = 0;
  let open = 0;
  await new Promise<void>((resolve) => {
    const turn = (): void => {
      const nowMs = performance.now();
      const due = Math.min(SECONDS * perSecond, Math.floor(((nowMs - startMs) / 1000) * perSecond));
      const changes: StoreChange[] = [];
      for (; written < due; written++) {
        changes.push({ key: keyOf(written), value });
        if (written >= DELETE_DISTANCE) {
          changes.push({ key: keyOf(written - DELETE_DISTANCE), value: null });
        }
      }
      if (changes.length > 0 && store !== undefined) {
        open++;
        store.write(changes, true, () => {
          open--;
          delaysMs.push(performance.now() - nowMs);
          if (written === SECONDS * perSecond && open === 0) resolve();
        });
      }
      if (written < SECONDS * perSecond) setTimeout(turn, 1);
      else if (store === undefined) resolve();
    };
    turn();
  });
  const cpu = process.cpuUsage(startCpu);
  delaysMs.sort((a, b) => a - b);
  const at = (share: number): string =>
    (delaysMs[Math.floor(delaysMs.length * share)] ?? 0).toFixed(2);
  console.log(
    `${name.padEnd(14)} ${String(perSecond).padStart(7)}/s  ${((cpu.user + cpu.system) / written).toFixed(2).padStart(6)} µs CPU per record  done after p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, batches ${delaysMs.length}`,
  );
}

for (const perSecond of rates) {
  await run('no store', undefined, perSecond);
  await run('memory', new MemoryStore({ defer: setImmediate }), perSecond);
  const dir = await mkdtemp(join(tmpdir(), 'shoal-bench-store-'));
  const level = await LevelStore.open(dir, {
    onFatal: (_, error) => {
      throw error;
    },
  });
  await run('classic-level', level, perSecond);
  await level.close();
  await rm(dir, { recursive: true });
}
