/** Members in processes of their own, which speak by lines: what each says, and what it costs. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { MemberState } from '@shoal/swim';
import { cpuUsOf } from '../proc/cpu.ts';

const POLL_MS = 10;
const COUNTED_MS_MAX = 10_000;

/** What a member says of another one; `out`: it is out of the stable view, where there is one. */
export interface Observed {
  readonly type: 'state' | 'view';
  /** Milliseconds since 1970, with fraction: processes of one machine agree on them. */
  readonly atMs: number;
  readonly name: string;
  readonly state: MemberState | 'out';
}

interface Counters {
  readonly packetsOut: number;
  readonly bytesOut: number;
}

type Report =
  | { readonly type: 'ready'; readonly address: string }
  | ({ readonly type: 'counters' } & Counters)
  | Observed;

/** Cost of one member while nothing happens, per second. */
export interface IdleCost {
  readonly cpuMs: number;
  readonly packetsOut: number;
  readonly bytesOut: number;
}

interface Member {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  counters: Counters | undefined;
}

export class MemberProcesses {
  readonly #onObserved: (observer: string, observed: Observed) => void;
  readonly #members = new Map<string, Member>();
  /** Not among the members any more, and perhaps still running. */
  readonly #former: Member[] = [];

  constructor(onObserved: (observer: string, observed: Observed) => void) {
    this.#onObserved = onObserved;
  }

  get names(): string[] {
    return [...this.#members.keys()];
  }

  get pids(): number[] {
    return [...this.#members.values()].map(({ child }) => child.pid as number);
  }

  /** @returns its address, once it is ready */
  async start(name: string, [command = '', ...args]: readonly string[]): Promise<string> {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const member: Member = { child, counters: undefined };
    this.#members.set(name, member);
    const ready = Promise.withResolvers<string>();
    child.once('error', (cause) => ready.reject(new Error(`cannot run ${command}`, { cause })));
    child.once('exit', () => ready.reject(new Error(`${name} ended`)));
    child.stdin.on('error', () => {});
    createInterface(child.stdout).on('line', (line) => {
      const report = JSON.parse(line) as Report;
      if (report.type === 'ready') ready.resolve(report.address);
      else if (report.type === 'counters') member.counters = report;
      else this.#onObserved(name, report);
    });
    return await ready.promise;
  }

  signal(name: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#members.get(name)?.child.kill(signal);
  }

  tell(name: string, line: string): void {
    this.#members.get(name)?.child.stdin.write(`${line}\n`);
  }

  /** It is no member any more; {@link stop} still ends its process. */
  drop(name: string): void {
    const member = this.#members.get(name);
    if (member) this.#former.push(member);
    this.#members.delete(name);
  }

  /** What each costs on average while nothing happens. */
  async idleCost(windowMs: number): Promise<IdleCost> {
    const { pids } = this;
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

  async #counters(): Promise<Counters> {
    const members = [...this.#members.values()];
    for (const [name, member] of this.#members) {
      member.counters = undefined;
      this.tell(name, 'counters');
    }
    await this.until('counted', COUNTED_MS_MAX, () => members.every(({ counters }) => counters));
    const sum = (of: (counters: Counters) => number) =>
      members.reduce((total, { counters }) => total + of(counters as Counters), 0);
    return { packetsOut: sum((c) => c.packetsOut), bytesOut: sum((c) => c.bytesOut) };
  }

  /** @throws Error if `condition` does not come to hold */
  async until(what: string, limitMs: number, condition: () => boolean): Promise<void> {
    const giveUpMs = performance.now() + limitMs;
    while (!condition()) {
      if (performance.now() > giveUpMs) throw new Error(`not ${what} within ${limitMs} ms`);
      await delay(POLL_MS);
    }
  }

  stop(): void {
    for (const { child } of [...this.#members.values(), ...this.#former]) child.kill('SIGKILL');
    this.#members.clear();
  }
}
