import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import readline from 'node:readline';

export interface ProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** stdout and stderr are appended here. */
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** CPU core to pin the process to, through taskset. */
  readonly core?: number;
  /** Receives each line of stdout. */
  readonly onLine?: (line: string) => void;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Processes of ours that run; whatever ends this process ends them. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A child process that is only ever signalled through its own pid and never outlives us. */
export class ManagedProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly logFile: string;
  readonly #child: ChildProcess;
  #exit: Exit | undefined;

  private constructor(child: ChildProcess, pid: number, options: ProcessOptions) {
    this.#child = child;
    this.pid = pid;
    this.logFile = options.logFile;
    const log = fs.createWriteStream(options.logFile, { flags: 'a' });
    if (child.stdout) {
      readline.createInterface({ input: child.stdout }).on('line', (line) => {
        if (!log.destroyed) log.write(`${line}\n`);
        options.onLine?.(line);
      });
    }
    running.add(child);
    const { promise, resolve } = Promise.withResolvers<Exit>();
    this.exited = promise;
    child.once('close', (code, signal) => {
      running.delete(child);
      log.end();
      this.#exit = { code, signal };
      resolve(this.#exit);
    });
  }

  /** @throws Error if the command cannot be run */
  static async start(options: ProcessOptions): Promise<ManagedProcess> {
    const pinned = options.core !== undefined;
    const command = pinned ? 'taskset' : options.command;
    const args = pinned
      ? ['-c', String(options.core), options.command, ...options.args]
      : options.args;
    const stderr = fs.openSync(options.logFile, 'a');
    try {
      const child = spawn(command, args, {
        stdio: ['ignore', 'pipe', stderr],
        env: { ...process.env, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      });
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      child.once('error', (cause) => reject(new Error(`cannot run ${command}`, { cause })));
      child.once('spawn', () => resolve(child.pid as number));
      return new ManagedProcess(child, await promise, options);
    } finally {
      fs.closeSync(stderr);
    }
  }

  /** How it ended, or undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#exit) this.#child.kill(signal);
  }

  /** Signals at once, before the first await; resolves when the process has ended. */
  async kill(signal: NodeJS.Signals): Promise<Exit> {
    this.signal(signal);
    return this.exited;
  }

  /** SIGTERM, then SIGKILL if it has not ended in time. */
  async end(timeoutMs: number): Promise<Exit> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
    try {
      return await this.kill('SIGTERM');
    } finally {
      clearTimeout(timer);
    }
  }

  /** The last lines of the log, for error messages. */
  tail(lines = 15): string {
    const text = fs.existsSync(this.logFile) ? fs.readFileSync(this.logFile, 'utf8') : '';
    return text.trimEnd().split('\n').slice(-lines).join('\n');
  }
}

export interface Output extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end and collects what it printed (at most 16 MiB each). */
export async function run(
  command: string,
  args: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly env?: Readonly<Record<string, string>>;
    readonly stdin?: string;
  },
): Promise<Output> {
  const child = spawn(command, args, { env: { ...process.env, ...options.env } });
  running.add(child);
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs);
  const { promise, resolve, reject } = Promise.withResolvers<Exit>();
  child.once('error', reject);
  child.once('close', (code, signal) => resolve({ code, signal }));
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      if (output[name].length < 16 * 1024 * 1024) output[name] += text;
    });
  }
  child.stdin.on('error', () => {});
  child.stdin.end(options.stdin ?? '');
  try {
    return { ...(await promise), ...output };
  } finally {
    clearTimeout(timer);
    running.delete(child);
  }
}
