/**
 * `npm run mutants`: takes rules of the core away, one at a time, and asks the simulator for a seed that
 * notices. Exits 1 when a mutation without an excuse survives.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { runMutant } from './mutants.ts';
import { MUTATIONS } from './mutations.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    focus: { type: 'boolean' },
    arg: { type: 'string', multiple: true },
    help: { type: 'boolean' },
  },
});

const HELP = `npm run mutants -- [options]
  --only TEXT   mutations whose name contains it
  --seeds N     seeds of the default mix for each at most; default 500
  --seed S      the first of them; default 1
  --threads N   default: one per core
  --focus       where each shows soonest instead of the default mix
  --arg ARG     an argument for the simulator (may be repeated)`;

async function main(): Promise<number> {
  if (values.help === true) {
    console.log(HELP);
    return 0;
  }
  const chosen = MUTATIONS.filter(({ name }) => name.includes(values.only ?? ''));
  let survived = 0;
  for (const mutation of chosen) {
    const focus = values.focus === true ? mutation.focus : undefined;
    const { seed, runs, why } = await runMutant(mutation, {
      seed: focus?.seed ?? Number(values.seed),
      seeds: Number(values.seeds),
      threads: Number(values.threads),
      args: [...(focus?.args ?? []), ...(values.arg ?? [])],
    });
    const excuse = mutation.instead === undefined ? '' : ` (instead: ${mutation.instead})`;
    if (seed !== undefined) console.log(`${mutation.name}: seed ${seed}, run ${runs}: ${why}`);
    else console.log(`${mutation.name}: SURVIVED ${runs} seeds${excuse}`);
    if (seed === undefined && mutation.instead === undefined) survived++;
  }
  console.log(`${chosen.length} mutations, ${survived} survived`);
  return survived === 0 ? 0 : 1;
}

process.exitCode = await main();
