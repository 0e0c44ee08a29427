import { Worker } from 'node:worker_threads';
import { parseAddress } from '../address.ts';
import type { StableView } from '../core/cut-detector.ts';
import { isEventSized } from '../core/event-codec.ts';
import { checkMeta, checkUnwell } from '../core/identity.ts';
import { assertNever, type SwimMember } from '../core/message.ts';
import { type Deferred, deferred } from '../deferred.ts';
import { SwimError } from '../errors.ts';
import {
  type CompleteOptions,
  completeOptions,
  type SwimAgentOptions,
} from '../runtime/agent-options.ts';
import { Callbacks, surface } from '../runtime/callbacks.ts';
import type { KeyringOperations, SwimAgentCounters, SwimHandle } from '../runtime/handle.ts';
import type { KeyringResult } from '../runtime/keyring-control.ts';
import { checkLoopback } from '../runtime/loopback.ts';
import { MemberEvents } from '../runtime/member-events.ts';
import { listenForThread } from '../runtime/split.ts';
import type { TcpTransport } from '../runtime/tcp.ts';
import { Keyring } from '../security/keyring.ts';
import { SEAL_BYTES } from '../security/sealer.ts';
import { BEAT_MS, LOOK_MS } from './loop-watch.ts';
import { applyDelta, applyViewChange } from './members-delta.ts';
import {
  type Callback,
  EMPTY_VIEW,
  type Kept,
  type KeyringCall,
  NO_MEMBERS,
  type Outcome,
  type PlainOptions,
  type Report,
  swimError,
  type ThreadSetup,
  type ToMain,
  type ToWorker,
  type WorkerInit,
} from './messages.ts';
import { type CounterNames, SharedStatus } from './shared-status.ts';

/** For 16,384 members with 512 bytes of metadata each, and states of 4 MiB under way. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 2 };
const UNWELL_AFTER_MS = 2_000;
const DEAD_AFTER_MS = 30_000;
/** Streams that wait for the thread at once; more are closed. */
const RELAYED_MAX = 1_024;
/** Time that the thread has to end by itself. */
const STOP_MS_MAX = 2_000;

/** What a {@link SwimThread} is started with: an agent's options, and what only a thread has. */
export interface SwimThreadOptions
  extends PlainOptions,
    Pick<SwimAgentOptions, Callback | 'listen'> {
  /** Makes the options that cannot be passed to a thread (`hostOf`) in the thread itself. */
  readonly setup?: ThreadSetup;
  /**
   * Silence of the main loop, in ms, after which this member calls itself unwell; 200 to 600000,
   * default 2000.
   */
  readonly unwellAfterMs?: number;
  /**
   * Silence of the main loop, in ms, after which this member falls silent too, so that the others find
   * it faulty, until the main loop turns again; more than unwellAfterMs, default 30000, 0 for never.
   */
  readonly deadAfterMs?: number;
  /**
   * The thread ended unasked; peers will find this member faulty. Every call that
   * was waiting is rejected. Called at most once.
   *
   * @param error SWIM_ERR_THREAD
   */
  onFailure(error: SwimError): void;
}

/** A call that waits for its outcome. */
type Call = Deferred<unknown>;

/**
 * An agent in a worker thread: pings are answered, and verdicts given, however busy the main loop is.
 *
 *     main loop                          worker thread
 *     calls, callbacks  ◀── messages ──▶  agent, UDP, streams out
 *     TCP port, if shared ── streams ──▶
 *     beats every 50 ms ─ shared memory ▶ looks every 100 ms: unwell? dead?
 *
 * A thread that answers for a main loop that hangs would hide it: so the main loop raises a counter,
 * and the thread says that this member is unwell while it stands still. It stays alive meanwhile: it can
 * still be reached, and what it holds need not be moved. After `deadAfterMs` the thread falls silent.
 *
 * With `onForeignStream` the TCP port is the main loop's, since connections cannot move between
 * threads. Memory of the thread is limited by RESOURCE_LIMITS.
 *
 * ```ts
 * const thread = await SwimThread.start({
 *   config: swimConfig(), name: 'a', bootEpoch: Date.now(), clusterId: 'demo',
 *   listen: '127.0.0.1:7946', meta: new Uint8Array(),
 *   onMembers: (members) => console.log(members),
 *   onFailure: (error) => { throw error; },
 * });
 * ```
 */
