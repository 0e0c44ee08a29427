import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DamageableBroker, ElasticBroker, FolderDamage } from './broker-under-test.ts';
import { type Exit, ManagedProcess, type Output, run } from './managed-process.ts';
import { freePort } from './ports.ts';
import { flipBit } from './rot.ts';
import type { Endpoint } from './wire.ts';

export const SHOAL_BIN: string = fileURLToPath(
  new URL('../../../packages/cli/bin/shoal', import.meta.url),
);

/** Exit code of a `node remove` that would leave fewer copies than wanted; docs/ERRORS.md. */
const WOULD_BREAK_REPLICAS = 46;
/** Exit codes whose remedy is an empty folder, since other copies are whole; and the one to start again. */
const EMPTY_FOLDER = [37, 38, 39];
const START_AGAIN = 58;
const MEND_TRIES = 4;
const READY_TIMEOUT_MS = 60_000;

/** A machine for each node, with an address of its own. */
export interface NodeMachines {
  /** Makes a machine on which connections to 127.0.0.1 at these ports here arrive. */
  add(name: string, doors: readonly number[]): Promise<void>;
  /** Its address for other nodes. */
  host(name: string): string;
  /** What runs a command on it. */
  command(name: string): readonly string[];
}

export interface ClusterOptions {
  /** Nodes at the start, named n1, n2, …; default 3. */
  readonly nodes?: number;
  /** Further flags of `shoal start`, for every node. */
  readonly startArgs?: readonly string[];
  /** Further environment of every node, which may name the cluster's folder. */
  readonly env?: (folder: string) => Readonly<Record<string, string>>;
  /** CPU core for every node; default: wherever the kernel likes. */
  readonly core?: number;
  /** How long a node may take until it serves, and all at the start until they are whole; default 60,000. */
  readonly readyTimeoutMs?: number;
  /** Default: all nodes on this machine's loopback. */
  readonly machines?: NodeMachines;
  /** Leave data and logs behind after `stop`. */
  readonly keep?: boolean;
}

/** What a node prints on stdout when it serves. */
export interface ReadyLine {
  readonly node: string;
  readonly pid: number;
  readonly mqtt: string;
  readonly listeners: readonly { readonly transport: string; readonly address: string }[];
  readonly cluster: string;
  readonly admin: string;
}

interface Node {
  readonly name: string;
  readonly mqttPort: number;
  readonly clusterPort: number;
  readonly adminPort: number;
  process: ManagedProcess | undefined;
  ready: ReadyLine | undefined;
  started: boolean;
}

/**
 * A cluster of real `shoal start` processes on loopback, each with its own data folder, host name
 * and ports, which stay the same over restarts.
 *
 * ```ts
 * const cluster = await LocalCluster.create({ nodes: 3 });
 * try { await cluster.kill('n2', 'SIGKILL'); await cluster.start('n2'); }
 * finally { await cluster.stop(); }
 * ```
 */
