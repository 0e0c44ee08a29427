/**
 * `npm run fuzz:swim -- --count N --seed S`: mutated datagrams, stream requests and answers, in clear
 * and sealed, into running members. Exits 1 at the first that throws, grows, or changes what it must
 * not. With `--expose-gc` it shows how much memory was kept.
 */
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now()) },
  },
});
const count = Number(values.count);
if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`--count ${values.count}`);

const heapBefore = heapBytes();
const startMs = performance.now();
const { largest, ...result } = await fuzz({ count, seed: values.seed });
const seconds = (performance.now() - startMs) / 1000;
console.log(`seed ${values.seed}: ${JSON.stringify(result)}`);
console.log(`largest held: ${JSON.stringify(largest)}`);
const grown = ((heapBytes() - heapBefore) / 1_048_576).toFixed(1);
console.log(`${count} inputs in ${seconds.toFixed(1)} s; heap ${grown} MiB more than before`);

function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
