/** User memory of a process and everything below it, from /proc/PID/smaps_rollup. */
import { readFileSync } from 'node:fs';
import { processTree } from './cpu.ts';

/**
 * Private memory (clean and dirty) in bytes: what would be free again if the process ended. Shared
 * pages of libraries and the binary are left out; they do not grow with connections.
 */
export function parsePrivateBytes(smapsRollup: string): number {
  let kib = 0;
  for (const match of smapsRollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)) {
    kib += Number(match[1]);
  }
  return kib * 1024;
}

/** Private bytes of the whole tree below `root`. */
export function treePrivateBytes(root: number): number {
  let sum = 0;
  for (const pid of processTree(root)) {
    try {
      sum += parsePrivateBytes(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'));
    } catch {
      // ended between the listing and the reading
    }
  }
  return sum;
}

/** Resident memory of one process in bytes, mapped files included; 0 if it is gone. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/**
 * True once memory has come to rest: the last `window` samples differ by at most `share` of the
 * largest of them.
 *
 * @param samples bytes, oldest first
 */
export function isSettled(samples: readonly number[], window: number, share: number): boolean {
  if (samples.length < window) return false;
  const last = samples.slice(-window);
  const max = Math.max(...last);
  return max - Math.min(...last) <= share * max;
}
