/** Runs `shoal` from its sources as a child process. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const RUN_SOURCE = fileURLToPath(new URL('run-source.ts', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @param env replaces every SHOAL_ variable of this process
 * @param stdin what the command reads, if anything
 */
export function shoal(
  args: readonly string[],
  env: Record<string, string> = {},
  stdin?: string,
): Promise<Outcome> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('SHOAL_'));
  const child = spawn(
    process.execPath,
    ['--conditions=shoal-source', '--no-warnings', RUN_SOURCE, ...args],
    { env: { ...Object.fromEntries(inherited), ...env }, stdio: ['pipe', 'pipe', 'pipe'] },
  );
  // A command that reads nothing may be gone before its input.
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
