import { Prng, Scheduler } from '@shoal/swim/sim';
import { AcknowledgedDelivered } from './checkers/acknowledged-delivered.ts';
import type { Checker, World } from './checkers/checker.ts';
import { ClearedBefore } from './checkers/cleared-before.ts';
import { CommittedDurable } from './checkers/committed-durable.ts';
import { CopiesKept } from './checkers/copies-kept.ts';
import { EpochFence } from './checkers/epoch-fence.ts';
import { ExactlyOnce } from './checkers/exactly-once.ts';
import { Liveness } from './checkers/liveness.ts';
import { MessageExpiry } from './checkers/message-expiry.ts';
import { NoElection } from './checkers/no-election.ts';
import { OneConnection } from './checkers/one-connection.ts';
import { Order } from './checkers/order.ts';
import { PacketIdentifiers } from './checkers/packet-identifier.ts';
import { ReplicaHash } from './checkers/replica-hash.ts';
import { RetainedReads } from './checkers/retained.ts';
import { Shared } from './checkers/shared.ts';
import { SubscriptionIdentifiers } from './checkers/subscription-identifiers.ts';
import { Unconcerned } from './checkers/unconcerned.ts';
import { ViewsSettle } from './checkers/views-settle.ts';
import { WillOnce } from './checkers/will-once.ts';
import { SimCluster } from './cluster.ts';
import type { CoreFactory } from './core-port.ts';
import { Coverage, type CoverageCounts } from './coverage.ts';
import { type FaultName, HARMLESS_FAULTS, STANDING_FAULTS } from './faults.ts';
import { History, type Violation } from './history.ts';
import { Injector, type Victims } from './injector.ts';
import type { SimOptions } from './options.ts';
import { RetainedReader } from './retained-reader.ts';
import { Sides } from './sides.ts';
import { cutsOf } from './split.ts';
import { Transcript } from './transcript.ts';
import { Workload } from './workload.ts';

/** What a run gives back. */
export interface SimResult {
  readonly seed: string;
  /** Empty if every invariant held. */
  readonly violations: readonly Violation[];
  readonly virtualMs: number;
  readonly faults: number;
  /** Packets that mattered: publishes sent and messages delivered. */
  readonly operations: number;
  readonly messages: number;
  readonly acknowledged: number;
  readonly deliveries: number;
  readonly events: number;
  readonly traceHash: string;
  readonly coverage: CoverageCounts;
  /** Empty unless asked for. */
  readonly transcript: readonly string[];
}

/** Bounds of virtual time. */
const FORM_MAX_MS = 30_000;
const SETTLE_MAX_MS = 60_000;
/** What arrives twice arrives within this of what arrives once. */
const AFTERMATH_MS = 1500;
/** Between the repair and a split, and how long that holds. */
const BEFORE_SPLIT_MS = 3000;
const SPLIT_MS = 10_000;
/** In which the healed cluster is judged like a split one. */
const BACK_MS = 7500;
const STEP_MS = 100;

/**
 * One run: a cluster is born, clients take their subscriptions, faults strike, all is healed, and
 * then everything owed must be there.
 *
 * Deterministic: the same options and the same core give the same result, trace hash included.
 */
export class Simulation {
  readonly options: SimOptions;
  readonly scheduler = new Scheduler();
  readonly transcript: Transcript;
  readonly history: History;
  readonly cluster: SimCluster;
  readonly workload: Workload;
  readonly coverage = new Coverage();
  readonly #injector: Injector;
  readonly #checkers: readonly Checker[];
  readonly #retained = new RetainedReads();
  readonly #random: Prng;
  readonly #world: World;
  readonly #sides: Sides;
  #healedAtMs = Number.POSITIVE_INFINITY;
  #splitSinceMs = Number.POSITIVE_INFINITY;
  #faults = 0;
  /** Was not satisfied when it was asked last. */
  #awaited: Checker | undefined;

