import type { SwimConfig } from '@shoal/swim';
import type { Prng, Scheduler } from '@shoal/swim/sim';
import type { GivenSettings } from '../cluster-settings.ts';
import { BrokerError, type BrokerErrorCode } from '../errors.ts';
import type { ClientHandler, LinkPeer, MemberMeta, Store } from '../ports.ts';
import { bootOrder, foundingIdentity } from '../process/founding.ts';
import { encodeMeta } from '../process/member-meta.ts';
import { ProcessCore, TICK_MS } from '../process/process-core.ts';
import type { ProcessHost } from '../process/process-port.ts';
import type {
  CoreFactory,
  CoreIdentity,
  CoreInspection,
  CoreUnderTest,
  ReplicationOptions,
  SimNodeEnv,
} from './core-port.ts';
import type { Found, SimFolder } from './folder.ts';
import type { LinkHost, SimLinks } from './links.ts';
import { addressOf } from './member.ts';
import { type MembershipHost, SimMembership } from './membership.ts';
import type { SimNetwork } from './network.ts';
import type { ClientPipe, PipeHost } from './pipe.ts';
import type { Transcript } from './transcript.ts';

/** `swim.unwellAfterMs` of simulated nodes; below the default, since stalls of the simulator take 0.1 to 2 s. */
const UNWELL_AFTER_MS = 300;
/** `timings.stopTimeoutMs` of simulated nodes. */
const STOP_TIMEOUT_MS = 10_000;
const FLUSH_DELAY_MAX_MS = 0.4;
/** Wall clock at virtual time 0. */
const WALL_START_MS = 1_767_225_600_000;

/** What a process is started with. */
export interface ProcessOptions {
  readonly name: string;
  /** Addresses of members; a process that is told of none founds a cluster if its folder is empty. */
  readonly seeds: readonly string[];
  readonly shardCount: number;
  readonly replicas: number;
  readonly durability: 'disk' | 'memory';
  readonly given: GivenSettings;
  readonly replication: ReplicationOptions;
  readonly zone: string;
  readonly swim: SwimConfig;
  /** Added to the wall clock, and how fast the monotonic clock runs. */
  readonly clock: { skewMs: number; rate: number };
}

/** What the process needs of the world. */
export interface ProcessEnv {
  readonly scheduler: Scheduler;
  readonly random: Prng;
  readonly network: SimNetwork;
  readonly links: SimLinks;
  readonly transcript: Transcript;
  readonly factory: CoreFactory;
  /** The process that listens at a cluster address now. */
  processAt(address: string): SimProcess | undefined;
  /** The process has left membership for good. */
  onLeft(process: SimProcess): void;
  /** Every turn of every process; throws when a run takes too many. */
  onTurn(): void;
  onPhase(node: string, phase: string, fields: Record<string, unknown> | undefined): void;
  /** The process must end: an operating error it reported, or an exception. */
  onFatal(process: SimProcess, code: string, message: string): void;
}

/**
 * One life of a node process: the composition that `main.ts` makes of real parts, made of simulated
 * ones around the same cores.
 *
 * Everything that reaches it goes through {@link SimProcess.run}: one turn of its event loop. A paused
 * process holds its turns and runs them late; a dead one never.
 */
export class SimProcess implements LinkHost, MembershipHost, PipeHost {
  readonly name: string;
  readonly options: ProcessOptions;
  alive = true;
  paused = false;
  /** The listener for clients is open. */
  listening = false;
  bootEpoch = 0;
  peers: ReadonlyMap<string, number> = new Map();
  core: CoreUnderTest | undefined;
  /** What it does with the core and with membership: the same as a real process. */
  policy: ProcessCore | undefined;
  /** The core has loaded its shards. */
  booted = false;
  membership: SimMembership | undefined;
  readonly pipes = new Set<ClientPipe>();
  readonly #env: ProcessEnv;
  readonly #store: Store;
  readonly #folder: SimFolder;
  readonly #startedMs: number;
  readonly #bornMs: number;
  #held: (() => void)[] = [];
  #dirty: ClientPipe[] = [];
  #flushAsked = false;
  #tickTurn = 0;
  #tickPauseMs = TICK_MS;
  #secondMs = 0;
  /** Writes under way, oldest first. */
  readonly #writes = new Set<{ readonly atMs: number }>();

  constructor(env: ProcessEnv, options: ProcessOptions, folder: SimFolder) {
    this.#env = env;
    this.options = options;
    this.name = options.name;
    this.#startedMs = env.scheduler.nowMs;
    // A monotonic clock begins anywhere.
    this.#bornMs = 1000 + env.random.int(0, 1_000_000);
    this.#folder = folder;
    this.#store = folder.disk.open((fn) => this.run(fn));
  }

