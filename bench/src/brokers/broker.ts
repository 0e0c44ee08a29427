/** The brokers under test: how each is started, known to serve, and ended. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ManagedProcess } from '../chaos/managed-process.ts';
import { freePort } from '../chaos/ports.ts';
import type { Transport } from '../load/result.ts';

/** `before` is Shoal as another checkout has it. */
export const BROKER_NAMES = ['shoal', 'before', 'mosquitto', 'aedes'] as const;
export type BrokerName = (typeof BROKER_NAMES)[number];

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const CONNECT_RETRY_MS = 25;

/** A broker that serves. */
export interface RunningBroker {
  readonly name: BrokerName;
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** SIGTERM, then SIGKILL if that takes too long; removes the data folder. */
  stop(): Promise<void>;
}

interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

const repository = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Starts a broker pinned to one core, with empty data, and waits until it serves.
 *
 * @param core CPU number for taskset; null leaves it free
 * @param before a built checkout of Shoal for `before`
 * @param transport by which the clients come: the port is of that
 * @param profileDir where a broker on Node.js writes its CPU profile when it ends; null for none
 * @throws Error with the end of the broker's log if it does not serve within 30 s
 */
export async function startBroker(
  name: BrokerName,
  core: number | null,
  before: string | null,
  profileDir: string | null = null,
  transport: Transport = 'tcp',
): Promise<RunningBroker> {
  const folder = mkdtempSync(join(tmpdir(), `shoal-bench-${name}-`));
  const logFile = join(folder, 'broker.log');
  const ports = await freePorts();
  const { file, args } = commandOf(name, folder, ports, before, makeDoor(folder, transport));
  const profiling = profileDir === null ? '' : `--cpu-prof --cpu-prof-dir=${profileDir}`;
  const ready = Promise.withResolvers<void>();
  const child = await ManagedProcess.start({
    command: file,
    args,
    logFile,
    env: { NODE_OPTIONS: profiling },
    ...(core === null ? {} : { core }),
    onLine: (line) => {
      if (line.startsWith('ready ')) ready.resolve();
    },
  });
  const stop = async () => {
    await child.end(STOP_TIMEOUT_MS);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    if (name !== 'mosquitto') await inTime(child, ready.promise);
    await reachable(child, ports.mqtt);
  } catch (error) {
    const tail = child.tail();
    await stop();
    throw new Error(`${name} did not start: ${String(error)}\n${tail}`);
  }
  return { name, host: HOST, port: ports.mqtt, pid: child.pid, stop };
}

/** What the clients of a run connect by, and the files that TLS needs for it. */
interface Door {
  readonly transport: Transport;
  readonly cert: string;
  readonly key: string;
}

/** Whether a broker, as it is installed here, has a transport. */
export function supports(name: BrokerName, transport: Transport): boolean {
  switch (name) {
    case 'shoal':
    case 'before':
      return true;
    case 'mosquitto':
      return (
        transport === 'tcp' || transport === 'tls' || mosquittoText().includes('libwebsockets')
      );
    case 'aedes':
      return transport === 'tcp';
  }
}

const mosquittoText = () => readFileSync('/usr/sbin/mosquitto', 'latin1');

function makeDoor(folder: string, transport: Transport): Door {
  const door = { transport, cert: join(folder, 'server.pem'), key: join(folder, 'server.key') };
  if (!isSecure(transport)) return door;
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const args = [
    'req',
    '-x509',
    ...kind,
    '-subj',
    '/CN=localhost',
    '-keyout',
    door.key,
    '-out',
    door.cert,
  ];
  execFileSync('openssl', args, { stdio: 'ignore' });
  return door;
}

const isSecure = (transport: Transport) => transport === 'tls' || transport === 'wss';

/** As `--mqtt-listen` takes it. */
function listenText({ transport, cert, key }: Door, port: number): string {
  if (transport === 'tcp') return `${HOST}:${port}`;
  const files = isSecure(transport) ? `?cert=${cert}&key=${key}` : '';
  return `${transport}://${HOST}:${port}${files}`;
}

interface Ports {
  readonly mqtt: number;
  readonly cluster: number;
  readonly admin: number;
}

