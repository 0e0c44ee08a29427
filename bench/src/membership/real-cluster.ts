/** Members of one kind in processes of their own: what each says of the others, and what it costs. */
import fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Machines } from '../../../packages/swim/test/integration/namespaces.ts';
import { parsePrivateBytes } from '../proc/memory.ts';
import { MemberProcesses, type Observed } from './member-processes.ts';

/** How a member is started: a command, and what it is told beside its name and its seeds. */
export interface Program {
  readonly name: string;
  readonly command: readonly string[];
  readonly task: object;
}

interface Seen extends Observed {
  readonly observer: string;
}

export class RealCluster {
  readonly #program: Program;
  readonly #machines: Machines | undefined;
  readonly #processes = new MemberProcesses((observer, observed) => this.#note(observer, observed));
  /** observer → name → state. */
  readonly #states = new Map<string, Map<string, string>>();
  readonly #seen: Seen[] = [];

  /** @param machines one for each member; without them all are on loopback */
  constructor(program: Program, machines?: Machines) {
    this.#program = program;
    this.#machines = machines;
  }

  get names(): string[] {
    return this.#processes.names;
  }

  /** Milliseconds since 1970, with fraction: processes of one machine agree on them. */
  nowMs(): number {
    return performance.timeOrigin + performance.now();
  }

  async form(size: number): Promise<void> {
    const seed = await this.#start('n0', []);
    for (let n = 1; n < size; n++) await this.#start(`n${n}`, [seed]);
    await this.whole(120_000);
  }

  /** Waits until all that run see each other. */
  async whole(limitMs: number): Promise<void> {
    const { names } = this;
    await this.#processes.until('whole', limitMs, () =>
      names.every((observer) =>
        names.every((name) => name === observer || this.#stateOf(observer, name) === 'alive'),
      ),
    );
  }

  /** Kills one; milliseconds until all others know. */
  async kill(name: string, limitMs: number): Promise<number> {
    const atMs = this.nowMs();
    this.#processes.signal(name, 'SIGKILL');
    return await this.#known(name, atMs, limitMs);
  }

  /** Takes the cable out of one's machine; milliseconds until all others know. */
  async unplug(name: string, limitMs: number): Promise<number> {
    const atMs = this.nowMs();
    this.#machines?.unplug(numberOf(name) + 1);
    return await this.#known(name, atMs, limitMs);
  }

  async #known(name: string, atMs: number, limitMs: number): Promise<number> {
    this.#processes.drop(name);
    await this.#processes.until('known to all', limitMs, () =>
      this.names.every((observer) => this.#stateOf(observer, name) === 'faulty'),
    );
    const times = this.#seen.filter(
      (each) => each.name === name && each.state === 'faulty' && each.atMs >= atMs,
    );
    return Math.max(...times.map((each) => each.atMs)) - atMs;
  }

  /** Stops one for so long, and waits a while; how many called it faulty, or had it out of their view. */
  async pause(name: string, durationMs: number): Promise<{ faulty: number; out: number }> {
    const sinceMs = this.nowMs();
    this.#processes.signal(name, 'SIGSTOP');
    await delay(durationMs);
    this.#processes.signal(name, 'SIGCONT');
    await delay(3_000);
    const [faulty, out] = ['faulty', 'out'].map((state) => this.#observersOf(name, state, sinceMs));
    return { faulty: faulty ?? 0, out: out ?? 0 };
  }

  /** From now on a member loses this share both ways: of all its machine's packets, else of its datagrams. */
  lose(name: string, share: number): void {
    if (this.#machines !== undefined) {
      this.#machines.lose(numberOf(name) + 1, share);
      return;
    }
    this.#processes.tell(name, `lose ${share}`);
  }

  /** (observer, member) pairs in which a member was called faulty since then; none of `except`. */
  deaths(sinceMs: number, except: readonly string[]): number {
    const pairs = new Set<string>();
    for (const { observer, name, state, atMs } of this.#seen) {
      if (state !== 'faulty' || atMs < sinceMs) continue;
      if (!except.includes(name) && !except.includes(observer)) pairs.add(`${observer} ${name}`);
    }
    return pairs.size;
  }

  /** What each costs on average while nothing happens, per second. */
  async idle(windowMs: number) {
    const { pids } = this.#processes;
    const { cpuMs, packetsOut, bytesOut } = await this.#processes.idleCost(windowMs);
    const rss = pids.reduce((sum, pid) => sum + rssMiB(pid), 0);
    return { datagrams: packetsOut, bytes: bytesOut, cpuMs, rssMiB: rss / pids.length };
  }

  stop(): void {
    this.#processes.stop();
  }

  #stateOf(observer: string, name: string): string | undefined {
    return this.#states.get(observer)?.get(name);
  }

  /** Suspicions do not count. */
  #note(observer: string, observed: Observed): void {
    const { type, name, state } = observed;
    if (state === 'suspect') return;
    if (type === 'state') {
      const states = this.#states.get(observer) ?? new Map<string, string>();
      this.#states.set(observer, states.set(name, state));
    }
    this.#seen.push({ observer, ...observed });
  }

  #observersOf(name: string, state: string, sinceMs: number): number {
    const wrong = this.#seen.filter(
      (each) => each.name === name && each.state === state && each.atMs >= sinceMs,
    );
    return new Set(wrong.map(({ observer }) => observer)).size;
  }

  async #start(name: string, seeds: readonly string[]): Promise<string> {
    const n = numberOf(name) + 1;
    const on = this.#machines?.on(n) ?? [];
    const listen = this.#machines === undefined ? '127.0.0.1:0' : `10.77.0.${n}:0`;
    const task = JSON.stringify({ name, seeds, listen, ...this.#program.task });
    return await this.#processes.start(name, [...on, ...this.#program.command, task]);
  }
}

function numberOf(name: string): number {
  return Number(name.slice(1));
}

function rssMiB(pid: number): number {
  return parsePrivateBytes(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) / 1_048_576;
}
