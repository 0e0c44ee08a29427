import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  coresCpuUs,
  cpuUsOf,
  parseSchedstat,
  parseStat,
  processTree,
  treeCpuUs,
} from '../src/proc/cpu.ts';
import { isSettled, parsePrivateBytes, treePrivateBytes } from '../src/proc/memory.ts';

const stat = (pid: number, command: string, ppid: number, user: number, system: number) =>
  `${pid} (${command}) S ${ppid} 1 1 0 -1 4194304 10 20 30 40 ${user} ${system} 77 88 20 0 1 0`;

describe('CPU time from /proc', () => {
  let procDir: string;

  beforeEach(() => {
    procDir = mkdtempSync(join(tmpdir(), 'bench-proc-'));
  });

  afterEach(() => rmSync(procDir, { recursive: true, force: true }));

  function addProcess(pid: number, text: string, threadNs: readonly number[]): void {
    mkdirSync(join(procDir, String(pid)));
    writeFileSync(join(procDir, String(pid), 'stat'), text);
    threadNs.forEach((ns, i) => {
      const thread = join(procDir, String(pid), 'task', String(pid + i));
      mkdirSync(thread, { recursive: true });
      writeFileSync(join(thread, 'schedstat'), `${ns} 5 6\n`);
    });
  }

  it('reads user and system ticks behind any command name', () => {
    assert.deepEqual(parseStat(stat(7, 'a) R 1 (b', 3, 150, 50)), { ppid: 3, cpuUs: 2_000_000 });
    assert.equal(parseStat('rubbish'), null);
    assert.equal(parseStat('1 (cut off) S'), null);
  });

  it('reads nanoseconds of schedstat', () => {
    assert.equal(parseSchedstat('2500000 12 3\n'), 2_500);
    assert.equal(parseSchedstat(''), 0);
  });

  it('finds children and grandchildren, and no other process', () => {
    addProcess(10, stat(10, 'root', 1, 0, 0), []);
    addProcess(11, stat(11, 'child', 10, 0, 0), []);
    addProcess(12, stat(12, 'grandchild', 11, 0, 0), []);
    addProcess(13, stat(13, 'stranger', 1, 0, 0), []);
    assert.deepEqual(processTree(10, procDir), [10, 11, 12]);
  });

  it('sums all threads, and takes ticks where they say more (threads that ended)', () => {
    addProcess(10, stat(10, 'root', 1, 1, 0), [30_000_000, 4_000_000]);
    addProcess(11, stat(11, 'child', 10, 10, 10), [1_000]);
    assert.equal(treeCpuUs(10, procDir), 34_000 + 200_000);
  });

  it('reads what all tasks used of some cores, interrupts and idle time left out', () => {
    const text =
      'cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 99 99 99 99 4 7 7\ncpu1 10 0 0 0 0 0 0 0 0 0\n';
    assert.equal(coresCpuUs(text, [0]), 100_000);
    assert.equal(coresCpuUs(text, [0, 1]), 200_000);
    assert.equal(coresCpuUs(text, [5]), 0);
  });

  it('leaves out a process that is gone', () => {
    addProcess(10, stat(10, 'root', 1, 3, 0), []);
    assert.equal(cpuUsOf([10, 99], procDir), 30_000);
  });

  it('agrees with the real /proc about a child that burns CPU', async () => {
    const burn = 'const t = Date.now(); while (Date.now() - t < 300); console.log("x");';
    const child = spawn(process.execPath, ['-e', `${burn} process.stdin.resume()`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout, 'data');
      const pid = child.pid as number;
      assert.ok(processTree(process.pid).includes(pid));
      const us = treeCpuUs(pid);
      assert.ok(us > 50_000 && us < 60_000_000, `${us} µs`);
      assert.ok(treePrivateBytes(pid) > 1e6);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('memory from smaps_rollup', () => {
  it('adds clean and dirty private pages only', () => {
    const text = [
      'Rss:                3940 kB',
      'Private_Clean:        12 kB',
      'Private_Dirty:       256 kB',
      'Private_Hugetlb:     999 kB',
      'Shared_Dirty:        692 kB',
    ].join('\n');
    assert.equal(parsePrivateBytes(text), 268 * 1024);
  });

  it('is settled when the last samples lie close together', () => {
    assert.equal(isSettled([100, 50, 50, 50], 3, 0.01), true);
    assert.equal(isSettled([50, 50, 60], 3, 0.01), false);
    assert.equal(isSettled([50, 50], 3, 0.01), false);
  });
});