export class SwimThread implements SwimHandle {
  readonly keyring: KeyringOperations = {
    list: () => this.#callKeyring({ op: 'list' }),
    install: async (key) => {
      Keyring.of([key]);
      return await this.#callKeyring({ op: 'install', key: key.slice() });
    },
    use: (keyId, force = false) => this.#callKeyring({ op: 'use', keyId, force }),
    remove: (keyId, force = false) => this.#callKeyring({ op: 'remove', keyId, force }),
  };
  readonly #options: CompleteOptions<SwimThreadOptions>;
  readonly #status = new SharedStatus();
  readonly #callbacks = new Callbacks();
  readonly #memberEvents: MemberEvents;
  readonly #worker: Worker;
  readonly #exited = deferred<void>();
  readonly #beating: NodeJS.Timeout;
  readonly #calls = new Map<number, Call>();
  /** Streams that wait for the thread's answer. */
  readonly #replies = new Map<number, (bytes: Uint8Array | null) => void>();
  /** Streams that wait for the thread's judgement of their head. */
  readonly #admissions = new Map<number, (admitted: boolean) => void>();
  readonly #departed = deferred<void>();
  #opening: Deferred<void> | undefined;
  #listener: TcpTransport | undefined;
  #counterNames: CounterNames = [];
  #present: readonly SwimMember[] = NO_MEMBERS;
  #presentView = EMPTY_VIEW;
  #ownAddress = '';
  #learnedClusterId: string;
  #lastId = 0;
  #started = false;
  #stopped = false;

