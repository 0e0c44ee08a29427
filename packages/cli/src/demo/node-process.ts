/** One node of the demo: a `shoal start` process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const READY_TIMEOUT_MS = 60_000;
const LOG_TAIL_BYTES = 2_000;

/** The command as users have it; it replaces itself by Node.js, so its pid is the node's. */
const SHOAL = fileURLToPath(new URL('../../bin/shoal', import.meta.url));

export interface NodeSettings {
  readonly name: string;
  readonly dataDir: string;
  readonly logFile: string;
  /** HOST:PORT each. */
  readonly mqtt: string;
  readonly cluster: string;
  readonly admin: string;
  /** Cluster addresses to join; none founds a cluster. */
  readonly join: readonly string[];
}

/** Hears of every process that starts and ends. */
export interface ProcessWatcher {
  started(pid: number): void;
  ended(pid: number): void;
}

export class NodeProcess {
  readonly settings: NodeSettings;
  readonly #watcher: ProcessWatcher;
  readonly #onEnd: () => Promise<void>;
  #child: ChildProcess | null = null;
  #ended: Promise<number | NodeJS.Signals> = Promise.resolve(0);
  /** The others know of the last end, or cannot be told. */
  #told: Promise<void> = Promise.resolve();

  /** @param onEnd called when the process has ended; it is started again only after this */
  constructor(settings: NodeSettings, watcher: ProcessWatcher, onEnd: () => Promise<void>) {
    this.settings = settings;
    this.#watcher = watcher;
    this.#onEnd = onEnd;
  }

  get name(): string {
    return this.settings.name;
  }

  get running(): boolean {
    return this.#child !== null;
  }

  /** Process id; 0 while not running. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /**
   * Starts the process and waits for its `ready` line.
   *
   * @returns milliseconds until it was ready
   * @throws Error with the end of the node's log if it ends first, or takes more than 60 s
   */
  async start(): Promise<number> {
    await this.#told;
    const startedMs = performance.now();
    const { settings } = this;
    const log = openSync(settings.logFile, 'a');
    // A process group of its own: Ctrl-C is for the demo, which ends its nodes in order.
    const child = spawn(SHOAL, startArguments(settings), {
      stdio: ['ignore', 'pipe', log],
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    if (child.pid !== undefined) this.#watcher.started(child.pid);
    this.#ended = new Promise((resolve) => {
      const gone = (how: number | NodeJS.Signals) => {
        if (this.#child === child) this.#child = null;
        if (child.pid !== undefined) this.#watcher.ended(child.pid);
        this.#told = this.#onEnd();
        resolve(how);
      };
      child.once('exit', (code, signal) => gone(code ?? signal ?? 0));
      child.once('error', () => gone(127));
    });
    try {
      await this.#readyLine(child);
    } catch (error) {
      child.kill('SIGKILL');
      const tail = readFileSync(settings.logFile, 'utf8').slice(-LOG_TAIL_BYTES);
      throw new Error(`${this.name} did not start: ${(error as Error).message}\n${tail}`);
    }
    return performance.now() - startedMs;
  }

  /** Sends a signal; nothing happens if the node is not running. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Exit code or signal of the last process, once it has ended. */
  ended(): Promise<number | NodeJS.Signals> {
    return this.#ended;
  }

  /** SIGTERM, then SIGKILL after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  async #readyLine(child: ChildProcess): Promise<void> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), READY_TIMEOUT_MS);
    const tooLate = once(timeout.signal, 'abort').then(() => {
      throw new Error(`not ready within ${READY_TIMEOUT_MS / 1000} s`);
    });
    const died = this.#ended.then((how) => {
      throw new Error(`ended with ${how}`);
    });
    try {
      await Promise.race([firstLine(child), tooLate, died]);
    } finally {
      clearTimeout(timer);
      for (const loser of [tooLate, died]) loser.catch(() => undefined);
    }
  }
}

function startArguments(settings: NodeSettings): string[] {
  return [
    'start',
    ...['--node-name', settings.name],
    ...['--data-dir', settings.dataDir],
    // All of them run on this machine; told apart like this, copies go to different nodes.
    ...['--host', settings.name],
    ...['--mqtt-listen', settings.mqtt],
    ...['--cluster-listen', settings.cluster],
    ...['--admin-listen', settings.admin],
    ...['--replicas', '3'],
    ...settings.join.flatMap((address) => ['--join', address]),
  ];
}

/** Resolves at the first line; what follows is read and dropped, so that the pipe never fills. */
function firstLine(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk) => {
      if (text.includes('\n')) return;
      text += String(chunk);
      if (!text.includes('\n')) return;
      if (text.startsWith('ready ')) resolve();
      else reject(new Error(`unexpected output: ${text.trim()}`));
    });
  });
}