export class LocalCluster implements ElasticBroker, DamageableBroker {
  readonly folder: string;
  readonly #options: ClusterOptions;
  readonly #nodes = new Map<string, Node>();
  readonly #ports = new Set<number>();
  #born = 0;

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'shoal-cluster-'));
  }

  /** Starts a cluster and resolves once every node serves and every copy is in place. */
  static async create(options: ClusterOptions = {}): Promise<LocalCluster> {
    const cluster = LocalCluster.prepare(options);
    await cluster.form();
    return cluster;
  }

  /** A folder, and no node yet: for callers who may have to {@link stop} it while it forms. */
  static prepare(options: ClusterOptions = {}): LocalCluster {
    return new LocalCluster(options);
  }

  /** Starts the nodes; if that fails, nothing is left of them. */
  async form(): Promise<void> {
    try {
      await this.#makeKeyring();
      // The first founds the cluster; the others can then join at once.
      await this.add();
      const joins = Array.from({ length: (this.#options.nodes ?? 3) - 1 }, () => this.add());
      await Promise.all(joins);
      const limitMs = this.#options.readyTimeoutMs ?? READY_TIMEOUT_MS;
      if (!(await this.whole(limitMs))) {
        throw new Error(`cluster is not whole after ${limitMs} ms:\n${await this.describe()}`);
      }
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  get names(): readonly string[] {
    return [...this.#nodes.keys()];
  }

  endpoint(name: string): Endpoint {
    return { node: name, host: '127.0.0.1', port: this.#node(name).mqttPort };
  }

  isUp(name: string): boolean {
    const node = this.#node(name);
    return node.ready !== undefined && node.process?.exit === undefined;
  }

  /** The pid in the node's ready line. @throws Error if it is not up */
  pid(name: string): number {
    const ready = this.#node(name).ready;
    if (!ready) throw new Error(`${name} is not up`);
    return ready.pid;
  }

  adminUrl(name: string): string {
    return `http://127.0.0.1:${this.#node(name).adminPort}`;
  }

  /** Port of the first listener of that transport. @throws Error if the node is not up, or has none */
  portOf(name: string, transport: string): number {
    const listeners = this.#node(name).ready?.listeners ?? [];
    const found = listeners.find((listener) => listener.transport === transport);
    if (!found) throw new Error(`${name} has no listener for ${transport}`);
    return Number(found.address.slice(found.address.lastIndexOf(':') + 1));
  }

  clusterAddress(name: string): string {
    const host = this.#options.machines?.host(name) ?? '127.0.0.1';
    return `${host}:${this.#node(name).clusterPort}`;
  }

  dataDir(name: string): string {
    return path.join(this.folder, name);
  }

  logFile(name: string): string {
    return path.join(this.folder, `${name}.log`);
  }

  async start(name: string): Promise<void> {
    const node = this.#node(name);
    if (node.process && !node.process.exit) throw new Error(`${name} runs already`);
    const { promise, resolve, reject } = Promise.withResolvers<ReadyLine>();
    const there = this.#options.machines?.command(name) ?? [];
    const [command = SHOAL_BIN, ...args] = [...there, SHOAL_BIN, ...this.startArgs(name)];
    const started = await ManagedProcess.start({
      command,
      args,
      logFile: this.logFile(name),
      ...(this.#options.core === undefined ? {} : { core: this.#options.core }),
      ...(this.#options.env === undefined ? {} : { env: this.#options.env(this.folder) }),
      onLine: (line) => {
        if (line.startsWith('ready ')) resolve(JSON.parse(line.slice(6)) as ReadyLine);
      },
    });
    node.process = started;
    const limitMs = this.#options.readyTimeoutMs ?? READY_TIMEOUT_MS;
    const timer = setTimeout(() => reject(new Error(`not ready in ${limitMs} ms`)), limitMs);
    void started.exited.then(({ code, signal }) =>
      reject(new Error(`ended before it was ready (${signal ?? `exit code ${code}`})`)),
    );
    try {
      node.ready = await promise;
      node.started = true;
    } catch (cause) {
      throw new Error(`${name}: ${(cause as Error).message}\n${started.tail()}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /** The command line that starts a node. */
  startArgs(name: string): string[] {
    const node = this.#node(name);
    const listen = (port: number): string => `127.0.0.1:${port}`;
    // A founder joins no other node; from then on every start names all others.
    const founding = !node.started && this.#nodes.size === 1;
    const others = founding ? [] : this.names.filter((other) => other !== name);
    return [
      'start',
      ...['--node-name', name, '--data-dir', this.dataDir(name), '--host', name],
      ...['--mqtt-listen', listen(node.mqttPort), '--admin-listen', listen(node.adminPort)],
      ...['--cluster-listen', this.clusterAddress(name)],
      ...others.flatMap((other) => ['--join', this.clusterAddress(other)]),
      ...(this.#options.machines ? ['--keyring', this.#keyring] : []),
      ...(this.#options.startArgs ?? []),
    ];
  }

  async kill(name: string, signal: NodeJS.Signals): Promise<void> {
    const node = this.#node(name);
    const killed = node.process?.kill(signal);
    node.ready = undefined;
    await killed;
  }

  signal(name: string, signal: NodeJS.Signals): void {
    this.#node(name).process?.signal(signal);
  }

  /** Signals a node and says how its process ended. */
  async end(name: string, signal: NodeJS.Signals): Promise<Exit> {
    const node = this.#node(name);
    if (!node.process) throw new Error(`${name} was never started`);
    node.ready = undefined;
    return node.process.kill(signal);
  }

  async add(): Promise<string> {
    const name = `n${++this.#born}`;
    const ports: number[] = [];
    for (let i = 0; i < 3; i++) {
      const port = await freePort(this.#ports);
      this.#ports.add(port);
      ports.push(port);
    }
    const [mqttPort, clusterPort, adminPort] = ports as [number, number, number];
    await this.#options.machines?.add(name, [mqttPort, adminPort]);
    const rest = { process: undefined, ready: undefined, started: false };
    this.#nodes.set(name, { name, mqttPort, clusterPort, adminPort, ...rest });
    await this.start(name);
    return name;
  }

  async remove(name: string): Promise<void> {
    const helper = this.names.find((other) => other !== name && this.isUp(other));
    if (!helper) throw new Error(`no node is left to remove ${name}`);
    const command = ['node', 'remove', name, '--wait'];
    let output = await this.cli(command, helper, 180_000);
    // Refused while copies are still being made, as after a join: an operator would wait, too.
    for (let tries = 0; output.code === WOULD_BREAK_REPLICAS && tries < 20; tries++) {
      await this.whole(10_000);
      output = await this.cli(command, helper, 180_000);
    }
    if (output.code !== 0) {
      throw new Error(`node remove ${name}: exit code ${output.code}\n${output.stderr}`);
    }
    const { process: leaver } = this.#node(name);
    this.#nodes.delete(name);
    await leaver?.end(30_000);
    if (!this.#options.keep) fs.rmSync(path.join(this.folder, name), { recursive: true });
  }

  damage(name: string, how: FolderDamage, random: () => number): string {
    const folder = this.dataDir(name);
    const backup = `${folder}.older`;
    if (how === 'restored' && fs.existsSync(backup)) {
      fs.rmSync(folder, { recursive: true });
      fs.renameSync(backup, folder);
      return 'an older copy of its folder is put back';
    }
    if (how === 'restored') {
      fs.cpSync(folder, backup, { recursive: true });
      return 'its folder is copied';
    }
    if (how === 'rotted') return flipBit(folder, random);
    fs.rmSync(folder, { recursive: true });
    return 'its folder is lost';
  }

  async mend(name: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.start(name);
      } catch (error) {
        const code = this.#node(name).process?.exit?.code ?? 0;
        if (tries === MEND_TRIES) throw error;
        if (EMPTY_FOLDER.includes(code)) fs.rmSync(this.dataDir(name), { recursive: true });
        else if (code !== START_AGAIN) throw error;
      }
    }
  }

  /** Runs the command line tool against one node's admin API. */
  cli(args: readonly string[], node: string, timeoutMs = 30_000): Promise<Output> {
    return run(SHOAL_BIN, [...args, '--admin', this.adminUrl(node)], { timeoutMs });
  }

  /** GET on a node's admin API; undefined if it did not answer within 2 s. */
  async get(name: string, route: string): Promise<{ status: number; body: unknown } | undefined> {
    try {
      const signal = AbortSignal.timeout(2_000);
      const response = await fetch(`${this.adminUrl(name)}${route}`, { signal });
      const text = await response.text();
      const json = response.headers.get('content-type')?.includes('json');
      return { status: response.status, body: json ? JSON.parse(text) : text };
    } catch {
      return undefined;
    }
  }

  async whole(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const answers = await Promise.all(
        this.names.map((name) => this.get(name, '/ready?replicated=true')),
      );
      if (answers.every((answer) => answer?.status === 200)) return true;
      if (performance.now() > deadline) return false;
      await pause(50);
    }
  }

  /** What each node says of itself, for error messages. */
  async describe(): Promise<string> {
    const lines = this.names.map(async (name) => {
      const answer = await this.get(name, '/ready?replicated=true');
      return `${name}: ${answer ? `${answer.status} ${JSON.stringify(answer.body)}` : 'no answer'}`;
    });
    return (await Promise.all(lines)).join('\n');
  }

  async stop(keep: boolean = this.#options.keep ?? false): Promise<void> {
    const ends = [...this.#nodes.values()].map((node) => node.process?.kill('SIGKILL'));
    await Promise.all(ends);
    if (!keep) fs.rmSync(this.folder, { recursive: true, force: true });
  }

  get #keyring(): string {
    return path.join(this.folder, 'keyring.json');
  }

  /** Nodes talk off loopback only under a key. */
  async #makeKeyring(): Promise<void> {
    if (!this.#options.machines) return;
    const args = ['keyring', 'generate', '--out', this.#keyring];
    const { code, stderr } = await run(SHOAL_BIN, args, { timeoutMs: 30_000 });
    if (code !== 0) throw new Error(`no keyring: ${stderr}`);
  }

  #node(name: string): Node {
    const node = this.#nodes.get(name);
    if (!node) throw new Error(`no node ${name}`);
    return node;
  }
}
