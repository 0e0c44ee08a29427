import type { ViewChange } from './core/cut-detector.ts';
import type { Refusal, SwimEffect, SwimEvent, TimerTask } from './core/event.ts';
import type { UserEvent } from './core/event-codec.ts';
import { assertNever } from './core/message.ts';
import type { Swim } from './core/swim.ts';
import type { SwimErrorCode } from './errors.ts';
import type { NoAnswer, RequestDone } from './transport.ts';

/** What a runner needs of a transport. `isOwn`: the receiver itself gives `to` as its address. */
export interface RunnerTransport {
  send(to: string, bytes: Uint8Array, isOwn: boolean): void;
  request(
    to: string,
    bytes: Uint8Array,
    timeoutMs: number,
    done: RequestDone,
    isOwn: boolean,
  ): void;
}

/** The process around a {@link SwimRunner}: its time, its queue of events, and its owner. */
export interface RunnerHost {
  /** Monotonic. */
  nowMs(): number;
  /** Has {@link SwimRunner.step} take this event, now or when this process gets to it. */
  take(event: SwimEvent): void;
  /** Has the event `timer` with this token come once, so much later. */
  setTimer(token: number, afterMs: number, task: TimerTask): void;
  /** A request of ours got no answer. */
  onNoAnswer?(to: string, why: NoAnswer | undefined): void;
  onMembers(): void;
  /** Another stable view. */
  onView(change: ViewChange): void;
  /** A hint that the process of a present member has ended. */
  onRefused?(refusal: Refusal): void;
  onEvent?(event: UserEvent): void;
  onClusterId(clusterId: string): void;
  /** The core wants this boot epoch: give it the event of the same type once the epoch is kept. */
  onBootEpoch(bootEpoch: number): void;
  /** The departure has been spread. */
  onLeft(): void;
  onNotice?(code: SwimErrorCode, address: string): void;
}

/**
 * Steps a {@link Swim} core, and performs what it wants: the one place where effects meet a transport and an
 * owner. Real processes and simulated ones differ in their {@link RunnerHost} only.
 */
export class SwimRunner {
  readonly #swim: Swim;
  readonly #transport: RunnerTransport;
  readonly #streamTimeoutMs: number;
  readonly #host: RunnerHost;
  /** How to answer each request that came in. */
  readonly #replies = new Map<number, (bytes: Uint8Array | null) => void>();
  /** Who waits for each join. */
  readonly #joins = new Map<number, (error: SwimErrorCode | undefined) => void>();
  #lastId = 0;

  constructor(options: {
    readonly swim: Swim;
    readonly transport: RunnerTransport;
    readonly streamTimeoutMs: number;
    readonly host: RunnerHost;
  }) {
    this.#swim = options.swim;
    this.#transport = options.transport;
    this.#streamTimeoutMs = options.streamTimeoutMs;
    this.#host = options.host;
  }

  /** Takes one event, and performs all that it leads to, in order. */
  step(event: SwimEvent): void {
    for (const effect of this.#swim.step(event, this.#host.nowMs())) this.perform(effect);
  }

  /** A request came in: `reply` runs once at most, with null for no answer. */
  request(from: string, bytes: Uint8Array, reply: (bytes: Uint8Array | null) => void): void {
    const streamId = this.#nextId();
    this.#replies.set(streamId, reply);
    this.#host.take({ type: 'stream-request', streamId, from, bytes });
  }

  /** Joins through the node at `address`; `done` runs once, unless {@link end} comes first. */
  join(address: string, done: (error: SwimErrorCode | undefined) => void): void {
    const requestId = this.#nextId();
    this.#joins.set(requestId, done);
    this.#host.take({ type: 'join', address, requestId });
  }

  /** This process stops: those who wait for a join hear so, and no request is answered any more. */
  end(): void {
    const joins = [...this.#joins.values()];
    this.#joins.clear();
    this.#replies.clear();
    for (const done of joins) done('SWIM_ERR_STOPPED');
  }

  perform(effect: SwimEffect): void {
    const host = this.#host;
    switch (effect.type) {
      case 'send':
        this.#transport.send(effect.to, effect.bytes, effect.isOwn);
        return;
      case 'stream-open':
        this.#openStream(effect);
        return;
      case 'stream-reply':
        this.#replies.get(effect.streamId)?.(effect.bytes);
        this.#replies.delete(effect.streamId);
        return;
      case 'timer':
        host.setTimer(effect.token, effect.afterMs, effect.task);
        return;
      case 'members-changed':
        host.onMembers();
        return;
      case 'view-changed':
        host.onView(effect);
        return;
      case 'refused':
        host.onRefused?.(effect);
        return;
      case 'user-event':
        host.onEvent?.(effect.event);
        return;
      case 'cluster-id':
        host.onClusterId(effect.clusterId);
        return;
      case 'boot-epoch':
        host.onBootEpoch(effect.bootEpoch);
        return;
      case 'join-result':
        this.#joins.get(effect.requestId)?.(effect.errorCode);
        this.#joins.delete(effect.requestId);
        return;
      case 'left':
        host.onLeft();
        return;
      case 'notice':
        host.onNotice?.(effect.code, effect.address);
        return;
      default:
        assertNever(effect);
    }
  }

  #openStream(effect: SwimEffect & { readonly type: 'stream-open' }): void {
    const { requestId, to, bytes, isOwn } = effect;
    this.#transport.request(
      to,
      bytes,
      this.#streamTimeoutMs,
      (answer, why) => {
        if (answer === null) this.#host.onNoAnswer?.(to, why);
        const refused = why === 'refused';
        this.#host.take({ type: 'stream-response', requestId, bytes: answer, refused });
      },
      isOwn,
    );
  }

  #nextId(): number {
    this.#lastId++;
    return this.#lastId;
  }
}
