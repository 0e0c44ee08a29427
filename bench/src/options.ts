/** The command line of the benchmark. Pure. */
import { parseArgs } from 'node:util';
import { BROKER_NAMES, type BrokerName } from './brokers/broker.ts';
import { FULL, QUICK, SCENARIO_NAMES, type ScenarioName, type Sizes } from './plan.ts';

export const USAGE = `npm run bench -- [options]

  --brokers a,b        of ${BROKER_NAMES.join(', ')} (default: all)
  --before CHECKOUT    another built checkout of Shoal, measured as 'before'
  --scenarios a,b      of ${SCENARIO_NAMES.join(', ')}
                       (default: all)
  --rounds N           interleaved rounds, 1 to 20 (default ${FULL.rounds})
  --seconds N          each measured window, 0.5 to 60 (default ${FULL.seconds})
  --rate N             publishes per second of the paced pair window, 10 to 100000 (default ${FULL.pairRate})
  --idle A,B           idle connections, two or more growing steps up to 18000 (default ${FULL.idleSteps.join(',')})
  --quick              one short round: to see that all works, not for figures
  --seed N             order of the brokers and payload (default: drawn)
  --output FILE        JSON report (default bench/results/DATE-COMMIT.json); '-' writes none
  --profile            CPU profiles of Shoal and aedes; the hottest functions are listed (slower!)
  --no-pin             do not pin broker and load to cores 0 and 1
  --help`;

/** A node, broker or load, may open 20,000 files here; some are not connections. */
const IDLE_MAX = 18_000;

export interface BenchOptions {
  readonly brokers: readonly BrokerName[];
  /** Checkout of `before`. */
  readonly before: string | null;
  readonly scenarios: readonly ScenarioName[];
  readonly sizes: Sizes;
  readonly quick: boolean;
  readonly seed: number;
  readonly output: string | null;
  readonly pin: boolean;
  readonly profile: boolean;
  readonly help: boolean;
}

/**
 * @param drawnSeed used if the command line names none
 * @throws Error that names the option, its value and what is allowed
 */
export function parseOptions(argv: readonly string[], drawnSeed: number): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      brokers: { type: 'string' },
      before: { type: 'string' },
      scenarios: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      rate: { type: 'string' },
      idle: { type: 'string' },
      quick: { type: 'boolean', default: false },
      seed: { type: 'string' },
      output: { type: 'string' },
      profile: { type: 'boolean', default: false },
      'no-pin': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const base = values.quick ? QUICK : FULL;
  const sizes: Sizes = {
    ...base,
    rounds: Math.round(number('rounds', values.rounds, base.rounds, 1, 20)),
    seconds: number('seconds', values.seconds, base.seconds, 0.5, 60),
    pairRate: number('rate', values.rate, base.pairRate, 10, 100_000),
    idleSteps: values.idle === undefined ? base.idleSteps : steps(values.idle),
  };
  const before = values.before ?? null;
  const known = BROKER_NAMES.filter((name) => name !== 'before' || before !== null);
  return {
    brokers: names('brokers', values.brokers, known),
    before,
    scenarios: names('scenarios', values.scenarios, SCENARIO_NAMES),
    sizes,
    quick: values.quick,
    seed: number('seed', values.seed, drawnSeed, 0, 2 ** 32 - 1),
    output: values.output ?? null,
    pin: !values['no-pin'],
    profile: values.profile,
    help: values.help,
  };
}

function number(
  name: string,
  text: string | undefined,
  fallback: number,
  min: number,
  max: number,
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max)) {
    throw new Error(`--${name} ${text}: must be a number from ${min} to ${max}`);
  }
  return value;
}

function names<Name extends string>(
  option: string,
  text: string | undefined,
  known: readonly Name[],
): Name[] {
  if (text === undefined) return [...known];
  const wanted = text.split(',').filter((name) => name !== '');
  const unknown = wanted.find((name) => !known.includes(name as Name));
  if (unknown !== undefined || wanted.length === 0) {
    throw new Error(`--${option} ${text}: '${unknown ?? ''}' is none of ${known.join(', ')}`);
  }
  return known.filter((name) => wanted.includes(name));
}

function steps(text: string): number[] {
  const values = text.split(',').map(Number);
  const growing = values.every((v, i) => Number.isInteger(v) && v > (values[i - 1] ?? 0));
  if (values.length < 2 || !growing || (values.at(-1) as number) > IDLE_MAX) {
    throw new Error(`--idle ${text}: needs two or more growing numbers up to ${IDLE_MAX}`);
  }
  return values;
}
