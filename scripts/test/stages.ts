/**
 * The stages of `npm test`, in order. Each is a list of checks (programs that must exit 0) or the
 * test files that mocha runs in one process. Every test file belongs to exactly one stage: the
 * first whose pattern fits it, so that a new file is never left out by accident.
 */

/** A program that must exit 0; counts as one item. */
export interface Check {
  readonly title: string;
  readonly command: readonly string[];
  /** Show the program's output as it comes instead of only when it fails. */
  readonly live?: boolean;
}

export interface Stage {
  readonly name: string;
  /** Wall-clock bound; the stage's processes are killed at the end of it and it has failed. */
  readonly limitSeconds: number;
  readonly checks?: readonly Check[];
  /** Test files of this stage, matched against the path from the root of the repository. */
  readonly tests?: RegExp;
  /** Processes among which the test files are dealt; absent: one. Only for tests that share nothing. */
  readonly processes?: number;
  /**
   * Each test file is run by a process of its own, and the next begins when one is done: for files that take
   * from a second to a minute. `alone`: nothing runs beside them. `first`: the longest, which begin first.
   */
  readonly apart?: { readonly first: RegExp; readonly alone?: RegExp };
}

export interface StageOptions {
  /** Seed from which the simulator draws the seeds of this run. */
  readonly simSeed: number;
  readonly simSeeds: number;
}

/** Real sockets, threads, processes and seconds; whatever else these folders hold goes with them. */
const INTEGRATION = [
  /(^|\/)test\/integration\//,
  /\.integration\.test\.ts$/,
  /^packages\/broker\/test\/admin\//,
  /^packages\/cli\/test\/commands\//,
  /^packages\/swim\/test\/(contract|thread)\//,
];

export function stages(options: StageOptions): readonly Stage[] {
  return [
    {
      name: 'lint',
      limitSeconds: 60,
      checks: [{ title: 'biome', command: ['biome', 'check', '.'] }],
    },
    {
      name: 'types',
      limitSeconds: 180,
      checks: [
        { title: 'build', command: ['tsc', '-b'] },
        { title: 'tests, scripts, bench', command: ['tsc', '-p', 'tsconfig.tests.json'] },
      ],
    },
    {
      name: 'boundaries',
      limitSeconds: 180,
      checks: [
        {
          title: 'layers (dependency-cruiser)',
          command: ['depcruise', '--config', '.dependency-cruiser.mjs', 'packages'],
        },
        {
          title: 'a planted violation of every rule is found',
          command: ['node', 'scripts/test/planted-violations.ts'],
        },
        { title: 'unused code and dependencies (knip)', command: ['knip'] },
      ],
    },
    {
      name: 'docs',
      limitSeconds: 120,
      checks: [{ title: 'typedoc', command: ['typedoc', '--emit', 'none'] }],
    },
    {
      name: 'property',
      limitSeconds: 240,
      tests: /(^|\/)test\/(property|fuzz)\/|\.property\.test\.ts$/,
      processes: 2,
      apart: { first: /codec-differential/ },
      checks: [
        {
          title: 'a million mutated messages into membership',
          command: [
            'node',
            '--conditions=shoal-source',
            'packages/swim/test/fuzz/main.ts',
            '--count',
            '1000000',
            '--seed',
            String(options.simSeed),
          ],
        },
      ],
    },
    {
      name: 'simulation',
      limitSeconds: 400,
      tests: /(^|\/)test\/sim\/|^packages\/swim\/src\/sim\/experiments\//,
      processes: 2,
      apart: { first: /regressions/ },
      checks: [
        {
          title: `simulator, up to ${options.simSeeds} fresh seeds from ${options.simSeed}`,
          command: [
            'node',
            '--conditions=shoal-source',
            'packages/broker/src/sim/main.ts',
            '--seeds',
            String(options.simSeeds),
            '--seed',
            String(options.simSeed),
            // Fewer on a slow machine: each is deterministic, their number is not.
            '--within',
            '150',
          ],
          live: true,
        },
      ],
    },
    { name: 'models', limitSeconds: 300, tests: /^models\/|models\.test\.ts$/ },
    {
      name: 'integration',
      limitSeconds: 600,
      tests: new RegExp(INTEGRATION.map(({ source }) => source).join('|')),
      // They wait for one another's processes more than they compute.
      processes: 2,
      apart: { first: /\/(refusals|hanging|config|handle|admin)\.test\.ts$/ },
    },
    {
      name: 'end to end',
      limitSeconds: 540,
      tests: /(^|\/)test\/e2e\//,
      processes: 2,
      apart: { alone: /\/(chaos|pause)\.test\.ts$/, first: /\/(cut|demo|resume)\.test\.ts$/ },
    },
    // Last in the table because it takes what no other stage claims; first of the tests to run.
    { name: 'unit', limitSeconds: 300, tests: /\.test\.ts$/, processes: 2 },
  ];
}

/** Stages in the order in which they run: checks, then unit tests, then what takes longer. */
export function runOrder(all: readonly Stage[]): readonly Stage[] {
  const unit = all.filter((stage) => stage.name === 'unit');
  const docs = all.findIndex((stage) => stage.name === 'docs');
  const rest = all.filter((stage) => stage.name !== 'unit');
  return [...rest.slice(0, docs + 1), ...unit, ...rest.slice(docs + 1)];
}

/** The stage of each test file; throws on a file that no stage claims. */
export function assignTests(
  all: readonly Stage[],
  files: readonly string[],
): ReadonlyMap<Stage, readonly string[]> {
  const byStage = new Map<Stage, string[]>();
  for (const file of files) {
    const stage = all.find((candidate) => candidate.tests?.test(file));
    if (stage === undefined) throw new Error(`no stage of npm test runs ${file}`);
    const list = byStage.get(stage) ?? [];
    list.push(file);
    byStage.set(stage, list);
  }
  return byStage;
}
