/** Runs `shoal` from its sources as a child process. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const RUN_SOURCE = fileURLToPath(new URL('run-source.ts', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param env replaces every SHOAL_ variable of this process */
export function shoal(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('SHOAL_'));
  const child = spawn(
    process.execPath,
    ['--conditions=shoal-source', '--no-warnings', RUN_SOURCE, ...args],
    { env: { ...Object.fromEntries(inherited), ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
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
