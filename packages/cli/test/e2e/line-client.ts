import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';

/** Children that a test has left running; whatever ends this process ends them. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A command line client whose lines of output a test waits for. */
export class LineClient {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;
  #ended = false;
  /** Called after each line, and when the output ends. */
  #onChange = (): void => {};

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.#child);
    const { promise, resolve } = Promise.withResolvers<number | null>();
    this.#exited = promise;
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (!stream) continue;
      readline.createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        this.#onChange();
      });
    }
    this.#child.once('error', (error) => this.lines.push(error.message));
    this.#child.once('close', (code) => {
      running.delete(this.#child);
      this.#ended = true;
      this.#onChange();
      resolve(code);
    });
  }

  /** Resolves once `enough` holds for the lines so far; rejects if it cannot or takes too long. */
  async until(
    what: string,
    enough: (lines: readonly string[]) => boolean,
    timeoutMs = 30_000,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (why: string): void => {
      const last = this.lines.slice(-10).join('\n  ');
      reject(new Error(`${what}: ${why}; ${this.lines.length} lines, the last:\n  ${last}`));
    };
    const timer = setTimeout(() => fail(`not within ${timeoutMs} ms`), timeoutMs);
    this.#onChange = () => {
      if (enough(this.lines)) resolve();
      else if (this.#ended) fail('the client has ended');
    };
    this.#onChange();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#onChange = () => {};
    }
  }

  /** Ends whatever a failed test has left running. */
  static async endAll(): Promise<void> {
    for (const child of running) child.kill('SIGKILL');
    await Promise.all([...running].map((child) => once(child, 'close')));
  }

  /** Ends it and resolves to its exit code. */
  end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.#exited;
  }
}
