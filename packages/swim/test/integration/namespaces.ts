import { spawnSync } from 'node:child_process';

export const NOT_INSTALLED = 'iproute2 is not installed';

/**
 * Machines on one switch: network namespaces whose interfaces are joined by a bridge, in a further
 * namespace, so that nothing of this machine's own network is touched. Needs root and iproute2.
 */
export class Machines {
  readonly names: readonly string[];
  readonly #bridge: string;

  /** `count` machines, 1 to 200; the nth has the address 10.77.0.n. @throws what `ip` says */
  constructor(count: number) {
    const prefix = `swim-${process.pid}`;
    this.#bridge = `${prefix}-bridge`;
    this.names = Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
    try {
      this.#build();
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** Why there can be none here: no `ip`, or no right to; undefined if there can be. */
  static missing(): string | undefined {
    const name = `swim-${process.pid}-probe`;
    const added = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
    if (added.error !== undefined) return NOT_INSTALLED;
    if (added.status !== 0) return `network namespaces are refused: ${added.stderr.trim()}`;
    spawnSync('ip', ['netns', 'delete', name]);
    return undefined;
  }

  /** Why no packets can be filtered here; undefined if they can. */
  static noFilter(): string | undefined {
    const found = spawnSync('nft', ['--version'], { encoding: 'utf8' });
    return found.error === undefined ? undefined : 'nftables is not installed';
  }

  /** The command that runs another on machine n, 1 the first. */
  on(n: number): readonly string[] {
    return ['ip', 'netns', 'exec', this.names[n - 1] as string];
  }

  /** Gives machine n a further address. */
  addAddress(n: number, address: string): void {
    ip('-n', this.names[n - 1] as string, 'address', 'add', `${address}/24`, 'dev', 'eth0');
  }

  /** Replaces the packet filter of machine n by these rules for what comes in; none lets all through. */
  filter(n: number, rules: readonly string[]): void {
    const chain = ['type filter hook input priority 0', ...rules].join('\n');
    this.#load(n, `chain in {\n${chain}\n}`);
  }

  #load(n: number, chains: string): void {
    const text = `flush ruleset\ntable inet swim {\n${chains}\n}\n`;
    const [command = '', ...args] = [...this.on(n), 'nft', '-f', '-'];
    const result = spawnSync(command, args, { input: text, encoding: 'utf8', timeout: 10_000 });
    if (result.status !== 0) throw new Error(`nft ${text}: ${result.stderr}`);
  }

  /** Machine n loses this share of all its packets, datagrams and streams alike, both ways; 0 ends it. */
  lose(n: number, share: number): void {
    const loses = `numgen random mod 100 < ${Math.round(share * 100)} drop`;
    const chain = (hook: string): string =>
      `chain ${hook} {\ntype filter hook ${hook} priority 0\n${share > 0 ? loses : ''}\n}`;
    this.#load(n, `${chain('input')}\n${chain('output')}`);
  }

  /** Takes the cable out of machine n: nothing comes in, nothing goes out, and its own programs run on. */
  unplug(n: number): void {
    ip('-n', this.#bridge, 'link', 'set', `port${n}`, 'down');
  }

  /** Never throws. */
  remove(): void {
    for (const name of [...this.names, this.#bridge]) {
      spawnSync('ip', ['netns', 'delete', name]);
    }
  }

  #build(): void {
    const bridge = this.#bridge;
    ip('netns', 'add', bridge);
    // Without a querier, a bridge that snoops may keep multicast from ports that want it.
    const type = ['type', 'bridge', 'mcast_snooping', '0', 'forward_delay', '0'];
    ip('-n', bridge, 'link', 'add', 'bridge', ...type);
    ip('-n', bridge, 'link', 'set', 'bridge', 'up');
    this.names.forEach((name, index) => {
      const port = `port${index + 1}`;
      ip('netns', 'add', name);
      ip('-n', name, 'link', 'set', 'lo', 'up');
      const peer = ['peer', 'name', port, 'netns', bridge];
      ip('-n', name, 'link', 'add', 'eth0', 'type', 'veth', ...peer);
      ip('-n', bridge, 'link', 'set', port, 'master', 'bridge', 'up');
      this.addAddress(index + 1, `10.77.0.${index + 1}`);
      ip('-n', name, 'link', 'set', 'eth0', 'up');
    });
  }
}

function ip(...args: readonly string[]): void {
  const result = spawnSync('ip', args, { encoding: 'utf8', timeout: 10_000 });
  if (result.status !== 0) throw new Error(`ip ${args.join(' ')}: ${result.stderr}`);
}
