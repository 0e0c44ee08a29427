import { spawnSync } from 'node:child_process';

/**
 * Flags of `shoal start`, for tests in which the number of shards does not matter: most of what a cluster
 * computes until it is whole is for its shards. Kills of one node, demo, launcher and pause have the default.
 */
export const FEW_SHARDS: readonly string[] = ['--set', 'cluster.shards=64'];

/** Whether a program can be run; `probe` are arguments with which it ends at once. */
export function canRun(command: string, probe: readonly string[]): boolean {
  return spawnSync(command, probe, { stdio: 'ignore', timeout: 10_000 }).error === undefined;
}

/** Debian's Python, whose packages apt installs; another python3 may come first in PATH. */
export const PYTHON = '/usr/bin/python3';

export function hasPaho(): boolean {
  return spawnSync(PYTHON, ['-c', 'import paho.mqtt.client'], { timeout: 10_000 }).status === 0;
}

/** Whether C programs that use paho's synchronous client can be compiled. */
export function hasPahoC(): boolean {
  const args = ['-fsyntax-only', '-xc', '-include', 'MQTTClient.h', '/dev/null'];
  return spawnSync('gcc', args, { stdio: 'ignore', timeout: 10_000 }).status === 0;
}

/**
 * A test that drives a program which may not be installed: then it is pending and says so, or with
 * SHOAL_REQUIRE_TOOLS=1 it fails.
 */
export function itWith(
  tool: string,
  installed: boolean,
  title: string,
  test: (this: Mocha.Context) => Promise<void>,
): void {
  if (installed) it(title, test);
  else if (process.env['SHOAL_REQUIRE_TOOLS'] === '1') {
    it(title, () => {
      throw new Error(`${tool} is not installed`);
    });
  } else it(`${title} (skipped: ${tool} is not installed)`);
}
