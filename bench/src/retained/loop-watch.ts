/**
 * Preloaded into a node (`--import`): writes down how long its main loop stood still, four times a second
 * one line of (wall milliseconds, longest pause in milliseconds, longest in CPU milliseconds).
 *
 * The time between two runs of a timer is what one turn of the loop took. By the clock it counts what other
 * programs on the machine took as well; by the CPU time of the thread it is the turn's own.
 */
import { appendFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const TICK_MS = 2;
const EVERY_MS = 250;

const file = process.env['SHOAL_LOOP_WATCH'];
if (isMainThread && file !== undefined) {
  const cpuMs = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let last = performance.now();
  let lastCpu = cpuMs();
  let longest = 0;
  let longestCpu = 0;
  let written = last;
  setInterval(() => {
    const now = performance.now();
    const nowCpu = cpuMs();
    longest = Math.max(longest, now - last - TICK_MS);
    longestCpu = Math.max(longestCpu, nowCpu - lastCpu);
    last = now;
    lastCpu = nowCpu;
    if (now - written < EVERY_MS) return;
    written = now;
    const figures = `${longest.toFixed(1)} ${longestCpu.toFixed(1)}`;
    appendFileSync(`${file}.${process.pid}`, `${Date.now()} ${figures}\n`);
    longest = 0;
    longestCpu = 0;
  }, TICK_MS).unref();
}
