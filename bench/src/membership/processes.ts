/** Members in processes of their own, on loopback: killed by SIGKILL, paused by SIGSTOP. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { SwimPreset } from '@shoal/swim';
import { cpuUsOf } from '../proc/cpu.ts';
import type { AgentReport, AgentTask } from './agent.ts';
import { Observations } from './observations.ts';

const AGENT = fileURLToPath(new URL('./agent.ts', import.meta.url));
const FORM_MAX_MS = 120_000;
const POLL_MS = 20;

/** Cost of one member in a quiet cluster, per second. */
export interface IdleCost {
  readonly cpuMs: number;
  readonly packetsOut: number;
  readonly bytesOut: number;
}

export class ProcessCluster {
  readonly observations = new Observations();
  readonly #children = new Map<string, ChildProcess>();

  get names(): string[] {
    return [...this.#children.keys()];
  }

  /** Starts members until all of them see all others. */
  async form(
    size: number,
    preset: SwimPreset,
    onProgress: (formed: number) => void,
  ): Promise<void> {
    const first = await this.#start({ name: 'n0', seeds: [], preset });
    for (let n = 1; n < size; n++) {
      await this.#start({ name: `n${n}`, seeds: [first], preset });
      onProgress(n + 1);
    }
    await this.until('formed', FORM_MAX_MS, () => this.observations.allSee('alive', this.names));
  }

  /** What each costs on average while nothing happens. */
  async idleCost(windowMs: number): Promise<IdleCost> {
    const pids = [...this.#children.values()].map((child) => child.pid as number);
    const before = await this.#counters();
    const cpuBefore = cpuUsOf(pids);
    const startMs = performance.now();
    await delay(windowMs);
    const cpuUs = cpuUsOf(pids) - cpuBefore;
    const after = await this.#counters();
    const memberSeconds = (pids.length * (performance.now() - startMs)) / 1000;
    return {
      cpuMs: cpuUs / 1000 / memberSeconds,
      packetsOut: (after.packetsOut - before.packetsOut) / memberSeconds,
      bytesOut: (after.bytesOut - before.bytesOut) / memberSeconds,
    };
  }

  signal(name: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#children.get(name)?.kill(signal);
    if (signal === 'SIGKILL') this.#children.delete(name);
  }

  async until(what: string, limitMs: number, condition: () => boolean): Promise<void> {
    const giveUpMs = performance.now() + limitMs;
    while (!condition()) {
      if (performance.now() > giveUpMs) throw new Error(`not ${what} within ${limitMs} ms`);
      await delay(POLL_MS);
    }
  }

  stop(): void {
    for (const child of this.#children.values()) child.kill('SIGKILL');
    this.#children.clear();
  }

  async #start(task: AgentTask): Promise<string> {
    const child = fork(AGENT, [JSON.stringify(task)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#children.set(task.name, child);
    const ready = Promise.withResolvers<string>();
    child.once('exit', () => ready.reject(new Error(`${task.name} ended`)));
    child.on('message', (report: AgentReport) => {
      if (report.type === 'ready') ready.resolve(report.address);
      if (report.type === 'state') this.observations.record({ ...report, observer: task.name });
    });
    return ready.promise;
  }

  async #counters(): Promise<{ packetsOut: number; bytesOut: number }> {
    const all = await Promise.all(
      [...this.#children.values()].map(async (child) => {
        child.send('counters');
        for (;;) {
          const [report] = (await once(child, 'message')) as [AgentReport];
          if (report.type === 'counters') return report;
        }
      }),
    );
    return {
      packetsOut: all.reduce((sum, each) => sum + each.packetsOut, 0),
      bytesOut: all.reduce((sum, each) => sum + each.bytesOut, 0),
    };
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
