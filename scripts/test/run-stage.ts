/** Runs the checks and the test files of one stage, and counts what passed and failed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MochaCounts, StageResult } from './counts.ts';
import type { Check, Stage } from './stages.ts';

/** Output kept of a quiet check: enough for the errors of a day, bounded all the same. */
const OUTPUT_BYTES_MAX = 512 * 1024;

interface Finished {
  readonly ok: boolean;
  readonly output: string;
  /** Why it failed, for the summary. */
  readonly reason: string;
}

/** Starts `command` in a process group of its own, so that its children end with it. */
function launch(command: readonly string[], live: boolean, extraEnv: NodeJS.ProcessEnv) {
  const [program = '', ...args] = command;
  return spawn(program, args, {
    detached: true,
    env: { ...process.env, ...extraEnv },
    stdio: live ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    // The group is gone already; anything else is a bug here.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const running = new Set<ChildProcess>();

/** Ends what the stage in progress has started: called when the run itself is interrupted. */
export function killRunning(): void {
  for (const child of running) killGroup(child);
}

function run(
  command: readonly string[],
  live: boolean,
  limitMs: number,
  extraEnv: NodeJS.ProcessEnv = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const child = launch(command, live, extraEnv);
    running.add(child);
    let output = '';
    let timedOut = false;
    const keep = (chunk: Buffer) => {
      if (output.length < OUTPUT_BYTES_MAX) output += chunk.toString();
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, limitMs);
    const finish = (ok: boolean, reason: string) => {
      clearTimeout(timer);
      running.delete(child);
      // A program that left children behind would hold ports and files of the next stage.
      killGroup(child);
      resolve({ ok, output, reason });
    };
    child.once('error', (error) => finish(false, error.message));
    child.once('close', (code, signal) => {
      if (timedOut) finish(false, `still running after ${Math.round(limitMs / 1000)} s`);
      else if (code === 0) finish(true, '');
      else finish(false, signal === null ? `exit code ${code}` : `ended by ${signal}`);
    });
  });
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, '      ');
}

async function runCheck(check: Check, limitMs: number): Promise<StageResult> {
  const startMs = performance.now();
  const result = await run(check.command, check.live === true, limitMs);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  if (result.ok) {
    console.log(`    ✔ ${check.title} (${seconds} s)`);
    return { passed: 1, failed: 0, skipped: [], failures: [] };
  }
  console.log(`    ✖ ${check.title}: ${result.reason} (${seconds} s)`);
  if (result.output !== '') console.log(indent(result.output));
  return { passed: 0, failed: 1, skipped: [], failures: [`${check.title}: ${result.reason}`] };
}

/** The files of each run of mocha, in the order in which the runs begin. */
export function hands(
  { apart, processes = 1 }: Pick<Stage, 'apart' | 'processes'>,
  files: readonly string[],
): readonly string[][] {
  if (apart !== undefined) {
    const isLong = (file: string): number => Number(apart.first.test(file));
    return files.toSorted((a, b) => isLong(b) - isLong(a)).map((file) => [file]);
  }
  // In turns: neighbours take alike long.
  return Array.from({ length: Math.min(processes, files.length) }, (_, hand) =>
    files.filter((_file, index) => index % processes === hand),
  );
}

/** Runs mocha for all files of the stage, `processes` at a time. */
async function runTests(
  stage: Stage,
  files: readonly string[],
  deadlineMs: number,
): Promise<readonly StageResult[]> {
  const results: StageResult[] = [];
  const run = async (left: Iterable<readonly string[]>): Promise<void> => {
    for (const hand of left) {
      const limitMs = deadlineMs - performance.now();
      results.push(limitMs > 0 ? await runMocha(hand, limitMs) : notBegun(hand));
    }
  };
  const isAlone = (file: string): boolean => stage.apart?.alone?.test(file) ?? false;
  await run(files.filter(isAlone).map((file) => [file]));
  const others = files.filter((file) => !isAlone(file));
  const left = hands(stage, others).values();
  await Promise.all(Array.from({ length: stage.processes ?? 1 }, () => run(left)));
  return results;
}

/** The time of the stage was over before these files began. */
function notBegun(files: readonly string[]): StageResult {
  const failures = files.map((file) => `${file}: not begun, the time of the stage is over`);
  for (const failure of failures) console.log(`    ✖ ${failure}`);
  return { passed: 0, failed: failures.length, skipped: [], failures };
}

async function runMocha(files: readonly string[], limitMs: number): Promise<StageResult> {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-test-'));
  const countsFile = join(folder, 'counts.json');
  try {
    const command = ['mocha', '--reporter', 'scripts/test/reporter.ts', ...files];
    const result = await run(command, true, limitMs, { SHOAL_TEST_COUNTS: countsFile });
    const counts = readCounts(countsFile);
    const { passed, failed, skipped, failures, complete } = counts;
    if (!complete) {
      const failure = `mocha did not get to its end: ${result.reason}`;
      console.log(`    ✖ ${failure}`);
      return { passed, failed: failed + 1, skipped, failures: [...failures, failure] };
    }
    // mocha fails without a failing test when a file does not load, or when it was killed late.
    if (!result.ok && failed === 0) {
      return { passed, failed: 1, skipped, failures: [`mocha: ${result.reason}`] };
    }
    return { passed, failed, skipped, failures };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readCounts(path: string): MochaCounts {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as MochaCounts;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { passed: 0, failed: 0, skipped: [], failures: [], complete: false };
  }
}

/**
 * Runs one stage.
 *
 * @param files test files of the stage, paths from the root of the repository
 * @param requireTools a skipped test counts as failed: CI installs all that tests ask for
 */
export async function runStage(
  stage: Stage,
  files: readonly string[],
  requireTools: boolean,
): Promise<StageResult> {
  const deadlineMs = performance.now() + stage.limitSeconds * 1000;
  const total = { passed: 0, failed: 0, skipped: [] as string[], failures: [] as string[] };
  const add = (result: StageResult) => {
    total.passed += result.passed;
    total.failed += result.failed;
    total.skipped.push(...result.skipped);
    total.failures.push(...result.failures);
  };
  for (const result of await runTests(stage, files, deadlineMs)) add(result);
  for (const check of stage.checks ?? []) {
    add(await runCheck(check, Math.max(1, deadlineMs - performance.now())));
  }
  if (requireTools && total.skipped.length > 0) {
    total.failed += total.skipped.length;
    total.failures.push(...total.skipped.map((title) => `skipped, but required: ${title}`));
  }
  return total;
}
