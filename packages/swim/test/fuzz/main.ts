/**
 * `npm run fuzz:swim -- --count N --seed S`: mutated datagrams, stream requests and answers, in clear
 * and sealed, into running members. Exits 1 at the first that throws, grows, or changes what it must
 * not, 2 on wrong usage. With `--expose-gc` it shows how much memory was kept.
 */
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';

const HELP = `npm run fuzz:swim -- [options]

Mutated datagrams, stream requests and answers, in clear and sealed, into running members.

  --count N   inputs, 1 to 1,000,000,000; default 100,000
  --seed X    any text; default: drawn from the clock
  --help      this

Exit code: 0 all is well, 1 an input threw, grew what is bounded or changed what it must not, 2 wrong usage.`;

const COUNT_MAX = 1_000_000_000;

function parse(): { readonly count: number; readonly seed: string } {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '100000' },
      seed: { type: 'string', default: String(Date.now()) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const count = Number(values.count);
  if (!Number.isInteger(count) || count < 1 || count > COUNT_MAX)
    throw new RangeError(`--count: '${values.count}' is not 1..${COUNT_MAX}`);
  return { count, seed: values.seed };
}

function parseOrExit(): ReturnType<typeof parse> {
  try {
    return parse();
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

const { count, seed } = parseOrExit();

const heapBefore = heapBytes();
const startMs = performance.now();
const { largest, ...result } = await fuzz({ count, seed });
const seconds = (performance.now() - startMs) / 1000;
console.log(`seed ${seed}: ${JSON.stringify(result)}`);
console.log(`largest held: ${JSON.stringify(largest)}`);
const grown = ((heapBytes() - heapBefore) / 1_048_576).toFixed(1);
console.log(`${count} inputs in ${seconds.toFixed(1)} s; heap ${grown} MiB more than before`);

function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
