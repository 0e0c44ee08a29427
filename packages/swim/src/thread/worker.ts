/**
 * The thread's own program: runs an agent, and watches the main loop.
 *
 *                 sockets (UDP, streams out)
 *                      │
 *     main loop ──▶ worker: agent ◀── looks at the main loop's heartbeat
 *          ◀── reports ──┘
 */
import assert from 'node:assert/strict';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { assertNever } from '../core/message.ts';
import { type Deferred, deferred } from '../deferred.ts';
import { SwimError } from '../errors.ts';
import { SwimAgent } from '../runtime/agent.ts';
import type { KeyringOperations } from '../runtime/handle.ts';
import { relayedTransport, type StreamHandlers } from '../runtime/split.ts';
import { systemClock } from '../runtime/system.ts';
import { LOOK_MS, type LoopState, LoopWatch } from './loop-watch.ts';
import {
  type AgentOptionsOf,
  EMPTY_VIEW,
  type Kept,
  type KeyringCall,
  NO_MEMBERS,
  plainError,
  type ToMain,
  type ToWorker,
  type WorkerInit,
} from './messages.ts';
import { Reporter } from './reporter.ts';
import { type CounterNames, SharedStatus } from './shared-status.ts';

class AgentWorker {
  readonly #port: MessagePort;
  readonly #init: WorkerInit;
  readonly #reporter: Reporter;
  readonly #status: SharedStatus;
  readonly #watch: LoopWatch;
  #agent: SwimAgent | undefined;
  /** Where streams that the main loop passes on are handled. */
  #streams: StreamHandlers | undefined;
  /** What the main loop is keeping. */
  readonly #storing = new Map<number, Deferred<void>>();
  #lastId = 0;
  #counterNames: CounterNames = [];
  #looking: NodeJS.Timeout | undefined;
  #loop: LoopState = 'well';
  /** What the owner says of itself. */
  #saidUnwell = false;
  #stopping = false;

  constructor(port: MessagePort, init: WorkerInit) {
    this.#port = port;
    this.#init = init;
    this.#status = new SharedStatus(init.memory);
    this.#watch = new LoopWatch(init.watch, this.#status.beats, systemClock());
    this.#reporter = new Reporter(
      {
        members: () => this.#agent?.members() ?? NO_MEMBERS,
        view: () => this.#agent?.view() ?? EMPTY_VIEW,
      },
      (report) => this.#post({ type: 'report', report }),
    );
    port.on('message', (message: ToWorker) => this.#onMessage(message));
  }

