import { formatAddress, isWildcard, parseAddress } from '../address.ts';
import type { SwimConfig } from '../config.ts';
import type { HostOf, StableView } from '../core/cut-detector.ts';
import type { SwimEvent } from '../core/event.ts';
import { isPresent } from '../core/member-list.ts';
import type { SwimMember } from '../core/message.ts';
import { Swim } from '../core/swim.ts';
import { deferred } from '../deferred.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { Hello } from '../discovery/hello.ts';
import { parseDiscovery } from '../discovery/parse.ts';
import { DiscoveryRounds } from '../discovery/rounds.ts';
import { SWIM_ERRORS, SwimError, type SwimErrorCode } from '../errors.ts';
import { type RunnerHost, SwimRunner } from '../runner.ts';
import { Keyring } from '../security/keyring.ts';
import { SEAL_BYTES } from '../security/sealer.ts';
import { type CompleteOptions, completeOptions, type SwimAgentOptions } from './agent-options.ts';
import { socketTransport } from './bind.ts';
import { Callbacks, surface } from './callbacks.ts';
import { DrainingTimers } from './draining-timers.ts';
import type { SwimAgentCounters, SwimHandle } from './handle.ts';
import { KeyringControl } from './keyring-control.ts';
import { checkLoopback } from './loopback.ts';
import { MemberEvents } from './member-events.ts';
import { SecureTransport } from './secure-transport.ts';
import { StateFile } from './state-file.ts';
import { systemClock, systemRandom } from './system.ts';

const RISE_AGAIN_MS = 1_000;
/** Salts of one member: of its datagrams, requests and responses, before and after a rotation. */
const SENDERS_PER_MEMBER = 6;

/**
 * Membership over real sockets: performs what the core wants, and feeds it what happens.
 *
 * ```ts
 * const agent = await SwimAgent.start({
 *   config: swimConfig(), name: 'a', bootEpoch: Date.now(), clusterId: 'demo',
 *   listen: '127.0.0.1:7946', meta: new Uint8Array(),
 *   onMembers: (members) => console.log(members),
 * });
 * await agent.join('127.0.0.1:7947');
 * await agent.leave();
 * await agent.stop();
 * ```
 */
export class SwimAgent implements SwimHandle {
  /** host:port told to the peers. */
  readonly address: string;
  readonly keyring: KeyringControl;
  readonly #options: CompleteOptions<SwimAgentOptions>;
  readonly #transport: SecureTransport;
  readonly #swim: Swim;
  readonly #runner: SwimRunner;
  readonly #hello: Hello;
  #rounds: DiscoveryRounds | undefined;
  readonly #timers: DrainingTimers;
  readonly #callbacks = new Callbacks();
  readonly #memberEvents: MemberEvents;
  readonly #departed = deferred<void>();
  /** Datagrams and answers taken in. */
  #received = 0;
  /** Answers to requests of ours that came while suspended; at most as many as requests. */
  #heldAnswers: SwimEvent[] = [];
  #suspended = false;
  /** The next try to keep a boot epoch. */
  #rising: NodeJS.Timeout | undefined;
  #stopped = false;

