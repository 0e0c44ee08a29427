/**
 * A machine of its own for each node: network namespaces without names, on a bridge in one more.
 *
 * The harness itself moves into that one ({@link enterNetwork}), so nothing of this machine's own network is
 * touched. All of it ends with the harness, however that ends: a namespace lasts as long as a process in it,
 * and each process that the harness starts is killed when it dies.
 *
 * ```text
 *  client ──▶ 127.0.0.1:port ─▶ 10.77.0.i:port ─▶ 127.0.0.1:port of machine i   translated twice: nodes serve
 *             (harness)                                                          clients on loopback only
 *  node i ──▶ 10.77.0.j through ports i and j of the bridge, where rules drop what a cut closes
 * ```
 *
 * Needs iproute2, nftables, and root or user namespaces.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import type { NodeMachines } from '../cluster.ts';
import { run } from '../managed-process.ts';
import type { Way } from './shapes.ts';

export const NOT_INSTALLED = 'iproute2, nftables or util-linux is not installed';
const INSIDE = 'SHOAL_CHAOS_NETWORK';
const HARNESS = '10.77.0.254';
const COMMAND_TIMEOUT_MS = 10_000;

const SWITCH = [
  'ip link set lo up',
  'ip link add br0 type bridge forward_delay 0 mcast_snooping 0',
  `ip address add ${HARNESS}/24 dev br0`,
  'ip link set br0 up',
  // Packets from 127.0.0.1 may leave through it, once translated.
  'echo 1 > /proc/sys/net/ipv4/conf/br0/route_localnet',
].join(' && ');

/** What the bridge drops, and where clients' connections go. */
const SWITCH_RULES = `
flush ruleset
table bridge chaos {
  set closed { type ifname . ifname; }
  chain forward {
    type filter hook forward priority 0
    iifname . oifname @closed drop
  }
}
table ip chaos {
  map doors { type inet_service : ipv4_addr; }
  chain output {
    type nat hook output priority -100
    ip daddr 127.0.0.1 dnat to tcp dport map @doors
  }
  chain postrouting {
    type nat hook postrouting priority 100
    ip saddr 127.0.0.1 oifname "br0" snat to ${HARNESS}
  }
}
`;

const MACHINE_RULES = `
table ip chaos {
  chain prerouting {
    type nat hook prerouting priority -100
    ip saddr ${HARNESS} dnat to 127.0.0.1
  }
}
`;

/** The command that runs another in a network of its own. */
function unshare(): string[] {
  const root = process.getuid?.() === 0;
  return ['unshare', ...(root ? [] : ['--user', '--map-root-user']), '--net'];
}

/** Why there can be no such machines here; undefined if there can. */
export function networkMissing(): string | undefined {
  const [command = '', ...args] = unshare();
  const steps = `${SWITCH} && ip link add v0 type veth peer name v1 && nft -f -`;
  const all = [...args, 'sh', '-c', steps];
  for (const program of ['unshare', 'nsenter', 'setpriv', 'ip', 'nft']) {
    if (spawnSync(program, ['--version']).error) return NOT_INSTALLED;
  }
  const { status, stderr } = spawnSync(command, all, { input: SWITCH_RULES, encoding: 'utf8' });
  return status === 0 ? undefined : `network namespaces are refused: ${stderr.trim()}`;
}

/** Whether this process is in a network of its own. */
export function insideNetwork(): boolean {
  return process.env[INSIDE] === '1';
}

/** Starts this program anew, under the same pid, in a network of its own. Does not return. */
export function enterNetwork(): void {
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve?.('/usr/bin/env', ['env', ...unshare(), ...again], {
    ...process.env,
    [INSIDE]: '1',
  });
}

interface Machine {
  readonly address: string;
  readonly port: string;
  /** Keeps the namespace while no node runs in it. */
  readonly keeper: ChildProcess;
}

export class Machines implements NodeMachines {
  readonly #machines = new Map<string, Machine>();

  private constructor() {}

  /** @throws Error outside of a network of our own */
  static async create(): Promise<Machines> {
    const links = Object.keys(os.networkInterfaces()).filter((name) => name !== 'lo');
    if (!insideNetwork() || links.length > 0) throw new Error('not in a network of its own');
    await command('sh', '-c', SWITCH);
    await rules([], SWITCH_RULES);
    return new Machines();
  }

  async add(name: string, doors: readonly number[]): Promise<void> {
    const n = this.#machines.size + 1;
    const [address, port] = [`10.77.0.${n}`, `port${n}`];
    const args = ['--pdeathsig', 'KILL', 'unshare', '--net', 'sh', '-c', 'echo here; exec cat'];
    const keeper = spawn('setpriv', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#machines.set(name, { address, port, keeper });
    // It has said so once it is in its own namespace.
    await once(keeper.stdout, 'data');
    const inside = this.command(name);
    const peer = ['peer', 'name', 'eth0', 'netns', String(keeper.pid)];
    await command('ip', 'link', 'add', port, 'type', 'veth', ...peer);
    await command('ip', 'link', 'set', port, 'master', 'br0', 'up');
    const steps = [
      'ip link set lo up',
      `ip address add ${address}/24 dev eth0`,
      'ip link set eth0 up',
      'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet',
    ];
    await command(...inside, 'sh', '-c', steps.join(' && '));
    await rules(inside, MACHINE_RULES);
    const elements = doors.map((door) => `${door} : ${address}`).join(', ');
    await rules([], `add element ip chaos doors { ${elements} }`);
  }

  host(name: string): string {
    return this.#machine(name).address;
  }

  command(name: string): string[] {
    const { keeper } = this.#machine(name);
    return ['nsenter', `--net=/proc/${keeper.pid}/ns/net`, 'setpriv', '--pdeathsig', 'KILL'];
  }

  /** Drops all that goes these ways, at once. */
  async close(ways: readonly Way[]): Promise<void> {
    const port = (name: string): string => `"${this.#machine(name).port}"`;
    const elements = ways.map(({ from, to }) => `${port(from)} . ${port(to)}`).join(', ');
    await rules([], `add element bridge chaos closed { ${elements} }`);
  }

  /** Opens all ways. */
  async open(): Promise<void> {
    await rules([], 'flush set bridge chaos closed');
  }

  /** Never throws. */
  remove(): void {
    const links = ['br0'];
    for (const { keeper, port } of this.#machines.values()) {
      keeper.kill('SIGKILL');
      // A namespace whose last process is gone goes a little later, and its links with it.
      links.push(port);
    }
    this.#machines.clear();
    if (!insideNetwork()) return;
    for (const link of links) spawnSync('ip', ['link', 'delete', link]);
  }

  #machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (!machine) throw new Error(`no machine ${name}`);
    return machine;
  }
}

async function command(...line: readonly string[]): Promise<void> {
  await checked(line, '');
}

/** Loads packet filter rules, in the namespace that `inside` enters. */
async function rules(inside: readonly string[], text: string): Promise<void> {
  await checked([...inside, 'nft', '-f', '-'], text);
}

async function checked(line: readonly string[], stdin: string): Promise<void> {
  const [program = '', ...args] = line;
  const { code, stderr } = await run(program, args, { timeoutMs: COMMAND_TIMEOUT_MS, stdin });
  if (code !== 0) throw new Error(`${line.join(' ')}: ${stderr.trim()}`);
}
