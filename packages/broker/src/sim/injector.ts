import type { Prng, Scheduler } from '@shoal/swim/sim';
import { DAMAGES, type FaultName, PHASES, type PhaseName, STANDING_FAULTS } from './faults.ts';
import type { Cut, SimNetwork } from './network.ts';
import type { SimOptions } from './options.ts';

/** What the injector may do to a cluster. */
export interface Victims {
  /** Names of all nodes, dead ones included. */
  names(): readonly string[];
  isAlive(name: string): boolean;
  isPaused(name: string): boolean;
  kill(name: string, o: { power: boolean; silent: boolean }): void;
  restart(name: string): void;
  pause(name: string): void;
  resume(name: string): void;
  stepClock(name: string, byMs: number): void;
  stallDisk(name: string, untilMs: number): void;
  /**
   * One machine loses some or all of what its copies held, if the others still have all of it.
   * @returns what was done, '' for nothing
   */
  damage(fault: FaultName, name: string): string;
  /** The machine that was damaged. */
  damaged(): string | undefined;
  addNode(): boolean;
  /** @returns what was done, '' for nothing */
  removeNode(name: string): string;
  readonly network: SimNetwork;
  establishedLinks(): readonly (readonly [string, string])[];
  resetLink(a: string, b: string): boolean;
  stallLink(a: string, b: string, untilMs: number): boolean;
  /** Breaks, silences or stalls some client's connection. */
  breakClient(how: 'break' | 'halfOpen' | 'stall', random: Prng): boolean;
  /** A fault struck and disturbs until then. */
  struck(fault: FaultName, what: string, untilMs: number): void;
}

/** What faults wait for: rare phases more often, or few faults would ever meet them. */
const RARE: readonly PhaseName[] = ['truncate', 'expire', 'tick', 'snapshot'];
const ARMED_PHASES: readonly PhaseName[] = [...PHASES, ...RARE, ...RARE, ...RARE];
/** Added where a client publishes at the moment of a SUBACK. */
const SUBSCRIBING: readonly PhaseName[] = ['sub', 'sub', 'sub', 'sub', 'sub', 'sub'];

/** Around these something gives up: silence, route grants, and what waits for it. */
const EDGES_MS = [500, 500, 1000, 1100];

/** How often, and how soon again, damage is tried that would have taken the last copy. */
const DAMAGE_TRIES = 20;
const DAMAGE_AGAIN_MS = 100;

/** A disk that stops for less than this keeps its links. */
const SHORT_STALL_MS = 280;

/** How long an armed fault waits for its phase before it strikes anyway. */
const ARMED_MAX_MS = 1500;

/** A fault that waits for a protocol phase. */
interface Armed {
  readonly phase: PhaseName;
  readonly fault: FaultName;
  readonly delayMs: number;
}

/**
 * Draws faults and strikes with them: half at random times, half when a drawn protocol phase is next
 * reported, a moment later, so that rare phases are hit as often as common ones.
 */
export class Injector {
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #options: SimOptions;
  readonly #victims: Victims;
  readonly #strikes: readonly FaultName[];
  readonly #phases: readonly PhaseName[];
  #armed: Armed | undefined;
  #running = false;
  /** Ends of faults under way, by what they undo. */
  readonly #undo = new Set<() => void>();

  constructor(o: { scheduler: Scheduler; random: Prng; options: SimOptions; victims: Victims }) {
    this.#scheduler = o.scheduler;
    this.#random = o.random;
    this.#options = o.options;
    this.#victims = o.victims;
    this.#strikes = o.options.faults.filter((fault) => !STANDING_FAULTS.has(fault));
    const races = o.options.workload.behaviours.includes('race');
    this.#phases = races ? [...ARMED_PHASES, ...SUBSCRIBING] : ARMED_PHASES;
  }

  start(): void {
    if (this.#strikes.length === 0) return;
    this.#running = true;
    this.#next();
  }

  /** Strikes no more, and ends what holds: cuts, pauses, dead nodes. */
  stop(): void {
    this.#running = false;
    this.#armed = undefined;
    for (const undo of [...this.#undo]) undo();
  }

  /** The core of `node` reported a phase. */
  onPhase(node: string, phase: string): void {
    const armed = this.#armed;
    if (armed === undefined || armed.phase !== phase) return;
    this.#armed = undefined;
    this.#scheduler.after(armed.delayMs, () => {
      if (this.#running) this.#strike(armed.fault, node);
    });
  }

  #next(): void {
    const delayMs = -Math.log(1 - this.#random.next()) * this.#options.faultEveryMs;
    this.#scheduler.after(delayMs, () => {
      if (!this.#running) return;
      const fault = this.#random.pick(this.#strikes);
      const phase = this.#random.pick(this.#phases);
      const atRandom = this.#random.chance(0.5);
      const jitterMs = this.#random.next() ** 2 * 5;
      if (atRandom || this.#armed !== undefined) this.#strike(fault, undefined);
      else this.#arm({ phase, fault, delayMs: jitterMs });
      this.#next();
    });
  }

  #arm(armed: Armed): void {
    this.#armed = armed;
    this.#scheduler.after(ARMED_MAX_MS, () => {
      if (this.#armed !== armed || !this.#running) return;
      this.#armed = undefined;
      this.#strike(armed.fault, undefined);
    });
  }