function commandOf(
  name: BrokerName,
  folder: string,
  ports: Ports,
  before: string | null,
  door: Door,
): Command {
  switch (name) {
    case 'shoal':
    case 'before':
      return {
        file: join(checkoutOf(name, before), 'packages/cli/bin/shoal'),
        args: [
          ...['start', '--node-name', 'bench', '--data-dir', join(folder, 'data')],
          ...['--mqtt-listen', listenText(door, ports.mqtt)],
          ...['--cluster-listen', `${HOST}:${ports.cluster}`],
          ...['--admin-listen', `${HOST}:${ports.admin}`],
          ...['--replicas', '1'],
        ],
      };
    case 'mosquitto': {
      const config = join(folder, 'mosquitto.conf');
      writeFileSync(config, mosquittoConfig(folder, ports, door));
      return { file: '/usr/sbin/mosquitto', args: ['-c', config] };
    }
    case 'aedes':
      return {
        file: process.execPath,
        args: [join(repository, 'bench/src/aedes-server.ts'), String(ports.mqtt)],
      };
  }
}

function checkoutOf(name: 'shoal' | 'before', before: string | null): string {
  if (name === 'shoal') return repository;
  if (before === null) throw new Error('before: no checkout is named');
  return resolve(before);
}

/**
 * Its defaults, except what would keep it from taking part: queues without a limit, sessions kept,
 * no Nagle delay.
 */
function mosquittoConfig(folder: string, ports: Ports, { transport, cert, key }: Door): string {
  return [
    // With listeners for WebSocket alone it does not start.
    `listener ${ports.admin} ${HOST}`,
    `listener ${ports.mqtt} ${HOST}`,
    ...(isSecure(transport) ? [`certfile ${cert}`, `keyfile ${key}`] : []),
    ...(transport === 'ws' || transport === 'wss' ? ['protocol websockets'] : []),
    'allow_anonymous true',
    'user root',
    'persistence true',
    `persistence_location ${folder}/`,
    'max_queued_messages 0',
    'set_tcp_nodelay true',
    'log_type error',
    '',
  ].join('\n');
}

async function freePorts(): Promise<Ports> {
  const taken = new Set<number>();
  const take = async () => {
    const port = await freePort(taken);
    taken.add(port);
    return port;
  };
  return { mqtt: await take(), cluster: await take(), admin: await take() };
}

/** Resolves with `ready`; rejects if the process ends first, or takes too long. */
async function inTime(child: ManagedProcess, ready: Promise<void>): Promise<void> {
  const timeout = new AbortController();
  const ended = child.exited.then(({ code, signal }) => {
    throw new Error(`ended with ${code ?? signal}`);
  });
  const late = delay(START_TIMEOUT_MS, undefined, { signal: timeout.signal }).then(() => {
    throw new Error('no ready line');
  });
  try {
    await Promise.race([ready, ended, late]);
  } finally {
    for (const loser of [ended, late]) loser.catch(() => undefined);
    timeout.abort();
  }
}

async function reachable(child: ManagedProcess, port: number): Promise<void> {
  const giveUpMs = performance.now() + START_TIMEOUT_MS;
  while (!(await tryConnect(port))) {
    if (child.exit) throw new Error('ended');
    if (performance.now() > giveUpMs) throw new Error(`no process listens on ${port}`);
    await delay(CONNECT_RETRY_MS);
  }
}

function tryConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Version text for the report, or null if the broker is not installed here. */
export function brokerVersion(name: BrokerName, before: string | null): string | null {
  try {
    switch (name) {
      case 'shoal':
      case 'before':
        return commitOf(checkoutOf(name, before));
      case 'aedes':
        return versionIn(join(repository, 'node_modules/aedes/package.json'));
      case 'mosquitto': {
        return /\b2\.\d+\.\d+\b/.exec(mosquittoText())?.[0] ?? 'unknown';
      }
    }
  } catch {
    return null;
  }
}

/** Short commit of a checkout, with '+' if files differ from it. @throws Error if it is none */
function commitOf(checkout: string): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: checkout, encoding: 'utf8', stdio: 'pipe' }).trim();
  const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
  return git('rev-parse', '--short', 'HEAD') + (changed ? '+' : '');
}

function versionIn(packageFile: string): string {
  return (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version;
}
