import { Swim, type SwimConfig, type SwimEvent } from '@shoal/swim';
import { type Prng, type Scheduler, SwimRunner } from '@shoal/swim/sim';
import type { GivenSettings } from '../cluster-settings.ts';
import type { ClientHandler, MemberInfo, MemberMeta, Store } from '../ports.ts';
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
import { addressOf, decodeMeta, encodeMeta, nameOf } from './member.ts';
import type { SimNetwork } from './network.ts';
import type { ClientPipe, PipeHost } from './pipe.ts';
import type { Transcript } from './transcript.ts';

const TICK_MS = 20;
/** A write that takes longer is one of a disk that hangs: stalls of the simulator take 0.1 to 2 s. */
const DISK_HANGS_MS = 300;
/** A leaving node looks this often, and goes when it saw nothing this many times in a row. */
const DRAIN_LOOK_MS = 200;
const DRAIN_LOOKS = 5;
const FLUSH_DELAY_MAX_MS = 0.4;
/** Wall clock at virtual time 0. */
const WALL_START_MS = 1_767_225_600_000;

/** What a process is started with. */
export interface ProcessOptions {
  readonly name: string;
  readonly seeds: readonly string[];
  /** May found a cluster if its folder is empty. */
  readonly founder: boolean;
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
 * Whatever reaches it goes through {@link SimProcess.run}: one turn of its event loop. A paused
 * process holds its turns and runs them late; a dead one never.
 */
export class SimProcess implements LinkHost, PipeHost {
  readonly name: string;
  readonly options: ProcessOptions;
  alive = true;
  paused = false;
  /** The listener for clients is open. */
  listening = false;
  bootEpoch = 0;
  peers: ReadonlyMap<string, number> = new Map();
  core: CoreUnderTest | undefined;
  /** The core has loaded its shards. */
  booted = false;
  swim: Swim | undefined;
  #runner: SwimRunner | undefined;
  readonly pipes = new Set<ClientPipe>();
  readonly #env: ProcessEnv;
  readonly #store: Store;
  readonly #folder: SimFolder;
  readonly #startedMs: number;
  readonly #bornMs: number;
  #held: (() => void)[] = [];
  #dirty: ClientPipe[] = [];
  #flushAsked = false;
  #ticks = 0;
  /** Writes under way, oldest first. */
  readonly #writes = new Set<{ readonly atMs: number }>();
  #diskHangs = false;
  #meta: MemberMeta | undefined;
  /** Being removed; a restart ends it. */
  leaving = false;
  #clearLooks = 0;

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
    this.#say(`process starts${this.options.founder ? ', may found' : ''}`);
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