  /** @param at the node that reported the phase; half of the time the fault strikes another */
  #strike(fault: FaultName, at: string | undefined): void {
    const names = this.#victims.names();
    const drawn = this.#random.pick(names);
    const node = at !== undefined && this.#random.chance(0.6) ? at : drawn;
    switch (fault) {
      case 'kill':
        return this.#kill([node], this.#random.chance(0.5), fault);
      case 'powerCut':
        return this.#kill(names, true, fault);
      case 'pause':
        return this.#pause(node);
      case 'clockStep': {
        // A clock set back while its machine is off: docs/OPERATIONS.md, Limitations.
        if (!this.#victims.isAlive(node)) return;
        const byMs = this.#random.pick([-3_600_000, -5000, -100, 100, 5000, 3_600_000]);
        this.#victims.stepClock(node, byMs);
        return this.#victims.struck(fault, `${node} by ${byMs} ms`, this.#scheduler.nowMs);
      }
      case 'diskStall': {
        const untilMs = this.#scheduler.nowMs + this.#durationMs(100, 2000);
        this.#victims.stallDisk(node, untilMs);
        return this.#victims.struck(fault, `${node} until ${untilMs.toFixed(0)}`, untilMs);
      }
      case 'addNode':
        if (this.#victims.addNode()) this.#victims.struck(fault, '', this.#scheduler.nowMs + 2000);
        return;
      case 'removeNode': {
        const what = this.#victims.removeNode(node);
        if (what !== '') this.#victims.struck(fault, what, this.#scheduler.nowMs + 5000);
        return;
      }
      case 'linkReset':
      case 'linkStall':
        return this.#strikeLink(fault);
      case 'oneWayCut':
      case 'pairCut':
      case 'partition':
      case 'isolate':
        return this.#cut(fault, node);
      case 'clientBreak':
      case 'clientHalfOpen':
      case 'clientStall':
        return this.#strikeClient(fault);
      default:
        return this.#strikeLater(fault, node);
    }
  }

  #strikeLater(fault: FaultName, node: string): void {
    if (DAMAGES.has(fault)) return this.#damage(fault, node, DAMAGE_TRIES);
    const names = this.#victims.names();
    switch (fault) {
      case 'killSome':
      case 'powerCutSome':
        return this.#kill(this.#some(node), fault === 'powerCutSome', fault);
      case 'stallThenCut': {
        const cutMs = this.#scheduler.nowMs + 10 + this.#random.next() * (SHORT_STALL_MS - 10);
        this.#victims.stallDisk(node, cutMs + 1000);
        const victims = this.#random.pick([[node], this.#some(node), names]);
        this.#later(cutMs - this.#scheduler.nowMs, () => {
          this.#victims.stallDisk(node, 0);
          this.#kill(victims, true, fault);
        });
        return this.#victims.struck(fault, `${node} stops to sync`, cutMs);
      }
      case 'cutReset':
        return this.#cut(fault, node);
      case 'edge':
        return this.#edge(node);
      default:
    }
  }

  /** Tries for a while: it may take one machine only whose shards have other copies. */
  #damage(fault: FaultName, node: string, tries: number): void {
    const what = this.#victims.damage(fault, node);
    const victim = this.#victims.damaged();
    if (what === '') {
      if (victim !== undefined || tries === 0 || !this.#running) return;
      const next = this.#random.pick(this.#victims.names());
      this.#scheduler.after(DAMAGE_AGAIN_MS, () => this.#damage(fault, next, tries - 1));
      return;
    }
    const downMs = this.#durationMs(50, 3000);
    this.#victims.struck(fault, what, this.#scheduler.nowMs + downMs + 2000);
    this.#later(downMs, () => this.#victims.restart(victim!));
    // No other node may remember for it what it had: the others die, too, and it is back before some of them.
    if (this.#random.chance(0.5)) {
      const others = this.#victims.names().filter((name) => name !== victim);
      for (const name of others) {
        if (!this.#victims.isAlive(name)) continue;
        this.#victims.kill(name, { power: false, silent: false });
        this.#later(downMs * 2 * this.#random.next() + 50, () => this.#victims.restart(name));
      }
    }
  }

  /** The node and another, or two. */
  #some(node: string): string[] {
    const others = this.#victims.names().filter((name) => name !== node);
    return [node, ...this.#random.shuffle(others).slice(0, this.#random.pick([1, 1, 2]))];
  }

  /** A fault ends when a node is about to give up. */
  #edge(node: string): void {
    const forMs = this.#random.pick(EDGES_MS) - 100 + this.#random.next() * 300;
    const untilMs = this.#scheduler.nowMs + forMs;
    const how = this.#random.pick(['pause', 'stall', 'stallAll', 'cut'] as const);
    if (how === 'pause') {
      if (!this.#victims.isAlive(node) || this.#victims.isPaused(node)) return;
      this.#victims.pause(node);
      this.#later(forMs, () => this.#victims.resume(node));
    } else if (how === 'cut') {
      const peer = this.#random.pick(this.#victims.names());
      if (peer === node) return;
      const cuts = this.#random.pick([
        [{ from: node, to: peer }],
        [
          { from: node, to: peer },
          { from: peer, to: node },
        ],
      ]);
      this.#victims.network.cut(cuts);
      this.#later(forMs, () => this.#victims.network.heal(cuts));
    } else {
      const links = this.#victims.establishedLinks().filter((pair) => pair.includes(node));
      const stalled = how === 'stall' ? links.slice(0, 1) : links;
      for (const [a, b] of stalled) this.#victims.stallLink(a, b, untilMs);
    }
    this.#victims.struck('edge', `${how} of ${node} for ${forMs.toFixed(0)} ms`, untilMs);
  }

  #kill(names: readonly string[], power: boolean, fault: FaultName): void {
    const victims = names.filter((name) => this.#victims.isAlive(name));
    if (victims.length === 0) return;
    const downMs = this.#durationMs(50, 4000);
    const nowMs = this.#scheduler.nowMs;
    const silent = this.#random.chance(0.2);
    this.#victims.struck(
      fault,
      `${victims.join(' ')}${power ? ', power lost' : ''} for ${downMs.toFixed(0)} ms`,
      nowMs + downMs + 2000,
    );
    for (const name of victims) {
      this.#victims.kill(name, { power, silent });
      const eachMs =
        victims.length > 1 || fault === 'powerCut' ? downMs * (0.3 + this.#random.next()) : downMs;
      this.#later(eachMs, () => this.#victims.restart(name));
    }
  }

  #pause(name: string): void {
    if (!this.#victims.isAlive(name) || this.#victims.isPaused(name)) return;
    const forMs = this.#durationMs(30, 4000);
    this.#victims.struck(
      'pause',
      `${name} for ${forMs.toFixed(0)} ms`,
      this.#scheduler.nowMs + forMs,
    );
    this.#victims.pause(name);
    this.#later(forMs, () => this.#victims.resume(name));
  }

  #strikeLink(fault: 'linkReset' | 'linkStall'): void {
    const links = this.#victims.establishedLinks();
    if (links.length === 0) return;
    const [a, b] = this.#random.pick(links);
    const untilMs = this.#scheduler.nowMs + this.#durationMs(50, 3000);
    if (fault === 'linkReset') {
      if (this.#victims.resetLink(a, b))
        this.#victims.struck(fault, `${a}-${b}`, this.#scheduler.nowMs + 1000);
    } else if (this.#victims.stallLink(a, b, untilMs)) {
      this.#victims.struck(fault, `${a}-${b} until ${untilMs.toFixed(0)}`, untilMs);
    }
  }

  #cut(fault: FaultName, node: string): void {
    const names = this.#victims.names();
    const others = names.filter((name) => name !== node);
    if (others.length === 0) return;
    const peer = this.#random.pick(others);
    const shuffled = this.#random.shuffle([...names]);
    const size = this.#random.int(1, Math.max(1, names.length - 1));
    const cuts: Cut[] = [];
    const both = (a: string, b: string) => cuts.push({ from: a, to: b }, { from: b, to: a });
    const alone = fault === 'isolate' || (fault === 'cutReset' && this.#random.chance(0.6));
    if (fault === 'oneWayCut') cuts.push({ from: node, to: peer });
    else if (fault === 'pairCut' || (fault === 'cutReset' && !alone)) both(node, peer);
    else if (alone) for (const other of others) both(node, other);
    else {
      for (const a of shuffled.slice(0, size)) for (const b of shuffled.slice(size)) both(a, b);
    }
    const forMs = this.#durationMs(100, 6000);
    const what =
      fault === 'partition'
        ? `${shuffled.slice(0, size).join(' ')} | ${shuffled.slice(size).join(' ')}`
        : alone
          ? node
          : `${node} > ${peer}`;
    this.#victims.struck(
      fault,
      `${what} for ${forMs.toFixed(0)} ms`,
      this.#scheduler.nowMs + forMs + 1000,
    );
    this.#victims.network.cut(cuts);
    if (fault === 'cutReset') for (const { from, to } of cuts) this.#victims.resetLink(from, to);
    this.#later(forMs, () => this.#victims.network.heal(cuts));
  }

  #strikeClient(fault: 'clientBreak' | 'clientHalfOpen' | 'clientStall'): void {
    const how = (
      { clientBreak: 'break', clientHalfOpen: 'halfOpen', clientStall: 'stall' } as const
    )[fault];
    // A client's connection is its own: for all other clients this is no disturbance.
    if (this.#victims.breakClient(how, this.#random)) {
      this.#victims.struck(fault, '', this.#scheduler.nowMs);
    }
  }

  /** Short ones are more common. */
  #durationMs(leastMs: number, mostMs: number): number {
    return leastMs + this.#random.next() ** 2 * (mostMs - leastMs);
  }

  #later(delayMs: number, fn: () => void): void {
    const once = () => {
      if (this.#undo.delete(once)) fn();
    };
    this.#undo.add(once);
    this.#scheduler.after(delayMs, once);
  }
}
