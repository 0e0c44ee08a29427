import { type SwimConfig, swimConfig } from '@shoal/swim';
import type { Prng, Scheduler } from '@shoal/swim/sim';
import type { GivenSettings } from '../cluster-settings.ts';
import type { World } from './checkers/checker.ts';
import type { CoreFactory, CoreInspection } from './core-port.ts';
import { Damage } from './damage.ts';
import { SimDisk } from './disk.ts';
import { DAMAGES } from './faults.ts';
import { SimFolder } from './folder.ts';
import type { History } from './history.ts';
import { SimLinks } from './links.ts';
import { addressOf } from './member.ts';
import { SimNetwork } from './network.ts';
import type { SimOptions } from './options.ts';
import { type ProcessEnv, SimProcess } from './process.ts';
import type { Transcript } from './transcript.ts';

/** The first node of a run; all others join. */
const FOUNDER = 'n1';
/** Machines that a run may add to those it began with. */
const ADDED_MAX = 2;

/** Errors of a damaged folder whose remedy is to remove it, where other copies are whole. */
const REMOVE_FOLDER: ReadonlySet<string> = new Set([
  'BROKER_ERR_CORRUPT_RECORD',
  'BROKER_ERR_CORRUPT_STORE',
  'BROKER_ERR_DATA_SHORT',
]);

/** An operator who acts on an error takes this long. */
const OPERATOR_MS = 300;

/** Turns of all processes together in one run; four times what the busiest run takes. */
const TURNS_MAX = 1_500_000;

/** Settings of one machine that are not the cluster's, and whether they were given in words. */
interface OwnSettings {
  readonly replicas?: number;
  readonly durability?: 'disk' | 'memory';
  readonly inWords?: boolean;
}

/** One machine: its disk outlives its processes. */
interface Machine {
  readonly name: string;
  folder: SimFolder;
  readonly clock: { skewMs: number; rate: number };
  process: SimProcess | undefined;
  /** Its first folder is lost: it joins, also if it founded the cluster. */
  replaced: boolean;
  /** Started with what differs from the cluster's settings, now or from its next start on. */
  own: OwnSettings;
  later: OwnSettings;
}

/** The machines, their wires, and who lives on them. */
export class SimCluster {
  readonly network: SimNetwork;
  readonly links: SimLinks;
  readonly swim: SwimConfig;
  readonly damage: Damage;
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #transcript: Transcript;
  readonly #options: SimOptions;
  readonly #history: History;
  readonly #processEnv: ProcessEnv;
  #added = 0;
  #turns = 0;
  readonly #machines = new Map<string, Machine>();

  constructor(o: {
    scheduler: Scheduler;
    random: Prng;
    transcript: Transcript;
    options: SimOptions;
    history: History;
    factory: CoreFactory;
    onPhase: ProcessEnv['onPhase'];
  }) {
    this.#scheduler = o.scheduler;
    this.#random = o.random;
    this.#transcript = o.transcript;
    this.#options = o.options;
    this.#history = o.history;
    this.swim = swimConfig({}, 'lan');
    this.network = new SimNetwork({
      scheduler: o.scheduler,
      random: o.random.fork('network'),
      transcript: o.transcript,
      options: o.options.network,
    });
    this.links = new SimLinks({
      scheduler: o.scheduler,
      random: o.random.fork('links'),
      network: this.network,
      transcript: o.transcript,
    });
    this.damage = new Damage(this, o.random.fork('damage'));
    this.#processEnv = {
      scheduler: o.scheduler,
      random: o.random.fork('process'),
      network: this.network,
      links: this.links,
      transcript: o.transcript,
      factory: o.factory,
      processAt: (address) => this.process(address.slice(0, address.indexOf(':'))),
      onLeft: (process) => {
        this.#transcript.note(process.name, 'has left');
        process.kill(false);
        this.#machines.delete(process.name);
      },
      onTurn: () => {
        this.#turns++;
        if (this.#turns > TURNS_MAX) throw new Error(`more than ${TURNS_MAX} turns: a livelock`);
      },
      onPhase: o.onPhase,
      onFatal: (process, code, message) => this.#onFatal(process, code, message),
    };
  }

