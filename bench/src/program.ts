/** What the programs here have in common: usage, exit codes, and under which circumstances a report was made. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

/** Commit of the sources; 'unknown' outside of a checkout. */
function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

/** When, of which commit and on which machine a report is made. */
export function circumstances() {
  const machine = { cpu: os.cpus()[0]?.model, cores: os.cpus().length, node: process.version };
  return { at: new Date().toISOString(), commit: commit(), machine };
}

export function writeJson(file: string, report: object): void {
  fs.writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}

/** An option that is an integer, lo ≤ n ≤ hi. @throws RangeError */
export function integer(
  name: string,
  text: string,
  lo: number,
  hi = Number.MAX_SAFE_INTEGER,
): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= lo && value <= hi) return value;
  throw new RangeError(`--${name}: '${text}' is not ${lo}..${hi}`);
}

/**
 * Runs a program by its arguments. It sets the exit code itself; wrong usage is 2, an error 1.
 *
 * @param read gives the arguments, undefined if only the usage is asked for; throws on wrong usage
 */
export async function runProgram<Arguments>(
  usage: string,
  read: () => Arguments | undefined,
  main: (args: Arguments) => Promise<void>,
): Promise<void> {
  let args: Arguments | undefined;
  try {
    args = read();
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exitCode = 2;
    return;
  }
  if (args === undefined) {
    console.log(usage);
    return;
  }
  try {
    await main(args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode ||= 1;
  }
}
