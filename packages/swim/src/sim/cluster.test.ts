import assert from 'node:assert/strict';
import { type SwimConfigInput, swimConfig } from '../config.ts';
import type { SwimMember } from '../core/member-list.ts';
import type { MemberState } from '../core/message.ts';
import { Network, type NetworkFaults } from './network.ts';
import { Prng } from './prng.ts';
import { Scheduler } from './scheduler.ts';
import { SimAgent } from './sim-agent.ts';

/** A simulated cluster: n0 founds it, the others join through n0. */
class Cluster {
  readonly scheduler = new Scheduler();
  readonly network: Network;
  readonly agents = new Map<string, SimAgent>();
  /** Every state that any member was ever seen in by any other: "observer name state". */
  readonly seen = new Set<string>();
  private readonly prng: Prng;
  private readonly config: SwimConfigInput;

  constructor(seed: string, faults: Partial<NetworkFaults> = {}, config: SwimConfigInput = {}) {
    this.prng = new Prng(seed);
    this.config = config;
    this.network = new Network({
      scheduler: this.scheduler,
      prng: this.prng.fork('network'),
      faults,
    });
  }

  static async of(_size: number): Promise<void> {}

  add(
    name: string,
    options: { bootEpoch?: number; clusterId?: string; address?: string; seeds?: string[] } = {},
  ): SimAgent {
    const address = options.address ?? addressOf(name);
    const bootEpoch = options.bootEpoch ?? 1;
    const prng = this.prng.fork(`${name} ${bootEpoch}`);
    const agent = new SimAgent({
      scheduler: this.scheduler,
      network: this.network,
      swim: {
        config: swimConfig(this.config),
        name,
        bootEpoch,
        clusterId: options.clusterId ?? (name === 'n0' ? 'c' : ''),
        address,
        meta: new TextEncoder().encode(`meta of ${name} ${bootEpoch}`),
        random: () => prng.next(),
      },
      callbacks: {
        onMembers: (members) => {
          for (const member of members) this.seen.add(`${name} ${member.name} ${member.state}`);
        },
      },
    });
    this.agents.set(name, agent);
    agent.start(options.seeds ?? [addressOf('n0')]);
    return agent;
  }

  addMany(size: number): void {
    for (let n = 0; n < size; n += 1) this.add(`n${n}`);
  }

  /** Runs until the condition holds; fails after limitMs. Returns the time it took. */
  until(what: string, limitMs: number, condition: () => boolean): number {
    const startMs = this.scheduler.nowMs;
    while (!condition()) {
      if (this.scheduler.nowMs - startMs > limitMs) {
        assert.fail(`${what}: not within ${limitMs} ms\n${this.describe()}`);
      }
      this.scheduler.runUntil(this.scheduler.nowMs + 10);
    }
    return this.scheduler.nowMs - startMs;
  }

  run(durationMs: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + durationMs);
  }

  kill(name: string): void {
    this.agents.get(name)?.stop();
    this.agents.delete(name);
  }

  /** Whether every agent sees every member named in the given state. */
  allSee(state: MemberState, names: readonly string[]): boolean {
    for (const agent of this.agents.values()) {
      for (const name of names) if (stateOf(agent, name) !== state) return false;
    }
    return true;
  }

  whole(): boolean {
    return this.allSee('alive', [...this.agents.keys()]);
  }

  describe(): string {
    return [...this.agents]
      .map(
        ([name, agent]) =>
          `${name}: ${agent
            .members()
            .map((member) => `${member.name}=${member.state}/${member.incarnation}`)
            .join(' ')}`,
      )
      .join('\n');
  }
}

function addressOf(name: string): string {
  return `${name}:7000`;
}

function find(agent: SimAgent, name: string): SwimMember | undefined {
  return agent.members().find((member) => member.name === name);
}

function stateOf(agent: SimAgent, name: string): MemberState | undefined {
  return find(agent, name)?.state;
}

describe('simulated cluster', () => {
  for (const size of [3, 10, 32, 64]) {
    it(`of ${size}: forms, and a crash is known to all within 4 s, usually 3`, function () {
      this.timeout(30_000);
      const times: number[] = [];
      for (let seed = 0; seed < 5; seed += 1) {
        const cluster = new Cluster(`crash ${size} ${seed}`);
        cluster.addMany(size);
        cluster.until('forms', 5_000, () => cluster.whole());
        cluster.run(3_000 + seed * 130);
        assert.ok(![...cluster.seen].some((line) => !line.endsWith(' alive')), 'a false suspicion');
        cluster.kill('n1');
        times.push(cluster.until('detects', 6_000, () => cluster.allSee('faulty', ['n1'])));
        cluster.run(2_000);
        const survivors = [...cluster.agents.keys()];
        assert.ok(cluster.allSee('alive', survivors), cluster.describe());
      }
      times.sort((x, y) => x - y);
      if (process.env['SWIM_PRINT']) console.log(size, times.join(' '));
      assert.ok((times[2] as number) <= 3_000, `median ${times[2]} ms`);
      assert.ok((times[4] as number) <= 4_000, `worst ${times[4]} ms`);
    });
  }
});