  /** Adds a machine and starts its process; the first of a run founds the cluster. */
  add(name: string): void {
    const random = this.#random.fork(`machine/${name}`);
    const skewed = this.#options.faults.includes('clockSkew');
    this.#machines.set(name, {
      name,
      folder: this.#newFolder(name, random),
      clock: {
        skewMs: skewed ? random.int(-60_000, 60_000) : random.int(-20, 20),
        rate: 1 + (random.next() - 0.5) * 0.0004,
      },
      process: undefined,
      replaced: false,
      ...this.#ownSettings(name, random),
    });
    this.start(name);
  }

  #newFolder(name: string, random: Prng): SimFolder {
    const { disk: usual, slowMachine, faults } = this.#options;
    const slow = name === `n${slowMachine.index}`;
    const options = slow
      ? { ...usual, syncMinMs: slowMachine.syncMaxMs / 2, syncMaxMs: slowMachine.syncMaxMs }
      : usual;
    const disk = new SimDisk({ scheduler: this.#scheduler, random, options });
    if (faults.some((fault) => DAMAGES.has(fault))) disk.keepJournal();
    return new SimFolder({ scheduler: this.#scheduler, random: random.fork('folder'), disk });
  }

  /** What the operator of this machine got wrong. */
  #ownSettings(name: string, random: Prng): Pick<Machine, 'own' | 'later'> {
    const draw = random.fork('settings');
    if (!this.#options.faults.includes('otherSettings') || draw.chance(0.4))
      return { own: {}, later: {} };
    const durability = this.#options.durability === 'disk' ? 'memory' : 'disk';
    const inWords = draw.chance(0.5);
    const wrong = draw.pick([
      { replicas: draw.int(1, 3), inWords },
      { durability, inWords },
    ] as const);
    // The founder's are the cluster's.
    const first = name !== FOUNDER && draw.chance(0.5);
    return first ? { own: wrong, later: wrong } : { own: {}, later: wrong };
  }

  #givenBy({ inWords, ...own }: OwnSettings): GivenSettings {
    return inWords === true ? own : {};
  }

  /** The machine's folder is gone: what starts there next is empty and joins. */
  replaceDisk(name: string): void {
    const machine = this.#machines.get(name);
    if (machine === undefined) return;
    machine.folder = this.#newFolder(name, this.#random.fork(`machine/${name}/again`));
    machine.replaced = true;
  }

  /** A process must end. Of a damaged machine an operator does what the error says. */
  #onFatal(process: SimProcess, code: string, message: string): void {
    process.kill(false);
    if (REMOVE_FOLDER.has(code) && process.name === this.damage.victim) {
      this.#transcript.note(process.name, `ended with ${code}: ${message}; its folder is removed`);
      this.replaceDisk(process.name);
      this.#scheduler.after(OPERATOR_MS, () => this.start(process.name));
      return;
    }
    if (code === 'BROKER_ERR_DATA_OLDER' && process.name === this.damage.victim) {
      // As the error says: it returns, as another store or under a later epoch.
      this.#transcript.note(process.name, `ended with ${code}: ${message}`);
      this.#scheduler.after(OPERATOR_MS, () => this.start(process.name));
      return;
    }
    const machine = this.#machines.get(process.name);
    if (code === 'BROKER_ERR_JOIN_SETTINGS' && machine?.own.inWords === true) {
      // As the error says: without them it takes the cluster's.
      machine.own = {};
      this.#scheduler.after(OPERATOR_MS, () => this.start(process.name));
      return;
    }
    this.#history.fail('process', `${process.name} ended with ${code}: ${message}`);
  }

  /** Starts a process on a machine whose own is dead. */
  start(name: string): void {
    const machine = this.#machines.get(name);
    if (machine === undefined || machine.process?.alive) return;
    const first = name === FOUNDER && !machine.replaced;
    // One that lost its power before its cluster was there founds it now.
    if (first && (machine.process?.clusterId ?? '') === '') machine.own = {};
    machine.process = new SimProcess(
      this.#processEnv,
      {
        name,
        seeds: first
          ? []
          : this.names()
              .filter((other) => other !== name)
              .map(addressOf),
        shardCount: this.#options.shards,
        replicas: machine.own.replicas ?? this.#options.replicas,
        durability: machine.own.durability ?? this.#options.durability,
        given: this.#givenBy(machine.own),
        replication: this.#options.replication,
        zone: '',
        swim: this.swim,
        clock: machine.clock,
      },
      machine.folder,
    );
    machine.own = machine.later;
    this.#transcript.note(name, 'starts');
    machine.process.start();
  }

  /** An operator adds a node. False if there have been enough. */
  addNode(): boolean {
    if (this.#added >= ADDED_MAX) return false;
    this.#added++;
    this.add(`n${this.#options.nodes + this.#added}`);
    return true;
  }

  /**
   * An operator removes a node: by force the one that is held to be dead, else the one named.
   *
   * @returns what was done, '' if that would leave too few, as the admin API says too
   */
  removeNode(name: string): string {
    const forced = this.#removeDead();
    if (forced !== '') return `${forced}, by force`;
    return this.#drain(name) ? name : '';
  }

  /** By force, although it may only be cut off or paused, or about to be started again. */
  #removeDead(): string {
    for (const name of this.names()) {
      const process = this.process(name);
      const dead = process?.listening && !process.paused ? process.faulty[0] : undefined;
      if (process === undefined || dead === undefined) continue;
      process.forceLeave(dead);
      return dead;
    }
    return '';
  }

  #drain(name: string): boolean {
    const process = this.process(name);
    if (process === undefined || process.paused || !process.listening || process.leaving)
      return false;
    const staying = this.names().filter((n) => this.process(n)?.leaving !== true).length;
    if (staying <= Math.max(2, this.#options.replicas)) return false;
    process.leave();
    return true;
  }

  /** kill -9; with `power` the machine loses what it had not synced. */
  kill(name: string, o: { power: boolean; silent: boolean }): void {
    const machine = this.#machines.get(name);
    if (machine?.process?.alive !== true) return;
    machine.process.kill(o.silent);
    if (o.power) {
      const { lost } = machine.folder.powerCut();
      this.#transcript.note(name, `loses ${lost} unsynced batches`);
    } else machine.folder.processDied();
  }

  names(): readonly string[] {
    return [...this.#machines.keys()];
  }

  /** The living process of a machine. */
  process(name: string): SimProcess | undefined {
    const process = this.#machines.get(name)?.process;
    return process?.alive ? process : undefined;
  }

  folder(name: string): SimFolder | undefined {
    return this.#machines.get(name)?.folder;
  }

  stepClock(name: string, byMs: number): void {
    const machine = this.#machines.get(name);
    if (machine) machine.clock.skewMs += byMs;
  }

  /** True once every machine's process serves clients. */
  get allServe(): boolean {
    return this.names().every((name) => this.process(name)?.listening === true);
  }

  /** Who does not serve, and why, in words. */
  notServing(): string | undefined {
    const waiting = this.names().filter((name) => this.process(name)?.listening !== true);
    return waiting.length === 0 ? undefined : `${waiting.join(' ')} do not serve clients`;
  }

  inspections(): ReturnType<World['inspections']> {
    const found: { node: string; inspection: NonNullable<ReturnType<SimProcess['inspect']>> }[] =
      [];
    for (const name of this.names()) {
      const inspection = this.process(name)?.inspect();
      if (inspection !== undefined) found.push({ node: name, inspection });
    }
    return found;
  }

  /** What the machine's last process knows, or knew in the end; undefined if it had not booted. */
  lastInspection(name: string): CoreInspection | undefined {
    return this.#machines.get(name)?.process?.lastInspection();
  }

  /** Ends everything that still holds: for the heal. */
  repair(): void {
    this.network.faulty = false;
    this.network.healAll();
    for (const name of this.names()) {
      this.process(name)?.resume();
      if (this.process(name) === undefined) this.start(name);
    }
  }
}