  private constructor(
    options: CompleteOptions<SwimAgentOptions>,
    bootEpoch: number,
    keyring: Keyring | undefined,
    transport: SecureTransport,
  ) {
    this.#options = options;
    this.#memberEvents = new MemberEvents(options, (call) => this.#tell(call));
    this.#transport = transport;
    const address = advertised(options, transport.address);
    this.address = address;
    transport.setAddress(address);
    const { name, clusterId, meta } = options;
    const hostOf = options.hostOf && guarded(options.hostOf);
    const config = keyring === undefined ? options.config : withRoomForSeals(options.config);
    const random = systemRandom;
    this.#swim = new Swim({ config, name, bootEpoch, clusterId, address, meta, random, hostOf });
    this.#runner = new SwimRunner({
      swim: this.#swim,
      transport: {
        send: (to, bytes, isOwn) => {
          if (!this.#suspended) transport.send(to, bytes, isOwn);
        },
        request: (...request) => transport.request(...request),
      },
      streamTimeoutMs: config.streamTimeoutMs,
      host: this.#runnerHost(),
    });
    this.keyring = new KeyringControl({
      name,
      keyring,
      peers: () => this.#presentPeers(),
      request: (to, bytes, done) =>
        transport.requestSealed(to, bytes, options.config.streamTimeoutMs, done),
      store: (keys) => options.onKeyring?.(keys),
      apply: (next) => transport.setKeyring(next),
    });
    this.#timers = new DrainingTimers({
      stallThresholdMs: config.stallThresholdMs,
      received: () => this.#received,
      onTimer: (token) => this.#dispatch({ type: 'timer', token }),
      onStall: () => this.#dispatch({ type: 'stalled' }),
    });
    this.#hello = new Hello({
      address,
      clusterId: () => this.clusterId,
      nowMs: systemClock,
      answers: () => !this.#suspended,
    });
  }

  /**
   * Binds the sockets and begins.
   *
   * Resolves once bound; joining through the seeds goes on after it, for as long as it takes.
   *
   * @throws SwimError SWIM_ERR_ADDRESS_IN_USE, SWIM_ERR_ADDRESS_INVALID, SWIM_ERR_CONFIG,
   * SWIM_ERR_META_TOO_LARGE, SWIM_ERR_KEY_REQUIRED, SWIM_ERR_KEY_INVALID, SWIM_ERR_KEYRING_FULL,
   * SWIM_ERR_DISCOVERY; nothing stays bound
   */
  static async start(given: SwimAgentOptions): Promise<SwimAgent> {
    const options = completeOptions(given);
    const keyring = options.keyring === undefined ? undefined : Keyring.of(options.keyring);
    if (options.transport === undefined) checkLoopback(options);
    for (const seed of options.seeds ?? []) parseAddress(seed);
    // Between binding and the first event nothing is lost: streams and datagrams that come
    // meanwhile find no agent, which is what they would have found a moment earlier.
    let agent: SwimAgent | undefined;
    const { listen, clusterId, config, onForeignStream, seeds = [] } = options;
    const discoveries = (options.discovery ?? []).map(parseDiscovery);
    discoveries.push(...(options.discoveries ?? []));
    const foreign = onForeignStream === undefined ? {} : { onForeign: onForeignStream };
    const open = options.transport ?? socketTransport(foreign);
    const bootEpoch = await bootEpochOf(options);
    const secure = {
      keyring,
      encryption: options.encryption ?? 'required',
      clusterId,
      sendersMax: config.membersMax * SENDERS_PER_MEMBER,
      origin: `${options.name} ${bootEpoch}`,
      onRefused: (code: SwimErrorCode, from: string, detail: string) =>
        surface(() => notify(options, code, from, detail)),
      onKeyring: async (bytes: Uint8Array) => {
        if (agent === undefined || agent.clusterId === '' || agent.#suspended)
          throw new SwimError('SWIM_ERR_STOPPED');
        return await agent.keyring.answer(bytes);
      },
    };
    const transport = await SecureTransport.open(open, secure, {
      listen,
      streamBytesMax: config.streamBytesMax,
      streamTimeoutMs: config.streamTimeoutMs,
      onPacket: (from, bytes) => {
        if (agent !== undefined) agent.#onPacket(from, bytes);
      },
      onRequest: (from, bytes, reply) => {
        if (agent === undefined) reply(null);
        else agent.#onRequest(from, bytes, reply);
      },
    });
    try {
      agent = new SwimAgent(options, bootEpoch, keyring, transport);
    } catch (error) {
      await transport.close();
      throw error;
    }
    agent.#dispatch({ type: 'start', seeds });
    if (discoveries.length > 0) agent.#discover(discoveries, seeds);
    return agent;
  }

  get clusterId(): string {
    return this.#swim.clusterId;
  }

  get counters(): Readonly<SwimAgentCounters> {
    return { ...this.#swim.counters, ...this.#transport.counters };
  }

  get localHealth(): number {
    return this.#swim.localHealth;
  }

  members(): readonly SwimMember[] {
    return this.#swim.members();
  }

  view(): StableView {
    return this.#swim.view();
  }

  async join(address: string): Promise<void> {
    parseAddress(address);
    if (this.#stopped) throw new SwimError('SWIM_ERR_STOPPED');
    const joined = deferred<void>();
    this.#runner.join(address, (code) => {
      if (code === undefined) joined.resolve();
      else joined.reject(new SwimError(code));
    });
    await joined.promise;
  }

  setMeta(meta: Uint8Array): void {
    this.#dispatch({ type: 'set-meta', meta });
  }

  setUnwell(unwell: boolean): void {
    this.#dispatch({ type: 'set-unwell', unwell });
  }

  async broadcast(name: string, payload: Uint8Array = new Uint8Array()): Promise<void> {
    if (this.#stopped) throw new SwimError('SWIM_ERR_STOPPED');
    this.#dispatch({ type: 'broadcast', name, payload });
  }

  probeNow(name: string): void {
    this.#dispatch({ type: 'probe-now', name });
  }

  reportEnd(name: string, bootEpoch?: number): void {
    this.#dispatch({ type: 'ended', name, bootEpoch });
  }

  async forceLeave(name: string): Promise<boolean> {
    this.#dispatch({ type: 'force-leave', name });
    return this.members().some((member) => member.name === name && member.state === 'left');
  }

  async leave(): Promise<void> {
    if (this.#stopped) return;
    this.#dispatch({ type: 'leave' });
    await this.#departed.promise;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#rising);
    this.#timers.close();
    this.#runner.end();
    this.#departed.resolve();
    await Promise.all([this.#rounds?.stop(), this.#transport.close()]);
  }

  #discover(discoveries: readonly Discovery[], seeds: readonly string[]): void {
    const { config, log } = this.#options;
    const { address } = this;
    const transport = this.#transport;
    const hello = this.#hello;
    const presentCount = (): number => this.members().filter(isPresent).length;
    this.#rounds = new DiscoveryRounds({
      discoveries,
      host: { address, transport, hello, wrap: transport.helloWrap, presentCount },
      seeds,
      intervalMs: config.discoveryIntervalMs,
      lonelyIntervalMs: config.reconnectIntervalMs,
      onSeeds: (found) => this.#dispatch({ type: 'seeds', seeds: found }),
      log,
    });
  }

  /**
   * From now on this member neither hears nor says anything, as if its process had been halted: the
   * others find it faulty. Until {@link resume}.
   */
  suspend(): void {
    if (this.#stopped) return;
    this.#suspended = true;
    this.#timers.hold();
  }

  /** Ends {@link suspend}: takes it as a stall, accuses no member for it, and refutes. */
  resume(): void {
    if (!this.#suspended || this.#stopped) return;
    this.#suspended = false;
    this.#timers.resume();
    const answers = this.#heldAnswers;
    this.#heldAnswers = [];
    for (const answer of answers) this.#take(answer);
  }

  #onPacket(from: string, bytes: Uint8Array): void {
    if (this.#suspended || this.#stopped) return;
    this.#received++;
    if (!Hello.is(bytes)) {
      this.#dispatch({ type: 'packet', from, bytes });
      return;
    }
    const answer = this.#hello.take(bytes);
    if (answer !== undefined) this.#transport.send(from, answer);
  }

  /** Answers to requests of ours count as heard, and wait while this member is suspended. */
  #take(event: SwimEvent): void {
    if (event.type === 'stream-response') {
      if (this.#suspended) {
        this.#heldAnswers.push(event);
        return;
      }
      this.#received++;
    }
    this.#dispatch(event);
  }

  #onRequest(from: string, bytes: Uint8Array, reply: (bytes: Uint8Array | null) => void): void {
    if (this.#stopped || this.#suspended) {
      reply(null);
      return;
    }
    if (Hello.is(bytes)) {
      reply(this.#hello.take(bytes) ?? null);
      return;
    }
    this.#runner.request(from, bytes, reply);
  }

  /** Performs all effects of a step before it calls the owner, whose callbacks may do anything. */
  #dispatch(event: SwimEvent): void {
    if (this.#stopped) return;
    this.#runner.step(event);
    this.#callbacks.run();
  }

  /** Calls the owner once the effects of this step are done. */
  #tell(call: () => void): void {
    this.#callbacks.add(() => {
      if (!this.#stopped) call();
    });
  }

  #runnerHost(): RunnerHost {
    const options = this.#options;
    return {
      nowMs: systemClock,
      take: (event) => this.#take(event),
      setTimer: (token, afterMs) => this.#timers.set(token, afterMs),
      onNoAnswer: (to, why) => {
        if (why === 'closed') this.#onSilence(to);
      },
      onMembers: () => {
        this.#tell(() => options.onMembers?.(this.#swim.members()));
        this.#memberEvents.take(this.#swim.members());
      },
      onView: (change) => this.#tell(() => options.onView?.(this.#swim.view(), change)),
      onRefused: ({ name, bootEpoch, isFirstHand }) =>
        this.#tell(() => options.onRefused?.({ name, bootEpoch, isFirstHand })),
      onEvent: (event) => this.#tell(() => options.onEvent?.(event)),
      onClusterId: (clusterId) => {
        this.#transport.setClusterId(clusterId);
        this.#tell(() => options.onClusterId?.(clusterId));
      },
      onBootEpoch: (bootEpoch) => this.#tryRise(bootEpoch),
      onLeft: () => this.#departed.resolve(),
      onNotice: (code, address) => this.#tell(() => notify(options, code, address, '')),
    };
  }

  /** This member stays silent until the epoch is kept, and tries again: disks recover. */
  #tryRise(bootEpoch: number): void {
    this.#rising = undefined;
    this.#rise(bootEpoch).catch((error: unknown) => {
      const message = 'The later boot epoch cannot be kept: this member stays out.';
      surface(() => this.#options.log?.('error', message, { bootEpoch, reason: String(error) }));
      if (this.#stopped) return;
      clearTimeout(this.#rising);
      this.#rising = setTimeout(() => this.#tryRise(bootEpoch), RISE_AGAIN_MS);
    });
  }

  /** Uses another boot epoch once it is kept. */
  async #rise(bootEpoch: number): Promise<void> {
    const { stateFile } = this.#options;
    if (stateFile !== undefined) await new StateFile(stateFile).keep(bootEpoch);
    await this.#options.onBootEpoch?.(bootEpoch);
    this.#dispatch({ type: 'boot-epoch', bootEpoch });
  }

  #presentPeers(): readonly SwimMember[] {
    return this.members().filter(
      (member) => member.name !== this.#options.name && isPresent(member),
    );
  }

  /** Alone, and a listener closes without an answer: most likely we lack the key. */
  #onSilence(to: string): void {
    if (this.#stopped || this.#options.keyring === undefined) return;
    if (this.#presentPeers().length === 0) this.#transport.refused('SWIM_ERR_KEY_REFUSED', to, '');
  }
}