  /** kill -9. `silent`: the machine is gone too, so that nobody is told. */
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
    return this.swim?.clusterId ?? '';
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
    if (this.#meta === undefined || this.leaving) return;
    this.leaving = true;
    this.#meta = { ...this.#meta, leaving: true };
    const meta = encodeMeta(this.#meta);
    this.run(() => {
      this.#stepSwim({ type: 'set-meta', meta });
      this.#membersChanged();
    });
  }

  /** Members that this process holds to be dead. */
  get faulty(): readonly string[] {
    const members = this.swim?.members() ?? [];
    return members.filter(({ state }) => state === 'faulty').map(({ name }) => name);
  }

  /** An operator says here that a member held to be dead never comes back, which may be a mistake. */
  forceLeave(name: string): void {
    this.run(() => this.#stepSwim({ type: 'force-leave', name }));
  }

  // LinkHost.

  onLinkUp(peer: string, bootEpoch: number): void {
    this.core?.links.onLinkUp(peer, bootEpoch);
  }

  onLinkDown(peer: string): void {
    this.core?.links.onLinkDown(peer);
    // A reset is a hint worth a probe, never evidence.
    this.#stepSwim({ type: 'probe-now', name: peer });
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

  #nowMs(): number {
    return this.#bornMs + (this.#env.scheduler.nowMs - this.#startedMs) * this.options.clock.rate;
  }

  #wallMs(): number {
    return Math.floor(WALL_START_MS + this.#env.scheduler.nowMs + this.options.clock.skewMs);
  }

  #boot(identity: CoreIdentity): void {
    this.bootEpoch = identity.bootEpoch;
    this.#say(
      `identity ${identity.storeId} boot ${identity.bootEpoch} cluster '${identity.clusterId}'`,
    );
    const meta: MemberMeta = {
      storeId: identity.storeId,
      zone: this.options.zone,
      host: this.name,
      weight: 1,
      mqtt: `${this.name}:1883`,
      admin: `${this.name}:8080`,
      leaving: false,
    };
    this.#meta = meta;
    const durability = identity.settings?.durability ?? this.options.durability;
    const found = this.#folder.identified(identity, durability, () => this.alive);
    if (found.damage !== null) this.#say(`its folder is damaged: ${found.damage}`);
    this.core = this.#env.factory.create(this.#nodeEnv(found), {
      identity,
      found: this.options.founder && identity.clusterId === '',
      shardCount: this.options.shardCount,
      replicas: this.options.replicas,
      durability: this.options.durability,
      given: this.options.given,
      damage: found.damage,
      lastRun: found.lastRun,
      replication: this.options.replication,
      meta,
      clusterAddress: addressOf(this.name),
    });
    const core = this.core;
    core.boot(() => {
      this.booted = true;
      this.swim = new Swim({
        config: this.options.swim,
        name: this.name,
        bootEpoch: identity.bootEpoch,
        clusterId: core.clusterId ?? identity.clusterId,
        address: addressOf(this.name),
        meta: encodeMeta(meta),
        random: () => this.#env.random.next(),
      });
      this.#runner = this.#runnerOf(this.swim);
      this.#say('booted');
      this.#env.links.attach(this);
      this.#stepSwim({ type: 'start', seeds: this.options.seeds });
      this.#membersChanged();
      this.#tickLater();
    });
  }

  readonly #write: Store['write'] = (changes, sync, done) => {
    const write = { atMs: this.#nowMs() };
    this.#writes.add(write);
    this.#store.write(changes, sync, () => {
      this.#writes.delete(write);
      done();
    });
  };

  /** A node whose disk hangs has no links, as in `main.ts`: the others go on without its copies. */
  #watchDisk(): void {
    const [oldest] = this.#writes;
    const hangs = oldest !== undefined && this.#nowMs() - oldest.atMs > DISK_HANGS_MS;
    if (hangs === this.#diskHangs) return;
    this.#diskHangs = hangs;
    this.#say(hangs ? 'its disk hangs' : 'its disk writes again');
    this.#stepSwim({ type: 'set-unwell', unwell: hangs });
    this.#membersChanged();
  }

  #nodeEnv(found: Found): SimNodeEnv {
    return {
      ...found.env,
      nowMs: () => this.#nowMs(),
      wallMs: () => this.#wallMs(),
      random: () => this.#env.random.next(),
      store: { ...this.#store, write: this.#write },
      sendFrame: (peer, frame) => this.#env.links.send(this, peer, frame),
      scheduleFlush: () => this.#flushSoon(),
      log: (level, message, fields) => {
        if (!this.#env.transcript.readable) return;
        this.#say(
          `${level}: ${message}${fields === undefined ? '' : ` ${JSON.stringify(fields)}`}`,
        );
      },
      fatal: (code, message) => this.#env.onFatal(this, code, message),
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
    this.#env.scheduler.after(TICK_MS, () =>
      this.run(() => {
        this.#tick();
        this.#tickLater();
      }),
    );
  }

  #tick(): void {
    this.core?.tick();
    this.#watchDisk();
    this.#ticks++;
    if (!this.listening && this.core?.ready === true) {
      this.listening = true;
      this.#say('serves clients');
    }
    if (this.leaving && this.#ticks % (DRAIN_LOOK_MS / TICK_MS) === 0) this.#lookDrained();
    if (this.#ticks % (1000 / TICK_MS) !== 0) return;
    const nowMs = this.#nowMs();
    for (const pipe of this.pipes) {
      if (pipe.serverOpen) pipe.second(nowMs);
      else this.pipes.delete(pipe);
    }
  }

  #lookDrained(): void {
    this.#clearLooks = this.core?.drained === true ? this.#clearLooks + 1 : 0;
    if (this.#clearLooks === DRAIN_LOOKS) this.#stepSwim({ type: 'leave' });
  }

  #stepSwim(event: SwimEvent): void {
    this.#runner?.step(event);
  }

  /** Membership in turns of this process, over the simulated network. */
  #runnerOf(swim: Swim): SwimRunner {
    const { scheduler, transcript } = this.#env;
    return new SwimRunner({
      swim,
      transport: {
        send: (to, bytes) => this.#sendDatagram(to, bytes),
        request: (to, bytes, timeoutMs, done) => this.#request(to, bytes, timeoutMs, done),
      },
      streamTimeoutMs: this.options.swim.streamTimeoutMs,
      host: {
        nowMs: () => this.#nowMs(),
        take: (event) => this.#stepSwim(event),
        setTimer: (token, afterMs) =>
          scheduler.after(afterMs, () => this.run(() => this.#stepSwim({ type: 'timer', token }))),
        onMembers: () => this.#membersChanged(),
        onView: () => this.#membersChanged(),
        onClusterId: (clusterId) => {
          transcript.note(this.name, `learned cluster ${clusterId}`);
          this.core?.joining.onClusterId(clusterId);
        },
        onBootEpoch: (bootEpoch) => this.core?.lineage?.outlive(bootEpoch, () => {}),
        onLeft: () => this.#env.onLeft(this),
      },
    });
  }

  #sendDatagram(to: string, bytes: Uint8Array): void {
    const from = addressOf(this.name);
    this.#env.network.datagram(this.name, nameOf(to), bytes, (arrived) => {
      const process = this.#env.processAt(to);
      process?.run(() => process.#stepSwim({ type: 'packet', from, bytes: arrived }));
    });
  }

  #request(
    to: string,
    bytes: Uint8Array,
    timeoutMs: number,
    done: (answer: Uint8Array | null) => void,
  ): void {
    const from = addressOf(this.name);
    this.#env.network.request(
      this.name,
      nameOf(to),
      timeoutMs,
      (respond) => {
        const process = this.#env.processAt(to);
        if (process?.swim === undefined) return false;
        const reply = (answer: Uint8Array | null): void => {
          if (answer !== null) respond(answer);
        };
        process.run(() => process.#runner?.request(from, bytes, reply));
        return true;
      },
      (answer) => this.run(() => done(answer)),
    );
  }

  #membersChanged(): void {
    if (this.swim === undefined || !this.booted) return;
    const members: MemberInfo[] = [];
    const peers = new Map<string, number>();
    const view = new Set(this.swim.view().names);
    for (const member of this.swim.members()) {
      const meta = decodeMeta(member.meta);
      if (meta === undefined) continue;
      const { name, bootEpoch, state, unwell, address } = member;
      const inView = view.has(name);
      members.push({ name, bootEpoch, state, inView, unwell, address, meta });
      if (name !== this.name && state !== 'left') peers.set(name, bootEpoch);
    }
    if (this.#env.transcript.readable) {
      this.#say(`members ${members.map((m) => `${m.name}:${m.state}`).join(' ')}`);
    }
    this.peers = this.#diskHangs ? new Map() : peers;
    this.core?.links.onMembers(members);
    this.#env.links.peersChanged(this);
  }

  #say(what: string): void {
    this.#env.transcript.say(this.name, what);
  }
}
