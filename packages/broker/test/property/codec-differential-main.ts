/** Compares the codec with mqtt-packet for long: `npm run fuzz:mqtt -- PACKETS SEED`. */
import { compare } from './codec-differential.ts';

const BATCH = 100_000;
/** Growth of the heap that is taken for noise. */
const GROWTH_BYTES_MAX = 16 * 1_048_576;

const [count = '10000000', seed = '1'] = process.argv.slice(2);
const heapBytes = () => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};
compare(Number(seed), BATCH);
const before = heapBytes();
let taken = 0;
let refused = 0;
for (let done = 0; done < Number(count); done += BATCH) {
  const outcome = compare(Number(seed) + done / BATCH, BATCH);
  taken += outcome.taken;
  refused += outcome.refused;
}
const grown = heapBytes() - before;
process.stdout.write(
  `${count} packets from seed ${seed}: ${taken} taken alike, ${refused} refused, heap ${(grown / 1_048_576).toFixed(1)} MiB larger\n`,
);
process.exitCode = grown > GROWTH_BYTES_MAX ? 1 : 0;
