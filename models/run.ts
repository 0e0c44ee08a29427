/**
 * Checks the models with spin: each as it is, then with one rule dropped at a time.
 *
 *     node --conditions=shoal-source models/run.ts [model]
 *
 * Prints a line per run and exits with 1 if one of them is not as expected.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** One run of one model. */
export interface ModelRun {
  /** File name without `.pml`. */
  readonly model: string;
  /** Preprocessor definitions: sizes, and the rule that a negative control drops. */
  readonly defines: readonly string[];
  /** A negative control must be `violated`, or the model would not notice its rule. */
  readonly expected: 'clean' | 'violated';
  /** Tries the last choice first, which reaches some violations many times sooner. */
  readonly reverse?: boolean;
  /** Ends so soon that optimising the search takes longer than it saves. */
  readonly short?: boolean;
}

/** What a run found. */
export interface ModelResult {
  readonly verdict: 'clean' | 'violated';
  /** Distinct states visited: all there are if clean, those until the violation otherwise. */
  readonly states: number;
  /** Seconds of the search alone. */
  readonly searchS: number;
  /** The assertion that failed; '' if clean. */
  readonly assertion: string;
}

const FOUR_NODES = ['NODES=4', 'VIEWS=3'];

function controls(model: string, rules: readonly string[], sizes: readonly string[] = []) {
  return rules.map(
    (rule): ModelRun => ({ model, defines: [...sizes, rule], expected: 'violated' }),
  );
}

function short(model: string, rules: readonly string[]) {
  return controls(model, rules).map((run) => ({ ...run, short: true }));
}

/** Every run, in the order of the README. */
export const MODEL_RUNS: readonly ModelRun[] = [
  { model: 'qos2-send', defines: [], expected: 'clean' },
  ...controls('qos2-send', ['EARLY_PUBREL', 'EARLY_REUSE', 'FORGET_REL', 'NO_FENCE']),
  { model: 'qos2-receive', defines: [], expected: 'clean' },
  ...controls('qos2-receive', [
    'EARLY_PUBREC',
    'EARLY_PUBCOMP',
    'EARLY_ENQ',
    'NO_REDRIVE',
    'FORGET_ALL',
    'SEEN_IN_MEMORY',
    'NO_EPOCH',
    'NO_MATCH',
  ]),
  { model: 'shared-group', defines: [], expected: 'clean' },
  ...short('shared-group', [
    'GIVE_EARLY',
    'REFUSE_IN_MEMORY',
    'UNBIND_EARLY',
    'FORGETFUL',
    'NEW_PROCESS',
  ]),
  { model: 'view-formation', defines: [], expected: 'clean' },
  { model: 'view-formation', defines: FOUR_NODES, expected: 'clean' },
  ...controls(
    'view-formation',
    [
      'PICK_LONGEST',
      'PICK_ANY_VIEW',
      'ACTIVE_ONLY',
      'RECORD_UNORDERED',
      'NO_PROMISE',
      'ONE_PROMISE',
      'COMMIT_MOST',
    ],
    FOUR_NODES,
  ),
  { model: 'view-formation', defines: ['ENTRIES=1', 'ROT'], expected: 'clean' },
  ...controls('view-formation', ['FALL_BACK'], ['ENTRIES=1']),
  ...controls('view-formation', ['PICK_UNRECORDED', 'EARLY_INSTALLED']),
  { model: 'voter-change', defines: ['VIEWS=3'], expected: 'clean' },
  { model: 'voter-change', defines: ['VIEWS=3', 'WITHDRAW'], expected: 'clean' },
  ...controls('voter-change', ['CHANGE_ANY_TIME', 'NEW_ONLY', 'OLD_ONLY']).map((run) => ({
    ...run,
    reverse: true,
  })),
  ...controls('voter-change', ['WITHDRAW_NEVER', 'WITHDRAW_ANY', 'WITHDRAW_UNORDERED'], ['PAIR']),
  { model: 'node-grants', defines: [], expected: 'clean' },
  ...short('node-grants', [
    'KEEP_GRANT',
    'EARLY_SUBACK',
    'SKIP_DOWN',
    'FAST_CLOCK',
    'OVERTAKES',
    'DEPOSED_ANSWERS',
    'ROUTES_LACKING',
    'SUSPECT_LACKING',
    'RELINK_FORGETS',
    'NO_SUCCESSOR',
    'LATE_SUCCESSOR',
    'KNOWN_ONLY',
    'WOKEN_ROUTES',
    'WOKEN_ANSWERS',
    'DEPOSED_GRANTS',
  ]),
];

/** Name of a tool that is missing; undefined if all are there. */
export async function missingTool(): Promise<string | undefined> {
  for (const tool of ['spin', 'cc']) {
    try {
      await execute(tool, [tool === 'spin' ? '-V' : '--version']);
    } catch {
      return tool;
    }
  }
  return undefined;
}

/**
 * Generates, compiles and runs the verifier of one model in a temporary folder.
 *
 * @throws Error if a tool fails, or if the search did not end: too deep, out of memory
 */
export async function runModel(run: ModelRun): Promise<ModelResult> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-model-'));
  const options = { cwd: folder, timeout: 120_000, maxBuffer: 16 * 1024 * 1024 };
  try {
    const source = join(import.meta.dirname, `${run.model}.pml`);
    await execute('spin', ['-a', ...run.defines.map((define) => `-D${define}`), source], options);
    // Partial order reduction gains nothing here, for nearly every step touches what all share.
    const flags = [run.short ? '-O0' : '-O1', '-w', '-DSAFETY', '-DNOREDUCE', '-DMEMLIM=2000'];
    if (run.reverse) flags.push('-DT_REVERSE');
    await execute('cc', [...flags, '-o', 'pan', 'pan.c'], options);
    const { stdout } = await execute(join(folder, 'pan'), ['-m100000'], options);
    return resultOf(stdout);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Reads the verifier's report. */
export function resultOf(report: string): ModelResult {
  const errors = /errors: (\d+)/.exec(report);
  const states = /(\d+) states, stored/.exec(report);
  const seconds = /elapsed time ([\d.]+) seconds/.exec(report);
  if (errors === null || states === null || /search depth too small|memory/.test(notes(report))) {
    throw new Error(`the search did not end:\n${report}`);
  }
  const violated = errors[1] !== '0';
  const failure = /^pan:\d+: (.*?)(?: \(at depth \d+\))?$/m.exec(report);
  return {
    verdict: violated ? 'violated' : 'clean',
    states: Number(states[1]),
    searchS: Number(seconds?.[1] ?? 0),
    assertion: violated ? (failure?.[1] ?? '') : '',
  };
}

/** The lines before the report proper, where the verifier says what went wrong with the search. */
function notes(report: string): string {
  return report.slice(0, report.indexOf('(Spin Version'));
}

async function main(): Promise<void> {
  const missing = await missingTool();
  if (missing !== undefined) throw new Error(`${missing} is not installed`);
  const only = process.argv[2];
  for (const run of MODEL_RUNS.filter(({ model }) => only === undefined || model === only)) {
    const result = await runModel(run);
    if (result.verdict !== run.expected) process.exitCode = 1;
    const name = `${run.model} ${run.defines.join(' ')}`.padEnd(50);
    const states = String(result.states).padStart(9);
    const remark = result.verdict === run.expected ? '' : `, EXPECTED ${run.expected}`;
    console.log(
      `${name} ${result.verdict.padEnd(8)} ${states} states ${result.searchS} s${remark}`,
    );
  }
}

if (import.meta.main) await main();