/** Tells the operator of a problem, with the remedy of the table of errors. */
function notify(
  options: SwimAgentOptions,
  code: SwimErrorCode,
  address: string,
  detail: string,
): void {
  const { message, remedy } = SWIM_ERRORS[code];
  const text = detail === '' ? message : `${message} ${detail}`;
  options.log?.('warn', text, { code, address, remedy });
  options.onNotice?.(code, address);
}

/** The boot epoch of this start; where there is a state file, it is kept already. */
async function bootEpochOf({ bootEpoch, stateFile }: SwimAgentOptions): Promise<number> {
  if (stateFile === undefined) return bootEpoch ?? Number.NaN;
  return await new StateFile(stateFile).next(bootEpoch);
}

/**
 * An exception in the middle of a step would leave it half done; a member whose host cannot be told is
 * its own.
 */
function guarded(hostOf: HostOf): HostOf {
  return (member) => surface(() => hostOf(member)) ?? member.name;
}

/** The core leaves room for a seal in each datagram. */
function withRoomForSeals(config: SwimConfig): SwimConfig {
  return { ...config, datagramBytesMax: config.datagramBytesMax - SEAL_BYTES };
}

/** host:port for the peers: the bound one, unless another was asked for. */
function advertised(options: SwimAgentOptions, bound: string): string {
  const { host, port } = parseAddress(bound);
  if (options.advertise !== undefined) {
    const wanted = parseAddress(options.advertise);
    return formatAddress(wanted.host, wanted.port === 0 ? port : wanted.port);
  }
  if (isWildcard(host)) {
    throw new SwimError(
      'SWIM_ERR_ADDRESS_INVALID',
      `${options.listen} means every interface: say which address to advertise.`,
    );
  }
  return bound;
}
