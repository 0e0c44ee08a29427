import type { SwimConfig } from '../config.ts';
import type { StableView, ViewChange } from '../core/cut-detector.ts';
import type { Refusal, SwimEffect, SwimEvent, TimerTask } from '../core/event.ts';
import type { UserEvent } from '../core/event-codec.ts';
import type { SwimMember } from '../core/message.ts';
import type { SwimOptions } from '../core/options.ts';
import { Swim } from '../core/swim.ts';
import type { SwimErrorCode } from '../errors.ts';
import { type RunnerHost, SwimRunner } from '../runner.ts';
import type { Transport } from '../transport.ts';
import type { Network } from './network.ts';
import type { Handle, Scheduler } from './scheduler.ts';

/** Datagrams that wait for a paused process; its socket drops the rest. */
const WAITING_MAX = 4_096;

/** Names the loop that a timer belongs to. */
export type LoopOf = (task: TimerTask) => string | undefined;

/** What a {@link SimAgent} tells its owner; all optional. */
export interface SimAgentCallbacks {
  onMembers?(members: readonly SwimMember[]): void;
  /** Another stable view; `view()` has it whole. */
  onView?(change: ViewChange): void;
  /** A hint that the process of a present member has ended. */
  onRefused?(refusal: Refusal): void;
  onEvent?(event: UserEvent): void;
  onClusterId?(clusterId: string): void;
  onLeft?(): void;
  onNotice?(code: SwimErrorCode, address: string): void;
}

/**
 * Runs one {@link Swim} core on a simulated network: the counterpart of the real agent.
 *
 * Faults of the process: it stops, it pauses, its timers come late, its clock leaps. The clock is
 * monotonic and so never steps back; forward it leaps when a virtual machine was held.
 */
export class SimAgent {
  readonly swim: Swim;
  readonly address: string;
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #callbacks: SimAgentCallbacks;
  readonly #config: SwimConfig;
  #transport: Transport | undefined;
  #runner: SwimRunner | undefined;
  #running = false;
  #pausedEvents: SwimEvent[] | undefined;
  #loopOf: LoopOf = () => undefined;
  /** Loops that wait to send, and what they wait to send. */
  readonly #stuckLoops = new Set<string>();
  #blockedSends: SwimEffect[] = [];
  /** Read one by one after a pause; what comes meanwhile waits behind them. */
  #backlog: SwimEvent[] = [];
  #reading: Handle | undefined;
  #clockAheadMs = 0;
  readonly #timers = new Map<number, { readonly handle: Handle; readonly task: TimerTask }>();
  readonly #timerLateMs: () => number;
  readonly #readMs: number;

  constructor(options: {
    readonly scheduler: Scheduler;
    readonly network: Network;
    readonly swim: SwimOptions;
    readonly callbacks?: SimAgentCallbacks;
    /** How late each timer of this process is; not at all by default. */
    readonly timerLateMs?: () => number;
    /** Time to read each of those that waited during a pause; none by default. */
    readonly readMs?: number;
  }) {
    this.#scheduler = options.scheduler;
    this.#network = options.network;
    this.#callbacks = options.callbacks ?? {};
    this.#config = options.swim.config;
    this.#timerLateMs = options.timerLateMs ?? (() => 0);
    this.#readMs = options.readMs ?? 0;
    this.address = options.swim.address;
    this.swim = new Swim(options.swim);
  }

