import assert from 'node:assert/strict';
import { type SwimConfigInput, swimConfig } from '../config.ts';
import type { ViewChange } from '../core/cut-detector.ts';
import type { Refusal } from '../core/event.ts';
import type { UserEvent } from '../core/event-codec.ts';
import type { MemberState, SwimMember, VersionRange } from '../core/message.ts';
import { Network, type NetworkFaults } from './network.ts';
import { Prng } from './prng.ts';
import { Scheduler } from './scheduler.ts';
import { SimAgent } from './sim-agent.ts';

interface AddOptions {
  readonly bootEpoch?: number;
  readonly clusterId?: string;
  readonly address?: string;
  readonly seeds?: readonly string[];
  readonly versions?: VersionRange;
}

/** A simulated cluster: n0 founds it, the others join through n0. */
export class TestCluster {
  readonly scheduler = new Scheduler();
  readonly network: Network;
  readonly agents = new Map<string, SimAgent>();
  /** Every state that any member was ever seen in by any other: "observer name state". */
  readonly seen = new Set<string>();
  /** "name bootEpoch code address" of every notice. */
  readonly notices = new Set<string>();
  /** Names whose departure was spread. */
  readonly left = new Set<string>();
  /** Changes of the stable view of each member, oldest first. */
  readonly views = new Map<string, ViewChange[]>();
  /** Hears each refusal that an owner is told of; replace it at will. */
  onRefused: (observer: string, refusal: Refusal) => void = () => {};
  /** User events that each member got, oldest first. */
  readonly events = new Map<string, UserEvent[]>();
  readonly #prng: Prng;
  readonly #config: SwimConfigInput;

  constructor(seed: string, faults: Partial<NetworkFaults> = {}, config: SwimConfigInput = {}) {
    this.#prng = new Prng(seed);
    this.#config = config;
    this.network = new Network({
      scheduler: this.scheduler,
      prng: this.#prng.fork('network'),
      faults,
    });
  }

  add(name: string, options: AddOptions = {}): SimAgent {
    const address = options.address ?? addressOf(name);
    const bootEpoch = options.bootEpoch ?? 1;
    const prng = this.#prng.fork(`${name} ${bootEpoch}`);
    const changes: ViewChange[] = [];
    this.views.set(name, changes);
    const events: UserEvent[] = [];
    this.events.set(name, events);
    const agent = new SimAgent({
      scheduler: this.scheduler,
      network: this.network,
      swim: {
        config: swimConfig(this.#config),
        name,
        bootEpoch,
        clusterId: options.clusterId ?? (name === 'n0' ? 'c' : ''),
        address,
        meta: new TextEncoder().encode(`meta of ${name} ${bootEpoch}`),
        random: () => prng.next(),
        ...(options.versions && { versions: options.versions }),
      },
      callbacks: {
        onMembers: (members) => {
          for (const member of members) this.seen.add(`${name} ${member.name} ${member.state}`);
        },
        onRefused: (refusal) => this.onRefused(name, refusal),
        onEvent: (event) => events.push(event),
        onView: (change) => changes.push(change),
        onNotice: (code, at) => this.notices.add(`${name} ${bootEpoch} ${code} ${at}`),
        onLeft: () => this.left.add(name),
      },
    });
    this.agents.set(name, agent);
    agent.start(options.seeds ?? [addressOf('n0')]);
    return agent;
  }

  addMany(size: number): void {
    for (let n = 0; n < size; n++) this.add(`n${n}`);
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

  agent(name: string): SimAgent {
    const agent = this.agents.get(name);
    assert.ok(agent !== undefined, `no ${name}`);
    return agent;
  }

  /** Every member that was seen in another state than this one. */
  seenNot(state: MemberState): string[] {
    return [...this.seen].filter((line) => !line.endsWith(` ${state}`));
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

export function addressOf(name: string): string {
  return `${name}:7000`;
}

export function find(agent: SimAgent, name: string): SwimMember | undefined {
  return agent.members().find((member) => member.name === name);
}

export function stateOf(agent: SimAgent, name: string): MemberState | undefined {
  return find(agent, name)?.state;
}