  /** Opens the store, loads the identity, then the cores: the order of `main.ts`. */
  start(): void {
    this.#say(`process starts${this.options.seeds.length === 0 ? ', may found' : ''}`);
    this.run(() =>
      this.#env.factory.loadIdentity(
        this.#store,
        { name: this.name, wallMs: this.#wallMs(), random: () => this.#env.random.next() },
        (result) => {
          if ('error' in result) this.#env.onFatal(this, result.error, result.message);
          else this.#boot(result);
        },
      ),
    );
  }

  /** One turn of the event loop. */
  run(fn: () => void): void {
    if (!this.alive) return;
    this.#env.onTurn();
    if (this.paused) {
      this.#held.push(fn);
      return;
    }
    try {
      fn();
    } catch (error) {
      this.#env.onFatal(
        this,
        'EXCEPTION',
        error instanceof Error ? (error.stack ?? '') : String(error),
      );
      return;
    }
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = [];
    for (const pipe of dirty) pipe.endOfTurn();
  }

  /** Stops the event loop; the kernel goes on receiving for it. */
  pause(): void {
    this.paused = true;
  }

  /** Wakes: timers are late, everything received is handled at once. */
  resume(): void {
    if (!this.paused || !this.alive) return;
    this.paused = false;
    const held = this.#held;
    this.#held = [];
    for (const fn of held) this.run(fn);
  }

  /** kill -9. `silent`: the machine is gone too, so that no peer is told. */
  kill(silent: boolean): void {
    if (!this.alive) return;
    this.alive = false;
    this.listening = false;
    this.#held = [];
    this.#env.links.detach(this, silent);
    for (const pipe of this.pipes) pipe.processDied(silent);
    this.pipes.clear();
  }

  get clusterId(): string {
    return this.membership?.clusterId ?? '';
  }

  /** Undefined while paused or not yet booted. */
  inspect(): CoreInspection | undefined {
    return this.booted && !this.paused && this.alive ? this.core?.inspect() : undefined;
  }

  /** Also of a process that is paused or has ended. */
  lastInspection(): CoreInspection | undefined {
    return this.booted ? this.core?.inspect() : undefined;
  }

  /** An operator removes this node: it says so, drains, and leaves when no shard needs it. */
  leave(): void {
    this.run(() => this.policy?.leave());
  }

  /** Being removed; a restart ends it. */
  get leaving(): boolean {
    return this.policy?.meta.leaving ?? false;
  }

  /** Members that this process holds to be dead. */
  get faulty(): readonly string[] {
    const members = this.membership?.members() ?? [];
    return members.filter(({ state }) => state === 'faulty').map(({ name }) => name);
  }

  /** An operator says here that a member held to be dead never comes back, which may be a mistake. */
  forceLeave(name: string): void {
    this.run(() => this.membership?.forceLeave(name));
  }

  // LinkHost.

  onLinkUp(peer: string, bootEpoch: number): void {
    this.core?.links.onLinkUp(peer, bootEpoch);
  }

  onLinkDown(peer: string): void {
    this.core?.links.onLinkDown(peer);
  }

  /** A reset is a hint worth a probe, never evidence. */
  onReset(peer: string): void {
    this.membership?.probeNow(peer);
  }

  onNoListener(peer: string, bootEpoch: number): void {
    this.core?.links.onNoListener(peer, bootEpoch);
  }

  onFrame(peer: string, frame: Uint8Array): void {
    this.core?.links.onFrame(peer, frame);
  }

  // PipeHost.

  markDirty(pipe: ClientPipe): void {
    if (!this.#dirty.includes(pipe)) this.#dirty.push(pipe);
  }

  accept(pipe: ClientPipe): ClientHandler {
    this.pipes.add(pipe);
    const core = this.core;
    if (core === undefined) throw new Error('accept before boot');
    return core.accept(pipe);
  }

  nowMs(): number {
    return this.#bornMs + (this.#env.scheduler.nowMs - this.#startedMs) * this.options.clock.rate;
  }

  #wallMs(): number {
    return Math.floor(WALL_START_MS + this.#env.scheduler.nowMs + this.options.clock.skewMs);
  }

  #boot(held: CoreIdentity): void {
    const { seeds } = this.options;
    const { identity, founds } = foundingIdentity(held, seeds);
    const { storeId, bootEpoch, clusterId } = identity;
    this.bootEpoch = bootEpoch;
    this.#say(`identity ${storeId} boot ${bootEpoch} cluster '${clusterId}'`);
    const durability = identity.settings?.durability ?? this.options.durability;
    const found = this.#folder.identified(identity, durability, () => this.alive);
    if (found.damage !== null) this.#say(`its folder is damaged: ${found.damage}`);
    const meta: MemberMeta = {
      storeId,
      zone: this.options.zone,
      host: this.name,
      weight: 1,
      mqtt: '',
      admin: `${this.name}:8080`,
      leaving: false,
    };
    const core = this.#createCore(found, identity, founds, meta);
    this.core = core;
    const policy = {
      name: this.name,
      meta,
      told: seeds,
      unwellAfterMs: UNWELL_AFTER_MS,
      stopTimeoutMs: STOP_TIMEOUT_MS,
    };
    this.policy = new ProcessCore(policy, core, this.#processHost());
    const steps = {
      load: (next: () => void) => {
        core.boot(() => {
          this.booted = true;
          this.#say('booted');
          next();
        });
        core.flush();
      },
      join: (next: () => void) => {
        this.#join(core.clusterId ?? clusterId);
        next();
      },
    };
    const [first, second] = bootOrder(founds);
    steps[first](() => steps[second](() => this.#tickLater()));
  }

  #createCore(
    found: Found,
    identity: CoreIdentity,
    founds: boolean,
    meta: MemberMeta,
  ): CoreUnderTest {
    const { shardCount, replicas, durability, given, replication } = this.options;
    return this.#env.factory.create(this.#nodeEnv(found), {
      identity,
      found: founds,
      shardCount,
      replicas,
      durability,
      given,
      damage: found.damage,
      lastRun: found.lastRun,
      replication,
      meta,
      clusterAddress: addressOf(this.name),
    });
  }

  /** Takes part in membership and in links. */
  #join(clusterId: string): void {
    const meta = encodeMeta(this.policy!.meta);
    const membership = new SimMembership(this.#env, this, {
      config: this.options.swim,
      clusterId,
      meta,
    });
    this.membership = membership;
    this.#env.links.attach(this);
    membership.start(this.options.seeds);
    this.policy?.onMembers();
  }

  #processHost(): ProcessHost {
    return {
      nowMs: () => this.nowMs(),
      log: this.#log,
      membership: () => this.membership ?? null,
      setPeers: (peers) => this.#setPeers(peers),
      diskUnderWayMs: () => {
        const [oldest] = this.#writes;
        return oldest === undefined ? 0 : this.nowMs() - oldest.atMs;
      },
      drained: () => this.core?.drained === true,
      serve: () => {
        this.listening = true;
        this.#say('serves clients');
        return `${this.name}:1883`;
      },
      close: () => this.#env.onLeft(this),
      fatal: (error) => this.#env.onFatal(this, error.code, error.message),
    };
  }

  #setPeers(peers: readonly LinkPeer[]): void {
    this.peers = new Map(peers.map(({ name, bootEpoch }) => [name, bootEpoch]));
    this.#env.links.peersChanged(this);
  }

  readonly #log: SimNodeEnv['log'] = (level, message, fields) => {
    if (!this.#env.transcript.readable) return;
    this.#say(`${level}: ${message}${fields === undefined ? '' : ` ${JSON.stringify(fields)}`}`);
  };

  readonly #write: Store['write'] = (changes, sync, done) => {
    const write = { atMs: this.nowMs() };
    this.#writes.add(write);
    this.#store.write(changes, sync, () => {
      this.#writes.delete(write);
      done();
    });
  };

  #nodeEnv(found: Found): SimNodeEnv {
    return {
      ...found.env,
      nowMs: () => this.nowMs(),
      wallMs: () => this.#wallMs(),
      random: () => this.#env.random.next(),
      store: { ...this.#store, write: this.#write },
      sendFrame: (peer, frame) => this.#env.links.send(this, peer, frame),
      scheduleFlush: () => this.#flushSoon(),
      hasten: () => this.#hasten(),
      resetLink: (peer) => this.#env.links.reset(this.name, peer, this),
      log: this.#log,
      fatal: (code, message) =>
        this.policy!.fatal(new BrokerError(code as BrokerErrorCode, message)),
      trace: (phase, fields) => {
        if (this.alive) this.#env.onPhase(this.name, phase, fields);
      },
    };
  }

  #flushSoon(): void {
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#env.scheduler.after(this.#env.random.next() * FLUSH_DELAY_MAX_MS, () =>
      this.run(() => {
        this.#flushAsked = false;
        this.core?.flush();
      }),
    );
  }

  #tickLater(): void {
    const turn = ++this.#tickTurn;
    this.#tickPauseMs = this.policy?.pauseMs ?? TICK_MS;
    this.#env.scheduler.after(this.#tickPauseMs, () => {
      if (turn !== this.#tickTurn) return;
      this.run(() => {
        this.#tick();
        this.#tickLater();
      });
    });
  }

  /** As `edge/ticker.ts`. */
  #hasten(): void {
    if (this.policy && this.policy.pauseMs < this.#tickPauseMs) this.#tickLater();
  }

  #tick(): void {
    this.policy?.tick();
    const nowMs = this.nowMs();
    if (nowMs < this.#secondMs) return;
    this.#secondMs = nowMs + 1000;
    for (const pipe of this.pipes) {
      if (pipe.serverOpen) pipe.second(nowMs);
      else this.pipes.delete(pipe);
    }
  }

  #say(what: string): void {
    this.#env.transcript.say(this.name, what);
  }
}