  private constructor(options: CompleteOptions<SwimThreadOptions>, program: URL) {
    this.#options = options;
    this.#memberEvents = new MemberEvents(options, (call) => this.#tell(call));
    this.#learnedClusterId = options.clusterId;
    this.#worker = new Worker(program, {
      name: 'swim',
      workerData: workerInit(options, this.#status.memory),
      resourceLimits: RESOURCE_LIMITS,
      // The caller's are for the caller's program: an inspector's port, a loader, text to evaluate.
      execArgv: [...OWN_ARGV, ...(options.setup?.execArgv ?? [])],
    });
    this.#worker.on('message', (message: ToMain) => this.#onMessage(message));
    this.#worker.on('error', (error) => this.#fail(String(error)));
    this.#worker.on('exit', (code) => {
      this.#fail(`It ended with ${code}.`);
      this.#exited.resolve();
    });
    // The worker itself keeps the process alive, as the agent's sockets would.
    this.#beating = setInterval(() => this.#status.beat(), BEAT_MS).unref();
  }

  /**
   * Starts the thread, binds the sockets and begins.
   *
   * @param program the thread's program; another one is for tests
   * @throws SwimError as {@link SwimAgent.start}, SWIM_ERR_CONFIG if the times do not fit, and
   * SWIM_ERR_THREAD if the thread could not be started; nothing stays open
   */
  static async start(given: SwimThreadOptions, program: URL = PROGRAM): Promise<SwimThread> {
    const options = completeOptions(given);
    // Here, since the agent in the thread does not see who listens for it.
    checkLoopback(options);
    const thread = new SwimThread(options, program);
    try {
      await thread.#open();
    } catch (error) {
      await thread.stop();
      throw error;
    }
    return thread;
  }

  get address(): string {
    return this.#ownAddress;
  }

  get clusterId(): string {
    return this.#learnedClusterId;
  }

  get counters(): Readonly<SwimAgentCounters> {
    return this.#status.counters(this.#counterNames);
  }

  get localHealth(): number {
    return this.#status.health;
  }

  members(): readonly SwimMember[] {
    return this.#present;
  }

  view(): StableView {
    return this.#presentView;
  }

  async join(address: string): Promise<void> {
    parseAddress(address);
    await this.#call((id) => ({ type: 'join', id, address }));
  }

  setMeta(meta: Uint8Array): void {
    checkMeta(meta);
    this.#post({ type: 'set-meta', meta: meta.slice() });
  }

  setUnwell(unwell: boolean): void {
    checkUnwell(unwell);
    this.#post({ type: 'set-unwell', unwell });
  }

  async broadcast(name: string, payload: Uint8Array = new Uint8Array()): Promise<void> {
    if (!isEventSized(name, payload)) throw new SwimError('SWIM_ERR_EVENT_SIZE');
    await this.#call((id) => ({ type: 'broadcast', id, name, payload: payload.slice() }));
  }

  probeNow(name: string): void {
    this.#post({ type: 'probe-now', name });
  }

  reportEnd(name: string, bootEpoch?: number): void {
    this.#post({ type: 'ended', name, bootEpoch });
  }

  async forceLeave(name: string): Promise<boolean> {
    return (await this.#call((id) => ({ type: 'force-leave', id, name }))) === true;
  }

  async leave(): Promise<void> {
    if (this.#stopped) return;
    this.#post({ type: 'leave' });
    await this.#departed.promise;
  }

  async stop(): Promise<void> {
    if (!this.#stopped) {
      this.#post({ type: 'stop' });
      this.#close(new SwimError('SWIM_ERR_STOPPED'));
    }
    const timer = setTimeout(() => {
      this.#worker.terminate().catch(() => {});
    }, STOP_MS_MAX);
    await this.#exited.promise;
    clearTimeout(timer);
    await this.#listener?.close();
  }

  async #open(): Promise<void> {
    const { listen, onForeignStream, config, keyring } = this.#options;
    if (onForeignStream === undefined) {
      await this.#openWorker(listen);
      return;
    }
    this.#listener = await listenForThread(
      {
        listen,
        streamBytesMax: config.streamBytesMax + (keyring === undefined ? 0 : SEAL_BYTES),
        streamTimeoutMs: config.streamTimeoutMs,
        onRequest: (from, bytes, reply) => this.#onRequest(from, bytes, reply),
        requestHead:
          keyring === undefined
            ? undefined
            : { bytes: SEAL_BYTES, admit: (head, from) => this.#admit(head, from) },
        onForeign: (socket, head) => onForeignStream(socket, head),
      },
      (bound) => this.#openWorker(bound),
    );
  }

  async #openWorker(listen: string): Promise<void> {
    if (this.#stopped) throw new SwimError('SWIM_ERR_THREAD');
    this.#opening = deferred<void>();
    this.#post({ type: 'open', listen });
    await this.#opening.promise;
  }

  #onMessage(message: ToMain): void {
    switch (message.type) {
      case 'started':
        this.#ownAddress = message.address;
        this.#counterNames = message.counterNames;
        return;
      case 'refused':
        this.#opening?.reject(swimError(message.error));
        return;
      case 'report':
        this.#post({ type: 'taken' });
        this.#onReport(message.report);
        return;
      case 'reply':
        this.#replies.get(message.id)?.(message.bytes);
        this.#replies.delete(message.id);
        return;
      case 'admission':
        this.#admissions.get(message.id)?.(message.admitted);
        this.#admissions.delete(message.id);
        return;
      case 'store':
        this.#store(message.id, message.kept).catch(() => {});
        return;
      default:
        assertNever(message);
    }
  }

  #onReport(report: Report): void {
    if (this.#stopped) return;
    const { members, view, clusterId } = report;
    const options = this.#options;
    if (members !== undefined) this.#present = applyDelta(this.#present, members);
    if (view !== undefined) this.#presentView = applyViewChange(this.#presentView, view);
    if (clusterId !== undefined) this.#learnedClusterId = clusterId;
    if (!this.#started) {
      this.#started = true;
      this.#opening?.resolve();
    }
    for (const outcome of report.outcomes) this.#onOutcome(outcome);
    if (report.left) this.#departed.resolve();
    const tell = (call: () => void): void => this.#tell(call);
    for (const [level, text, fields] of report.logs) tell(() => options.log?.(level, text, fields));
    if (clusterId !== undefined) tell(() => options.onClusterId?.(clusterId));
    const present = this.#present;
    const presentView = this.#presentView;
    if (members !== undefined) {
      tell(() => options.onMembers?.(present));
      this.#memberEvents.take(present);
    }
    if (view !== undefined) tell(() => options.onView?.(presentView, view));
    for (const event of report.events) tell(() => options.onEvent?.(event));
    for (const refusal of report.refusals) tell(() => options.onRefused?.(refusal));
    for (const { code, address } of report.notices) tell(() => options.onNotice?.(code, address));
    this.#callbacks.run();
  }

  /** Calls the owner once everything else of this report is done. */
  #tell(call: () => void): void {
    this.#callbacks.add(() => {
      if (!this.#stopped) call();
    });
  }

  #onOutcome({ id, value, error }: Outcome): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (error === undefined) call?.resolve(value);
    else call?.reject(swimError(error));
  }

  /** A stream that came in at the main loop's port. */
  #onRequest(from: string, bytes: Uint8Array, reply: (bytes: Uint8Array | null) => void): void {
    if (this.#stopped || this.#replies.size >= RELAYED_MAX) {
      reply(null);
      return;
    }
    const id = this.#nextId();
    this.#replies.set(id, reply);
    // Of its own memory: a view would take the whole buffer along.
    this.#post({ type: 'request', id, from, bytes: Uint8Array.from(bytes) });
  }

  /** Whether a stream's head shows a key of ours; the keys are the thread's. */
  #admit(head: Uint8Array, from: string): Promise<boolean> | boolean {
    if (this.#stopped || this.#admissions.size >= RELAYED_MAX) return false;
    const id = this.#nextId();
    const admission = deferred<boolean>();
    this.#admissions.set(id, admission.resolve);
    this.#post({ type: 'admit', id, from, head: Uint8Array.from(head) });
    return admission.promise;
  }

  async #store(id: number, kept: Kept): Promise<void> {
    let problem: string | undefined;
    try {
      if (kept.type === 'keyring') await this.#options.onKeyring?.(kept.keys);
      else await this.#options.onBootEpoch?.(kept.bootEpoch);
    } catch (error) {
      problem = String(error);
    }
    this.#post({ type: 'stored', id, problem });
  }

  async #callKeyring(call: KeyringCall): Promise<KeyringResult[]> {
    const results = await this.#call((id) => ({ type: 'keyring', id, ...call }));
    return results as KeyringResult[];
  }

  #call(message: (id: number) => ToWorker): Promise<unknown> {
    if (this.#stopped) return Promise.reject(new SwimError('SWIM_ERR_STOPPED'));
    const id = this.#nextId();
    const call = deferred<unknown>();
    this.#calls.set(id, call);
    this.#post(message(id));
    return call.promise;
  }

  /** The thread ended; as it should if we stopped. */
  #fail(detail: string): void {
    if (this.#stopped) return;
    const error = new SwimError('SWIM_ERR_THREAD', detail);
    this.#close(error);
    this.#listener?.close().catch(() => {});
    if (this.#started) surface(() => this.#options.onFailure(error));
  }

  /** Ends all callbacks; only calls that wait still hear of it. */
  #close(reason: SwimError): void {
    this.#stopped = true;
    clearInterval(this.#beating);
    this.#opening?.reject(reason);
    // Once it was resolved, no caller waits for it.
    this.#opening?.promise.catch(() => {});
    for (const call of this.#calls.values()) call.reject(reason);
    this.#calls.clear();
    for (const reply of this.#replies.values()) reply(null);
    this.#replies.clear();
    for (const admit of this.#admissions.values()) admit(false);
    this.#admissions.clear();
    this.#departed.resolve();
  }

  #post(message: ToWorker): void {
    if (!this.#stopped) this.#worker.postMessage(message);
  }

  #nextId(): number {
    this.#lastId++;
    return this.#lastId;
  }
}

function workerInit(options: SwimThreadOptions, memory: SharedArrayBuffer): WorkerInit {
  const {
    listen,
    unwellAfterMs = UNWELL_AFTER_MS,
    deadAfterMs = DEAD_AFTER_MS,
    setup,
    onMembers,
    onJoin,
    onLeave,
    onUpdate,
    onView,
    onEvent,
    onKeyring,
    onBootEpoch,
    onClusterId,
    onForeignStream,
    onNotice,
    onRefused,
    onFailure,
    log,
    ...plain
  } = options;
  const isOrdered = deadAfterMs === 0 || deadAfterMs > unwellAfterMs;
  if (!(unwellAfterMs >= 2 * LOOK_MS && unwellAfterMs <= 600_000) || !isOrdered) {
    throw new SwimError('SWIM_ERR_CONFIG', 'unwellAfterMs: 200 to 600000, below deadAfterMs');
  }
  return {
    options: plain satisfies PlainOptions,
    setup,
    watch: { unwellAfterMs, deadAfterMs },
    memory,
    relayed: onForeignStream !== undefined,
  };
}

/** From source the program is TypeScript, from dist and an installed package JavaScript. */
const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
);
/** What the program needs of Node.js: from source, to find the packages beside it as sources. */
const OWN_ARGV = PROGRAM.pathname.endsWith('.ts') ? ['--conditions=shoal-source'] : [];
