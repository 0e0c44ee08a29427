import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { AgentPlan, Present, Seen } from './agent-process.ts';

const PROGRAM = fileURLToPath(new URL('./agent-process.ts', import.meta.url));

/** An agent in a process of its own, on a machine of its own. */
export class Remote {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #seen: Seen = { present: {}, faulty: [] };
  #complaints = '';
  #changed = (): void => {};

  constructor(command: readonly string[], plan: AgentPlan) {
    const [file = '', ...args] = command;
    this.#child = spawn(
      file,
      [...args, process.execPath, '--conditions=shoal-source', PROGRAM, JSON.stringify(plan)],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    createInterface(this.#child.stdout).on('line', (line) => {
      this.#seen = JSON.parse(line) as Seen;
      this.#changed();
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints = `${this.#complaints}${text}`.slice(-10_000);
    });
  }

  /** Resolves once exactly these are present; mocha's timeout is the limit. */
  async sees(wanted: Present): Promise<void> {
    await this.#until(() => {
      const { present } = this.#seen;
      const names = Object.keys(wanted);
      const all = names.every((name) => present[name] === wanted[name]);
      return all && Object.keys(present).length === names.length;
    });
  }

  /** Resolves once it has called this member faulty. */
  async condemns(name: string): Promise<void> {
    await this.#until(() => this.#seen.faulty.includes(name));
  }

  async #until(condition: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#changed = () => {
      if (condition()) resolve();
    };
    this.#child.once('exit', (code) => reject(new Error(`ended: ${code}\n${this.#complaints}`)));
    this.#changed();
    await promise;
  }

  /** Names of those that it has ever called faulty, sorted. */
  get faulty(): readonly string[] {
    return this.#seen.faulty;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGCONT');
    const exited = once(this.#child, 'exit');
    this.#child.stdin.end();
    await exited;
  }
}