  start(seeds: readonly string[] = []): void {
    this.#running = true;
    this.#transport = this.#network.open({
      listen: this.address,
      streamBytesMax: this.#config.streamBytesMax,
      streamTimeoutMs: this.#config.streamTimeoutMs,
      onPacket: (from, bytes) => this.#dispatch({ type: 'packet', from, bytes }),
      onRequest: (...request) => this.#runner?.request(...request),
    });
    this.#runner = new SwimRunner({
      swim: this.swim,
      transport: this.#transport,
      streamTimeoutMs: this.#config.streamTimeoutMs,
      host: this.#runnerHost(),
    });
    this.#dispatch({ type: 'start', seeds });
  }

  /** Ends like a killed process: without telling the peers. */
  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    void this.#transport?.close();
  }

  /**
   * Stalls like a process that gets no CPU: what happens meanwhile waits, timers in front.
   *
   * @param loopOf names the loop of a timer that runs on time nevertheless, until it wants to send: then it
   * waits, and the timers of the same loop with it; undefined for those that wait at once
   */
  pause(loopOf: LoopOf = () => undefined): void {
    if (this.#pausedEvents !== undefined) return;
    this.#loopOf = loopOf;
    this.#pausedEvents = this.#backlog;
    this.#backlog = [];
    if (this.#reading !== undefined) this.#scheduler.cancel(this.#reading);
    this.#reading = undefined;
  }

  resume(): void {
    const events = this.#pausedEvents ?? [];
    this.#pausedEvents = undefined;
    this.#stuckLoops.clear();
    for (const effect of this.#blockedSends.splice(0)) this.#runner?.perform(effect);
    // Node.js runs due timers before it reads sockets.
    for (const event of events) if (event.type === 'timer') this.#dispatch(event);
    this.#backlog = events.filter((event) => event.type !== 'timer');
    this.#read();
  }

  #read(): void {
    this.#reading = undefined;
    do {
      const event = this.#backlog.shift();
      if (event === undefined) return;
      this.#step(event);
    } while (this.#readMs === 0);
    this.#reading = this.#scheduler.after(this.#readMs, () => this.#read());
  }

  setSeeds(seeds: readonly string[]): void {
    this.#dispatch({ type: 'seeds', seeds });
  }

  /** The monotonic clock leaps forward by so much, ≥ 0, as after a virtual machine was held. */
  leapClock(byMs: number): void {
    this.#clockAheadMs += byMs;
    // What has become due meanwhile comes at once, in order; the rest is that much nearer.
    const timers = [...this.#timers].sort(([, x], [, y]) => x.handle.timeMs - y.handle.timeMs);
    for (const [token, { handle, task }] of timers) {
      this.#scheduler.cancel(handle);
      this.#arm(token, handle.timeMs - byMs - this.#scheduler.nowMs, task);
    }
  }

  join(address: string, done: (error: SwimErrorCode | undefined) => void = () => {}): void {
    this.#runner?.join(address, done);
  }

  forceLeave(name: string): void {
    this.#dispatch({ type: 'force-leave', name });
  }

  leave(): void {
    this.#dispatch({ type: 'leave' });
  }

  setMeta(meta: Uint8Array): void {
    this.#dispatch({ type: 'set-meta', meta });
  }

  setUnwell(unwell: boolean): void {
    this.#dispatch({ type: 'set-unwell', unwell });
  }

  broadcast(name: string, payload: Uint8Array = new Uint8Array()): void {
    this.#dispatch({ type: 'broadcast', name, payload });
  }

  reportEnd(name: string, bootEpoch?: number): void {
    this.#dispatch({ type: 'ended', name, bootEpoch });
  }

  probeNow(name: string): void {
    this.#dispatch({ type: 'probe-now', name });
  }

  view(): StableView {
    return this.swim.view();
  }

  members(): readonly SwimMember[] {
    return this.swim.members();
  }

  #dispatch(event: SwimEvent): void {
    if (!this.#running) return;
    const isBehind = this.#backlog.length > 0 && event.type !== 'timer';
    const waiting = this.#pausedEvents ?? (isBehind ? this.#backlog : undefined);
    if (waiting === undefined) this.#step(event);
    else if (event.type !== 'packet' || waiting.length < WAITING_MAX) waiting.push(event);
  }

  #step(event: SwimEvent): void {
    if (!this.#running) return;
    this.#runner?.step(event);
  }

  #runnerHost(): RunnerHost {
    const callbacks = this.#callbacks;
    return {
      nowMs: () => this.#nowMs(),
      take: (event) => this.#dispatch(event),
      setTimer: (token, afterMs, task) => this.#arm(token, afterMs + this.#timerLateMs(), task),
      onMembers: () => callbacks.onMembers?.(this.swim.members()),
      onView: (change) => callbacks.onView?.(change),
      onRefused: (refusal) => callbacks.onRefused?.(refusal),
      onEvent: (event) => callbacks.onEvent?.(event),
      onClusterId: (clusterId) => callbacks.onClusterId?.(clusterId),
      onBootEpoch: (bootEpoch) => this.#dispatch({ type: 'boot-epoch', bootEpoch }),
      onLeft: () => callbacks.onLeft?.(),
      onNotice: (code, address) => callbacks.onNotice?.(code, address),
    };
  }

  #nowMs(): number {
    return this.#scheduler.nowMs + this.#clockAheadMs;
  }

  #arm(token: number, afterMs: number, task: TimerTask): void {
    const handle = this.#scheduler.after(afterMs, () => {
      this.#timers.delete(token);
      const event: SwimEvent = { type: 'timer', token };
      const loop = this.#pausedEvents === undefined ? undefined : this.#loopOf(task);
      if (loop === undefined || this.#stuckLoops.has(loop)) this.#dispatch(event);
      else this.#stepBlocked(event, loop);
    });
    this.#timers.set(token, { handle, task });
  }

  #stepBlocked(event: SwimEvent, loop: string): void {
    for (const effect of this.swim.step(event, this.#nowMs())) {
      if (effect.type !== 'send' && effect.type !== 'stream-open') this.#runner?.perform(effect);
      else {
        this.#stuckLoops.add(loop);
        this.#blockedSends.push(effect);
      }
    }
  }
}
