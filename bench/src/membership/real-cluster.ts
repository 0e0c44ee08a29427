/** Members of one kind in processes of their own: what each says of the others, and what it costs. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Machines } from '../../../packages/swim/test/integration/namespaces.ts';
import { cpuUsOf } from '../proc/cpu.ts';
import { parsePrivateBytes } from '../proc/memory.ts';

const POLL_MS = 10;

/** How a member is started: a command, and what it is told beside its name and its seeds. */
export interface Program {
  readonly name: string;
  readonly command: readonly string[];
  readonly task: object;
}

type Report =
  | { readonly type: 'ready'; readonly address: string }
  | {
      /** `view`: it is out of the stable view, where there is one. */
      readonly type: 'state' | 'view';
      readonly atMs: number;
      readonly name: string;
      readonly state: string;
    }
  | { readonly type: 'counters'; readonly packetsOut: number; readonly bytesOut: number };

interface Seen {
  readonly observer: string;
  readonly name: string;
  readonly state: string;
  readonly atMs: number;
}

interface Member {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly states: Map<string, string>;
  counters: { packetsOut: number; bytesOut: number } | undefined;
}

export class RealCluster {
  readonly #program: Program;
  readonly #machines: Machines | undefined;
  readonly #members = new Map<string, Member>();
  readonly #unplugged: Member[] = [];
  readonly #seen: Seen[] = [];

  /** @param machines one for each member; without them all are on loopback */
  constructor(program: Program, machines?: Machines) {
    this.#program = program;
    this.#machines = machines;
  }

  get names(): string[] {
    return [...this.#members.keys()];
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
    await this.#until('whole', limitMs, () =>
      [...this.#members].every(([observer, { states }]) =>
        names.every((name) => name === observer || states.get(name) === 'alive'),
      ),
    );
  }

  /** Kills one; milliseconds until all others know. */
  async kill(name: string, limitMs: number): Promise<number> {
    const atMs = this.nowMs();
    this.#members.get(name)?.child.kill('SIGKILL');
    return await this.#known(name, atMs, limitMs);
  }

  /** Takes the cable out of one's machine; milliseconds until all others know. */
  async unplug(name: string, limitMs: number): Promise<number> {
    const atMs = this.nowMs();
    this.#machines?.unplug(numberOf(name) + 1);
    this.#unplugged.push(this.#members.get(name) as Member);
    return await this.#known(name, atMs, limitMs);
  }

  async #known(name: string, atMs: number, limitMs: number): Promise<number> {
    this.#members.delete(name);
    await this.#until('known to all', limitMs, () =>
      [...this.#members.values()].every(({ states }) => states.get(name) === 'faulty'),
    );
    const times = this.#seen.filter(
      (each) => each.name === name && each.state === 'faulty' && each.atMs >= atMs,
    );
    return Math.max(...times.map((each) => each.atMs)) - atMs;
  }

  /** Stops one for so long, and waits a while; how many called it faulty, or had it out of their view. */
  async pause(name: string, durationMs: number): Promise<{ faulty: number; out: number }> {
    const sinceMs = this.nowMs();
    const child = this.#members.get(name)?.child;
    child?.kill('SIGSTOP');
    await delay(durationMs);
    child?.kill('SIGCONT');
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
    this.#members.get(name)?.child.stdin.write(`lose ${share}\n`);
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
    const pids = [...this.#members.values()].map(({ child }) => child.pid as number);
    const before = await this.#counters();
    const cpuBefore = cpuUsOf(pids);
    const startMs = performance.now();
    await delay(windowMs);
    const cpuUs = cpuUsOf(pids) - cpuBefore;
    const after = await this.#counters();
    const memberSeconds = (pids.length * (performance.now() - startMs)) / 1_000;
    return {
      datagrams: (after.packetsOut - before.packetsOut) / memberSeconds,
      bytes: (after.bytesOut - before.bytesOut) / memberSeconds,
      cpuMs: cpuUs / 1_000 / memberSeconds,
      rssMiB: pids.reduce((sum, pid) => sum + rssMiB(pid), 0) / pids.length,
    };
  }

  stop(): void {
    const all = [...this.#members.values(), ...this.#unplugged];
    for (const { child } of all) child.kill('SIGKILL');
    this.#members.clear();
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
    const [command = '', ...args] = [...on, ...this.#program.command];
    const task = JSON.stringify({ name, seeds, listen, ...this.#program.task });
    const child = spawn(command, [...args, task], { stdio: ['pipe', 'pipe', 'inherit'] });
    const member: Member = { child, states: new Map(), counters: undefined };
    this.#members.set(name, member);
    const ready = Promise.withResolvers<string>();
    child.once('exit', () => ready.reject(new Error(`${name} ended`)));
    child.stdin.on('error', () => {});
    createInterface(child.stdout).on('line', (line) => {
      const report = JSON.parse(line) as Report;
      if (report.type === 'ready') ready.resolve(report.address);
      else if (report.type === 'counters') member.counters = report;
      else {
        if (report.type === 'state') member.states.set(report.name, report.state);
        this.#seen.push({ observer: name, ...report });
      }
    });
    return await ready.promise;
  }

  async #counters(): Promise<{ packetsOut: number; bytesOut: number }> {
    for (const member of this.#members.values()) {
      member.counters = undefined;
      member.child.stdin.write('counters\n');
    }
    await this.#until('counted', 10_000, () =>
      [...this.#members.values()].every(({ counters }) => counters !== undefined),
    );
    let packetsOut = 0;
    let bytesOut = 0;
    for (const { counters } of this.#members.values()) {
      packetsOut += counters?.packetsOut ?? 0;
      bytesOut += counters?.bytesOut ?? 0;
    }
    return { packetsOut, bytesOut };
  }

  async #until(what: string, limitMs: number, condition: () => boolean): Promise<void> {
    const giveUpMs = performance.now() + limitMs;
    while (!condition()) {
      if (performance.now() > giveUpMs) throw new Error(`not ${what} within ${limitMs} ms`);
      await delay(POLL_MS);
    }
  }
}

function numberOf(name: string): number {
  return Number(name.slice(1));
}

function rssMiB(pid: number): number {
  return parsePrivateBytes(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) / 1_048_576;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
