/**
 * CPU time of a process and everything below it, from /proc.
 *
 * `schedstat` gives nanoseconds on the CPU per thread, but forgets a thread that has ended; `stat`
 * remembers ended threads, in clock ticks of 10 ms. So each process counts as the larger of the two.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks of /proc/PID/stat per second: USER_HZ, 100 on every Linux architecture. */
const TICKS_PER_SECOND = 100;

/** The fields of /proc/PID/stat that matter here. */
export interface ProcStat {
  readonly ppid: number;
  /** User and system time, without that of waited-for children, in microseconds. */
  readonly cpuUs: number;
}

/**
 * Parses /proc/PID/stat. The command name is in parentheses and may itself hold any character, so
 * the fields are counted from the last closing one.
 *
 * @returns null if the text has not the shape of a stat line
 */
export function parseStat(text: string): ProcStat | null {
  const close = text.lastIndexOf(')');
  if (close < 0) return null;
  const fields = text.slice(close + 2).split(' ');
  const ppid = Number(fields[1]);
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (!Number.isInteger(ppid) || !Number.isFinite(ticks)) return null;
  return { ppid, cpuUs: (ticks / TICKS_PER_SECOND) * 1e6 };
}

/** First field of a schedstat line, in microseconds; 0 if the kernel does not keep it. */
export function parseSchedstat(text: string): number {
  const ns = Number(text.split(' ', 1)[0]);
  return Number.isFinite(ns) ? ns / 1000 : 0;
}

/**
 * CPU time that tasks of any kind have spent on the given cores since boot, in microseconds: user,
 * nice, system, and steal (another virtual machine had the core). Interrupts are left out, since a
 * task's own time leaves them out too.
 *
 * @param text of /proc/stat
 */
export function coresCpuUs(text: string, cores: readonly number[]): number {
  let ticks = 0;
  for (const core of cores) {
    const match = new RegExp(`^cpu${core} (.*)$`, 'm').exec(text);
    const [user, nice, system, , , , , steal] = (match?.[1] ?? '').split(' ').map(Number);
    ticks += (user ?? 0) + (nice ?? 0) + (system ?? 0) + (steal ?? 0);
  }
  return (ticks / TICKS_PER_SECOND) * 1e6;
}

/** Pids of `root` and all its descendants that live now. */
export function processTree(root: number, procDir = '/proc'): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync(procDir)) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = readStat(pid, procDir);
    if (stat === null) continue;
    const siblings = children.get(stat.ppid);
    if (siblings === undefined) children.set(stat.ppid, [pid]);
    else siblings.push(pid);
  }
  const tree = [root];
  for (let at = 0; at < tree.length; at++) tree.push(...(children.get(tree[at] as number) ?? []));
  return tree;
}

/** CPU time since its start of each of `pids` that still lives, summed, in microseconds. */
export function cpuUsOf(pids: readonly number[], procDir = '/proc'): number {
  let sum = 0;
  for (const pid of pids) {
    const stat = readStat(pid, procDir);
    if (stat === null) continue;
    sum += Math.max(stat.cpuUs, threadsCpuUs(pid, procDir));
  }
  return sum;
}

/** CPU time of the whole tree below `root`, in microseconds. */
export function treeCpuUs(root: number, procDir = '/proc'): number {
  return cpuUsOf(processTree(root, procDir), procDir);
}

function readStat(pid: number, procDir: string): ProcStat | null {
  try {
    return parseStat(readFileSync(`${procDir}/${pid}/stat`, 'latin1'));
  } catch {
    return null; // ended between the listing and the reading
  }
}

function threadsCpuUs(pid: number, procDir: string): number {
  let sum = 0;
  try {
    for (const thread of readdirSync(`${procDir}/${pid}/task`)) {
      sum += parseSchedstat(readFileSync(`${procDir}/${pid}/task/${thread}/schedstat`, 'latin1'));
    }
  } catch {
    // A thread ended while it was being read: what is missing is covered by `stat`.
  }
  return sum;
}