  #onMessage(message: ToWorker): void {
    switch (message.type) {
      case 'open':
        this.#open(message.listen).catch((error: unknown) =>
          this.#post({ type: 'refused', error: plainError(error) }),
        );
        return;
      case 'taken':
        this.#reporter.taken();
        return;
      case 'join':
        this.#answer(message.id, async (agent) => {
          await agent.join(message.address);
          return true;
        });
        return;
      case 'set-meta':
        this.#agent?.setMeta(message.meta);
        return;
      case 'set-unwell':
        this.#saidUnwell = message.unwell;
        this.#tellHealth();
        return;
      case 'broadcast':
        this.#answer(message.id, (agent) => agent.broadcast(message.name, message.payload));
        return;
      case 'probe-now':
        this.#agent?.probeNow(message.name);
        return;
      case 'ended':
        this.#agent?.reportEnd(message.name, message.bootEpoch);
        return;
      case 'force-leave':
        this.#answer(message.id, async (agent) => await agent.forceLeave(message.name));
        return;
      case 'leave':
        this.#leave().catch(crash);
        return;
      case 'keyring':
        this.#answer(message.id, ({ keyring }) => changeKeyring(keyring, message));
        return;
      case 'stored':
        this.#onStored(message.id, message.problem);
        return;
      case 'admit': {
        const { id, head, from } = message;
        const admitted = this.#streams?.requestHead?.admit(head, from) ?? true;
        this.#post({ type: 'admission', id, admitted });
        return;
      }
      case 'request':
        this.#request(message.id, message.from, message.bytes);
        return;
      case 'stop':
        this.#stop().catch(crash);
        return;
      default:
        assertNever(message);
    }
  }

  async #open(listen: string): Promise<void> {
    const relayed = relayedTransport((streams) => {
      this.#streams = streams;
    });
    const agent = await SwimAgent.start({
      ...this.#init.options,
      ...(await this.#setUp()),
      listen,
      ...(this.#init.relayed ? { transport: relayed } : {}),
      onMembers: () => this.#reporter.membersChanged(),
      onView: () => this.#reporter.membersChanged(),
      onRefused: (refusal) => this.#reporter.refused(refusal),
      onEvent: (event) => this.#reporter.event(event),
      onKeyring: (keys) => this.#store({ type: 'keyring', keys }),
      onBootEpoch: (bootEpoch) => this.#store({ type: 'boot-epoch', bootEpoch }),
      onClusterId: (clusterId) => this.#reporter.learned(clusterId),
      onNotice: (code, address) => this.#reporter.notice(code, address),
      log: (level, message, fields) => this.#reporter.log(level, message, fields),
    });
    if (this.#stopping) {
      await agent.stop();
      return;
    }
    this.#agent = agent;
    this.#counterNames = Object.keys(agent.counters) as unknown as CounterNames;
    const { address, clusterId } = agent;
    this.#post({ type: 'started', address, clusterId, counterNames: this.#counterNames });
    this.#look();
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    this.#reporter.membersChanged();
    this.#reporter.taken();
  }

  /** What the owner's own module makes in this thread. */
  async #setUp(): Promise<ReturnType<AgentOptionsOf>> {
    const { setup } = this.#init;
    if (setup === undefined) return {};
    const { agentOptions } = (await import(setup.module)) as { agentOptions: AgentOptionsOf };
    return agentOptions(setup.data as never);
  }

  /** Every {@link LOOK_MS}: how is the main loop, and what can it be shown? */
  #look(): void {
    const agent = this.#agent as SwimAgent;
    this.#status.publish(agent.localHealth, agent.counters, this.#counterNames);
    const before = this.#loop;
    const silentMs = Math.round(this.#watch.silentMs);
    this.#loop = this.#watch.look(this.#status.beats, systemClock());
    if (this.#loop === before) return;
    if (this.#loop === 'dead') {
      agent.suspend();
      return;
    }
    if (before === 'dead') agent.resume();
    if (this.#loop === 'well') {
      const message = 'The main loop turns again; peers were told that this member is unwell.';
      this.#reporter.log('warn', message, { silentMs, suspended: before === 'dead' });
    }
    this.#tellHealth();
  }

  #tellHealth(): void {
    this.#agent?.setUnwell(this.#saidUnwell || this.#loop !== 'well');
  }

  #answer(id: number, call: (agent: SwimAgent) => Promise<unknown>): void {
    const agent = this.#agent;
    const outcome =
      agent === undefined ? Promise.reject(new SwimError('SWIM_ERR_STOPPED')) : call(agent);
    outcome.then(
      (value) => this.#reporter.answer({ id, value, error: undefined }),
      (error: unknown) => this.#reporter.answer({ id, value: false, error: plainError(error) }),
    );
  }

  async #leave(): Promise<void> {
    await this.#agent?.leave();
    this.#reporter.departed();
  }

  #request(id: number, from: string, bytes: Uint8Array): void {
    const reply = (answer: Uint8Array | null): void =>
      this.#post({ type: 'reply', id, bytes: answer });
    if (this.#streams === undefined) reply(null);
    else this.#streams.onRequest(from, bytes, reply);
  }

  /** Has the main loop keep something. */
  async #store(kept: Kept): Promise<void> {
    this.#lastId++;
    const id = this.#lastId;
    const stored = deferred<void>();
    this.#storing.set(id, stored);
    this.#post({ type: 'store', id, kept });
    await stored.promise;
  }

  #onStored(id: number, problem: string | undefined): void {
    const stored = this.#storing.get(id);
    this.#storing.delete(id);
    if (problem === undefined) stored?.resolve();
    else stored?.reject(new Error(problem));
  }

  async #stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#looking);
    await this.#agent?.stop();
    // Nothing is left that would keep this thread.
    this.#port.close();
  }

  #post(message: ToMain): void {
    this.#port.postMessage(message);
  }
}

async function changeKeyring(keyring: KeyringOperations, call: KeyringCall): Promise<unknown> {
  switch (call.op) {
    case 'list':
      return await keyring.list();
    case 'install':
      return await keyring.install(call.key);
    case 'use':
      return await keyring.use(call.keyId, call.force);
    case 'remove':
      return await keyring.remove(call.keyId, call.force);
  }
}

/** An error here is a defect: thrown outside of any promise, it ends the thread and is told to the owner. */
function crash(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

assert(parentPort !== null, 'this program is started as a thread');
new AgentWorker(parentPort, workerData as WorkerInit);
