import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mutation } from './mutations.ts';

const BROKER = join(import.meta.dirname, '../../..');
const ROOT = join(BROKER, '../..');

/** What came of the runs of one mutation. */
export interface Verdict {
  /** The seed that failed; undefined if none did. */
  readonly seed: number | undefined;
  /** Seeds that were run. */
  readonly runs: number;
  /** The first failure, in words. */
  readonly why: string;
}

/** The file of a mutation with its patch; throws by the mutation's name if it no longer applies. */
export async function mutated(mutation: Mutation): Promise<string> {
  const { name, file, from, to } = mutation;
  const source = await readFile(join(BROKER, 'src', file), 'utf8');
  const parts = source.split(from);
  if (parts.length !== 2) {
    throw new Error(`mutation '${name}': its text occurs ${parts.length - 1} times in ${file}`);
  }
  return parts.join(to);
}

interface RunOptions {
  readonly seed: number;
  readonly seeds: number;
  readonly args: readonly string[];
  readonly threads: number;
}

/** Runs the simulator on a copy of the broker with this mutation, until a seed fails that else passes. */
export async function runMutant(mutation: Mutation, o: RunOptions): Promise<Verdict> {
  const source = await mutated(mutation);
  const copy = await mkdtemp(join(tmpdir(), 'shoal-mutant-'));
  try {
    const broker = join(copy, 'packages/broker');
    await cp(join(BROKER, 'src'), join(broker, 'src'), { recursive: true });
    await cp(join(BROKER, 'package.json'), join(broker, 'package.json'));
    await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    await writeFile(join(broker, 'src', mutation.file), source);
    let runs = 0;
    let { seed } = o;
    while (runs < o.seeds) {
      const found = await run(broker, mutation.name, { ...o, seed, seeds: o.seeds - runs });
      runs += found.runs;
      if (found.seed === undefined) break;
      const control = await run(BROKER, mutation.name, { ...o, seed: found.seed, seeds: 1 });
      if (control.seed === undefined) return { ...found, runs };
      // It fails without the mutation, too: that says nothing.
      seed = found.seed + 1;
    }
    return { seed: undefined, runs, why: '' };
  } finally {
    await rm(copy, { recursive: true });
  }
}

async function run(broker: string, name: string, o: RunOptions): Promise<Verdict> {
  const { seed, seeds, threads } = o;
  const numbers = ['--seed', seed, '--seeds', seeds, '--threads', threads].map(String);
  return verdictOf(await output([join(broker, 'src/sim/main.ts'), ...numbers, ...o.args]), name);
}

function verdictOf(text: string, name: string): Verdict {
  const runs = /^(\d+) seeds, .*; first seed/m.exec(text)?.[1];
  if (runs === undefined)
    throw new Error(`mutation '${name}': no verdict in: ${text.slice(-2000)}`);
  const failed = /^failing seeds: (\d+)/m.exec(text)?.[1];
  const why = /^ {2}(invariant .*)$/m.exec(text)?.[1] ?? '';
  return { seed: failed === undefined ? undefined : Number(failed), runs: Number(runs), why };
}

/** Standard output of the simulator, whatever its exit code. */
function output(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--conditions=shoal-source', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let errors = '';
    child.stdout.on('data', (bytes) => {
      out += bytes;
    });
    child.stderr.on('data', (bytes) => {
      errors += bytes;
    });
    child.on('error', reject);
    child.on('close', () => resolve(out === '' ? errors : out));
  });
}