  constructor(o: { options: SimOptions; factory: CoreFactory; transcript?: boolean }) {
    this.options = o.options;
    this.#random = new Prng(o.options.seed);
    this.coverage.begin(o.options.faults, o.options.workload.behaviours);
    const nowMs = () => this.scheduler.nowMs;
    this.transcript = new Transcript({ nowMs, readable: o.transcript === true });
    this.#checkers = [
      new AcknowledgedDelivered(),
      new ExactlyOnce(),
      new OneConnection(),
      new EpochFence(),
      new PacketIdentifiers(),
      new ClearedBefore(),
      new Order(),
      new WillOnce(),
      this.#retained,
      new Liveness(() => [...this.workload.actors, ...this.workload.bursters]),
      new ReplicaHash(),
      new CommittedDurable(),
      new MessageExpiry({
        clocksDiffer: o.options.faults.some((f) => f === 'clockStep' || f === 'clockSkew'),
      }),
      new SubscriptionIdentifiers(),
      new Shared(),
      new NoElection(
        o.options.split === null && o.options.faults.every((f) => HARMLESS_FAULTS.has(f)),
      ),
      new CopiesKept(o.options.replicas),
      new Unconcerned(o.options.shards),
      new ViewsSettle(() => Math.min(o.options.replicas, this.cluster.names().length)),
    ];
    this.#sides = new Sides({
      names: () => this.cluster.names(),
      passes: (name) => this.cluster.process(name)?.paused === false,
      severed: (a, b) => this.cluster.network.severed(a, b),
    });
    this.history = new History({ nowMs, checkers: this.#checkers, sides: this.#sides });
    this.cluster = new SimCluster({
      scheduler: this.scheduler,
      random: this.#random.fork('cluster'),
      transcript: this.transcript,
      options: o.options,
      history: this.history,
      factory: o.factory,
      onPhase: (node, phase, fields) => this.#onPhase(node, phase, fields),
    });
    this.workload = new Workload({
      scheduler: this.scheduler,
      random: this.#random.fork('workload'),
      history: this.history,
      transcript: this.transcript,
      options: o.options.workload,
      names: Array.from({ length: o.options.nodes }, (_, i) => `n${i + 1}`),
      cluster: this.cluster,
    });
    this.#injector = new Injector({
      scheduler: this.scheduler,
      random: this.#random.fork('injector'),
      options: o.options,
      victims: this.#victims(),
    });
    const sim = this;
    this.#world = {
      get nowMs() {
        return sim.scheduler.nowMs;
      },
      get healedAtMs() {
        return sim.#healedAtMs;
      },
      get splitSinceMs() {
        return sim.splitSinceMs;
      },
      sideOf: (node) => this.#sides.sideOf(node),
      inspections: () => this.cluster.inspections(),
    };
  }

  /** Since when a split holds and nothing else is wrong; Infinity while there is none. */
  get splitSinceMs(): number {
    return this.#splitSinceMs;
  }

  run(): SimResult {
    try {
      if (this.#form() && this.#drill() && this.#split()) this.#settle();
    } catch (error) {
      this.history.fail('simulator', error instanceof Error ? (error.stack ?? '') : String(error));
    }
    const { messages } = this.history;
    return {
      seed: this.options.seed,
      violations: this.history.violations,
      virtualMs: this.scheduler.nowMs,
      faults: this.#faults,
      operations: messages.reduce((sum, m) => sum + m.sends, 0) + this.history.deliveries,
      messages: messages.length,
      acknowledged: messages.filter((m) => m.ackedAtMs !== undefined).length,
      deliveries: this.history.deliveries,
      events: this.transcript.events,
      traceHash: this.transcript.traceHash,
      coverage: this.coverage.counts,
      transcript: this.transcript.lines,
    };
  }

  /** Birth, joins, and the subscriptions on which everything else is judged. */
  #form(): boolean {
    const { nodes, chaosFromBirth } = this.options;
    if (!chaosFromBirth) this.cluster.network.faulty = false;
    else {
      this.history.disturb(Number.POSITIVE_INFINITY);
      this.#injector.start();
    }
    for (let i = 1; i <= nodes; i++) {
      this.scheduler.after(i === 1 ? 0 : this.#random.next() * 1000, () =>
        this.cluster.add(`n${i}`),
      );
    }
    if (chaosFromBirth)
      return this.#until(
        () => this.scheduler.nowMs > 3000,
        10_000,
        () => '',
      );
    return (
      this.#until(
        () => this.cluster.names().length === nodes && this.cluster.allServe,
        FORM_MAX_MS,
        () => `cluster not formed: ${this.cluster.notServing()}`,
      ) && this.#subscribe()
    );
  }

  #subscribe(): boolean {
    this.workload.start();
    return this.#until(
      () => this.workload.subscribed,
      FORM_MAX_MS,
      () => `not subscribed on a calm cluster: ${this.workload.notSubscribed()}`,
    );
  }

  #drill(): boolean {
    if (this.options.chaosFromBirth) this.workload.start();
    this.cluster.network.faulty = true;
    this.history.unrestAlways = this.options.faults.some(
      (fault) => STANDING_FAULTS.has(fault) && fault !== 'slowDisk' && fault !== 'clockSkew',
    );
    if (this.options.faults.length > 0) this.history.disturb(Number.POSITIVE_INFINITY);
    this.workload.enter('drill');
    if (!this.options.chaosFromBirth) this.#injector.start();
    const endMs = this.scheduler.nowMs + this.options.chaosMs;
    return this.#until(
      () => this.scheduler.nowMs >= endMs,
      this.options.chaosMs * 2,
      () => '',
    );
  }

  /** All is in order again, but for a cut: what can be served in spite of it is to be served. */
  #split(): boolean {
    const { split } = this.options;
    if (split === null) return true;
    this.#injector.stop();
    this.cluster.repair();
    const serves = () => this.cluster.allServe;
    if (!this.#until(serves, SETTLE_MAX_MS, () => this.cluster.notServing() ?? '')) return false;
    if (!this.#for(BEFORE_SPLIT_MS)) return false;
    const cuts = cutsOf(split, this.cluster.names(), new Prng(`${this.options.seed}/split`));
    const what = cuts.map(({ from, to }) => `${from}>${to}`).join(' ');
    this.transcript.note('sim', `SPLIT ${split} ${what}`);
    this.history.strike(this.scheduler.nowMs + SPLIT_MS);
    this.#splitSinceMs = this.scheduler.nowMs;
    this.cluster.network.cut(cuts);
    if (!this.#for(SPLIT_MS)) return false;
    this.transcript.note('sim', 'SPLIT healed');
    this.cluster.network.heal(cuts);
    // From now on all are on one side, and nobody is to wait for long any more.
    this.#splitSinceMs = this.scheduler.nowMs;
    const isBack = this.#for(BACK_MS);
    this.#splitSinceMs = Number.POSITIVE_INFINITY;
    return isBack;
  }

  /** So much time goes by. */
  #for(ms: number): boolean {
    const endMs = this.scheduler.nowMs + ms;
    return this.#until(
      () => this.scheduler.nowMs >= endMs,
      ms * 2,
      () => '',
    );
  }

  /** Heals, then demands that everything comes true; twice, the second time with fresh publishes. */
  #settle(): void {
    this.#injector.stop();
    this.cluster.repair();
    this.history.calm();
    this.#healedAtMs = this.scheduler.nowMs;
    this.transcript.note('sim', 'healed');
    this.workload.enter('settle');
    if (!this.#quiet()) return;
    this.workload.epilogue(3);
    if (!this.#quiet()) return;
    this.scheduler.runUntil(this.scheduler.nowMs + AFTERMATH_MS);
    if (!this.#readRetained() || !this.#quiet()) return;
    for (const checker of this.#checkers) checker.finish?.(this.#world);
  }

  #quiet(): boolean {
    return this.#until(
      () => !this.#waits(),
      SETTLE_MAX_MS,
      () => `still so ${SETTLE_MAX_MS} ms after healing: ${this.#pending()?.what}`,
      () => this.#pending()?.invariant,
    );
  }

  /** Whether something has not come true yet. What had not the last time is asked first: all others cost. */
  #waits(): boolean {
    if (this.cluster.notServing() !== undefined) return true;
    const isPending = (checker?: Checker) => checker?.pending?.(this.#world) !== undefined;
    if (isPending(this.#awaited)) return true;
    this.#awaited = this.#checkers.find(isPending);
    return this.#awaited !== undefined;
  }

  /** What has not come true yet, first by the invariant that says most. */
  #pending(): { invariant: string; what: string } | undefined {
    const waiting = this.cluster.notServing();
    if (waiting !== undefined) return { invariant: '10 liveness', what: waiting };
    for (const checker of this.#checkers) {
      const what = checker.pending?.(this.#world);
      if (what !== undefined) return { invariant: checker.invariant, what };
    }
    return undefined;
  }

  /** Reads every retained topic through every node. */
  #readRetained(): boolean {
    const topics = this.#retained.topics();
    if (topics.length === 0) return true;
    // One that is leaving refuses clients for as long as it takes.
    const readers = this.cluster
      .names()
      .filter((node) => this.cluster.process(node)?.leaving !== true)
      .map(
        (node) =>
          new RetainedReader(this.workload.clientEnv(`reader-${node}`), node, topics, (topic, id) =>
            this.#retained.read(node, topic, id),
          ),
      );
    return this.#until(
      // A node that an operator removes may leave while it is being read through.
      () => readers.every((r) => r.done || !this.cluster.names().includes(r.node)),
      FORM_MAX_MS,
      () => 'retained messages cannot be read on a calm cluster',
    );
  }

  /** Runs until `done`, checking as it goes; false if a violation or the bound came first. */
  #until(
    done: () => boolean,
    maxMs: number,
    why: () => string,
    invariant: () => string | undefined = () => undefined,
  ): boolean {
    const endMs = this.scheduler.nowMs + maxMs;
    for (;;) {
      if (this.history.violations.length > 0) return false;
      if (done()) return true;
      if (this.scheduler.nowMs >= endMs) {
        this.history.fail(invariant() ?? '10 liveness', why());
        return false;
      }
      const untilMs = this.scheduler.nowMs + STEP_MS;
      this.scheduler.runUntil(untilMs);
      this.#sides.look(this.scheduler.nowMs);
      for (const checker of this.#checkers) checker.onInterval?.(this.#world);
    }
  }

  #onPhase(node: string, phase: string, fields: Record<string, unknown> | undefined): void {
    this.coverage.phase(phase, this.scheduler.nowMs);
    for (const checker of this.#checkers) checker.onPhase?.(node, phase, fields);
    if (this.transcript.readable) {
      const text = fields === undefined ? '' : ` ${JSON.stringify(fields)}`;
      this.transcript.say(node, `· ${phase}${text}`);
    }
    this.#injector.onPhase(node, phase);
  }

  #struck(fault: FaultName, what: string, untilMs: number): void {
    this.#faults++;
    this.coverage.fault(fault, this.scheduler.nowMs);
    this.transcript.note('sim', `FAULT ${fault} ${what}`);
    if (untilMs > this.scheduler.nowMs) this.history.strike(untilMs);
  }

  #victims(): Victims {
    const { cluster, options: o } = this;
    return {
      names: () => cluster.names(),
      isAlive: (name) => cluster.process(name) !== undefined,
      isPaused: (name) => cluster.process(name)?.paused === true,
      // Under `memory` a kill takes what the kernel has; only memoryCut takes more.
      kill: (name, how) =>
        cluster.kill(name, { ...how, power: how.power && o.durability === 'disk' }),
      restart: (name) => cluster.start(name),
      pause: (name) => cluster.process(name)?.pause(),
      resume: (name) => {
        this.transcript.note(name, 'wakes');
        cluster.process(name)?.resume();
      },
      stepClock: (name, byMs) => cluster.stepClock(name, byMs),
      stallDisk: (name, untilMs) => {
        const folder = cluster.folder(name);
        if (folder) folder.disk.stalledUntilMs = untilMs;
      },
      damage: (fault, name) => cluster.damage.strike(fault, name),
      damaged: () => cluster.damage.victim,
      addNode: () => cluster.addNode(),
      removeNode: (name) => cluster.removeNode(name),
      network: cluster.network,
      establishedLinks: () => cluster.links.established(),
      resetLink: (a, b) => cluster.links.reset(a, b),
      stallLink: (a, b, untilMs) => cluster.links.stall(a, b, untilMs),
      breakClient: (how, random) => this.workload.breakSome(how, random),
      struck: (fault, what, untilMs) => this.#struck(fault, what, untilMs),
    };
  }
}

/** Runs one simulation. */
export function runSimulation(o: {
  options: SimOptions;
  factory: CoreFactory;
  transcript?: boolean;
}): SimResult {
  return new Simulation(o).run();
}
