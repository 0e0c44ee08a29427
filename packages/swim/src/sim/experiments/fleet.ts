import type { SwimConfig } from '../../config.ts';
import { FNV_BASIS, fnvStep } from '../../core/fnv.ts';
import { MemberList } from '../../core/member-list.ts';
import { type MemberState, SWIM_VERSIONS, type Update } from '../../core/message.ts';
import { StatementTable } from '../../core/statement.ts';
import type { SwimSwitches } from '../../core/switches.ts';
import { Network, type NetworkFaults } from '../network.ts';
import { Prng } from '../prng.ts';
import { Scheduler } from '../scheduler.ts';
import { SimAgent } from '../sim-agent.ts';

/**
 * The network of every comparison, written down before the runs: log-normal latency one way, median
 * 0.5 ms, sigma 0.5 (99 % within 1.6 ms), no duplicates, no reordering beyond that.
 */
export const MODEL: Partial<NetworkFaults> = { logNormal: { medianMs: 0.5, sigma: 0.5 } };
const NO_META = new Uint8Array(0);

/** What a {@link Fleet} is made of. */
export interface FleetOptions {
  readonly size: number;
  /** Draws everything: equal options and seeds give equal histories. */
  readonly seed: string;
  readonly config: SwimConfig;
  readonly switches?: SwimSwitches;
  readonly faults?: Partial<NetworkFaults>;
  /** Time that a member takes to read each datagram that waited while it was paused. Default 0. */
  readonly readMs?: number;
  /** How late the timers of these members are: up to so much, drawn for each. */
  readonly timerLateMaxMs?: ReadonlyMap<number, number>;
  /** All know all from the start; else members join through number 0. Default true. */
  readonly warm?: boolean;
}

/** A change of the stable view of one member. */
export type OnView = (
  observer: number,
  added: readonly number[],
  removed: readonly number[],
) => void;

/** A change of one member's state in the eyes of another; both as numbers. */
export type OnState = (observer: number, member: number, state: MemberState, nowMs: number) => void;

/**
 * A cluster for experiments: members are numbers, all alike, and every change of state in a member's
 * eyes is reported.
 */
export class Fleet {
  readonly scheduler = new Scheduler();
  readonly network: Network;
  readonly prng: Prng;
  readonly size: number;
  /** Hears each change; replace it at will. */
  onState: OnState = () => {};
  /** Hears each refusal that a member's owner is told of; replace it at will. */
  onRefused: (observer: number, member: number) => void = () => {};
  /** Hears each change of a stable view; replace it at will. */
  onView: OnView = () => {};
  readonly #options: FleetOptions;
  readonly #agents: (SimAgent | undefined)[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #bootEpochs: number[] = [];
  readonly #table = new StatementTable({ shared: true });
  readonly #known: MemberList | undefined;
  readonly #down = new Set<number>();
  #hash = FNV_BASIS;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.size = options.size;
    this.prng = new Prng(options.seed);
    this.network = new Network({
      scheduler: this.scheduler,
      prng: this.prng.fork('network'),
      faults: { ...MODEL, ...options.faults },
    });
    const numbers = Array.from({ length: options.size }, (_, number) => number);
    for (const number of numbers) this.#numbers.set(nameOf(number), number);
    if (options.warm === false) return;
    this.#known = new MemberList(this.#table.intern(aliveUpdate(0), ''), () => 0, this.#table);
    for (const number of numbers) this.#known.put(this.#table.intern(aliveUpdate(number), ''), 0);
    for (const number of numbers) this.start(number);
  }

  get nowMs(): number {
    return this.scheduler.nowMs;
  }

  /** Hash of every change of state so far: equal histories have equal ones. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  /** Starts a member, again with a higher boot epoch. Warm ones know all members from the start. */
  start(number: number): SimAgent {
    const known = this.#known;
    const warm = known !== undefined;
    const founder = warm || number === 0;
    const { scheduler, network } = this;
    const options = this.#options;
    const bootEpoch = (this.#bootEpochs[number] ?? 0) + 1;
    this.#bootEpochs[number] = bootEpoch;
    this.#down.delete(number);
    const name = nameOf(number);
    this.#numbers.set(name, number);
    const prng = this.prng.fork(`${name} ${bootEpoch}`);
    const lateMaxMs = options.timerLateMaxMs?.get(number) ?? 0;
    const late = prng.fork('late timers');
    const agent = new SimAgent({
      scheduler,
      network,
      timerLateMs: () => (lateMaxMs === 0 ? 0 : late.next() * lateMaxMs),
      callbacks: {
        onView: ({ added, removed }) =>
          this.onView(number, this.#numbersOf(added), this.#numbersOf(removed)),
        onRefused: (refusal) => this.onRefused(number, this.#numbers.get(refusal.name) ?? -1),
      },
      ...(options.readMs === undefined ? {} : { readMs: options.readMs }),
      swim: {
        config: options.config,
        name,
        bootEpoch,
        clusterId: founder ? 'fleet' : '',
        address: addressOf(number),
        meta: NO_META,
        random: () => prng.next(),
        table: this.#table,
        ...(warm ? { known } : {}),
        ...(options.switches === undefined ? {} : { switches: options.switches }),
        onState: (member, state) => this.#observe(number, member, state),
      },
    });
    this.#agents[number] = agent;
    agent.start(warm ? [] : [addressOf(0), addressOf(1)]);
    return agent;
  }

  agent(number: number): SimAgent {
    const agent = this.#agents[number];
    if (agent === undefined) throw new RangeError(`no member ${number}`);
    return agent;
  }

  /** Numbers of the members that run. */
  running(): number[] {
    return this.#agents.flatMap((_, number) => (this.#down.has(number) ? [] : [number]));
  }

  crash(number: number): void {
    this.agent(number).stop();
    this.#down.add(number);
  }

  run(durationMs: number): void {
    this.scheduler.runUntil(this.nowMs + durationMs);
  }

  /** Runs until the condition holds, asked every stepMs; the time it took, undefined after limitMs. */
  until(limitMs: number, condition: () => boolean, stepMs = 10): number | undefined {
    const startMs = this.nowMs;
    while (!condition()) {
      if (this.nowMs - startMs >= limitMs) return undefined;
      this.run(stepMs);
    }
    return this.nowMs - startMs;
  }

  #numbersOf(names: readonly string[]): number[] {
    return names.map((name) => this.#numbers.get(name) ?? -1);
  }

  #observe(observer: number, name: string, state: MemberState): void {
    const member = this.#numbers.get(name);
    if (member === undefined) return;
    const { nowMs } = this;
    for (const part of [observer, member, state.length, Math.round(nowMs * 1000)]) {
      this.#hash = fnvStep(this.#hash, part);
    }
    this.onState(observer, member, state, nowMs);
  }
}

function nameOf(number: number): string {
  return `m${number}`;
}

export function addressOf(number: number): string {
  return `m${number}:7946`;
}

function aliveUpdate(number: number): Omit<Update, 'ageS' | 'accuser'> {
  return {
    name: nameOf(number),
    bootEpoch: 1,
    incarnation: 0,
    state: 'alive',
    address: addressOf(number),
    meta: NO_META,
    unwell: false,
    versions: SWIM_VERSIONS,
  };
}
