/** Progress of a removal on stderr: a bar on a terminal, a line now and then elsewhere. */

import type { RemovalProgress } from '@shoal/broker';
import { formatBytes, formatDuration } from './format.ts';
import { ProgressBar } from './progress-bar.ts';

export interface ProgressDisplay {
  readonly update: (progress: RemovalProgress) => void;
  readonly end: () => void;
}

/** Pause between two lines where there is no terminal. */
const LINE_EVERY_MS = 5_000;

/** @param visible false shows nothing (--json) */
export function showProgress(visible: boolean): ProgressDisplay {
  if (!visible) return { update: () => {}, end: () => {} };
  return process.stderr.isTTY ? bar() : lines();
}

function bar(): ProgressDisplay {
  const single = new ProgressBar(
    process.stderr,
    '{bar} {percentage}%  {shards} shards  {bytes}  {left}',
  );
  return {
    update: (progress) => single.update(fraction(progress), describe(progress)),
    end: () => single.end(),
  };
}

function lines(): ProgressDisplay {
  let nextAt = 0;
  return {
    update: (progress) => {
      if (progress.state !== 'gone' && performance.now() < nextAt) return;
      nextAt = performance.now() + LINE_EVERY_MS;
      const { shards, bytes, left } = describe(progress);
      const percent = Math.round(fraction(progress) * 100);
      process.stderr.write(`${progress.node}: ${percent}%, ${shards} shards, ${bytes}, ${left}\n`);
    },
    end: () => {},
  };
}

/** By bytes where there are any, else by shards. */
function fraction(progress: RemovalProgress): number {
  if (progress.state === 'gone') return 1;
  const [done, total] =
    progress.bytesTotal > 0
      ? [progress.bytesDone, progress.bytesTotal]
      : [progress.shardsDone, progress.shardsTotal];
  return total === 0 ? 0 : Math.min(1, done / total);
}

function describe(progress: RemovalProgress) {
  return {
    shards: `${progress.shardsDone}/${progress.shardsTotal}`,
    bytes: `${formatBytes(progress.bytesDone)} of ${formatBytes(progress.bytesTotal)}`,
    left:
      progress.state === 'gone'
        ? `took ${formatDuration(progress.elapsedMs)}`
        : progress.remainingMs === null
          ? `${formatDuration(progress.elapsedMs)} so far`
          : `${formatDuration(progress.remainingMs)} left`,
  };
}
