/** One node for the life of the process: start, the `ready` line, signals, fatal errors. */

import type { BrokerError, Config, GivenSettings, ReadyReport, StartOptions } from '@shoal/broker';
import { reportError } from './error-report.ts';

/** Exit codes by the shell's convention: 128 + the signal's number. */
const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;

/** The broker's `startNode`, as far as this file uses it; a test gives another. */
export type StartNode = (
  config: Config,
  hooks: { readonly onFatal: (error: BrokerError) => void; readonly onLeft: () => void },
  given: GivenSettings,
  options?: StartOptions,
) => Promise<{
  readonly ready: Promise<ReadyReport>;
  reload(): Promise<void>;
  stop(): Promise<void>;
}>;

/**
 * Runs a node until it gets a signal, is removed from its cluster, or fails.
 *
 * The first SIGTERM or SIGINT stops it in order, also while it starts; a second one ends the process
 * on the spot. SIGHUP reads the certificates of the listeners again.
 *
 * @param onReady runs once the node serves clients; it fails if this does
 * @returns the exit code
 */
export async function runNode(
  config: Config,
  startNode: StartNode,
  given: GivenSettings = {},
  options: StartOptions = {},
  onReady: (ready: ReadyReport) => Promise<void> = async () => {},
): Promise<number> {
  let stopRequested = false;
  let end: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  const fail = async (thrown: unknown) => {
    end(await reportError(thrown, { json: false, id: 'start' }));
  };
  let requestStop: () => void = () => {};
  const stopAsked = new Promise<void>((resolve) => {
    requestStop = resolve;
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopRequested) process.exit(EXIT_OF_SIGNAL[signal]);
      stopRequested = true;
      requestStop();
    });
  }
  let reload: () => unknown = () => {};
  // In a terminal, SIGHUP says that the terminal is closed: the process ends with it.
  if (!process.stdin.isTTY) process.on('SIGHUP', () => reload());
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);

  let renewed = false;
  const serve = async () => {
    const onFatal = (error: BrokerError) => {
      // The node is another store now, and has nothing to wait for.
      if (error.code !== 'BROKER_ERR_DATA_OLDER' || renewed || stopRequested)
        return void fail(error);
      renewed = true;
      starting
        .then((old) => old.stop())
        .then(serve)
        .catch(fail);
    };
    const starting = startNode(config, { onFatal, onLeft: () => end(0) }, given, options);
    const node = await starting;
    reload = () => node.reload();
    stopAsked.then(() => node.stop()).then(() => end(0), fail);
    const ready = await node.ready.catch((error: unknown) => {
      // It stopped before it served, to begin again.
      if (renewed) return null;
      throw error;
    });
    if (ready === null) return;
    if (stopRequested) return;
    process.stdout.write(`ready ${JSON.stringify(ready)}\n`);
    await onReady(ready);
  };
  serve().catch((error: unknown) => {
    // A stop while starting makes `ready` fail; the stop then decides the exit code.
    if (!stopRequested) void fail(error);
  });
  return ended;
}
