import type { BehaviourName } from './behaviours.ts';
import { SimClient } from './client.ts';
import type { ClientEnv } from './client-port.ts';
import type { WorkloadOptions } from './options.ts';
import type { ProtocolVersion } from './wire.ts';

/** What actors get from the world besides what their client gets. */
export interface ActorEnv {
  readonly client: ClientEnv;
  readonly workload: WorkloadOptions;
  /** Names of the nodes that clients know; some may be down. */
  nodes(): readonly string[];
}

/** A life in phases: `setup` until all have their session, then `drill`, then `settle`. */
export type ActorPhase = 'setup' | 'drill' | 'settle';

/** After the heal all nodes agree on who is there, so that rules for calm hold. */
export const CALM_AFTER_MS = 4200;

/** Waits at least this before dialling again. */
const RECONNECT_MIN_MS = 20;

/**
 * Drives one client: decides where and when it connects, and what it does there.
 *
 * In `settle` an actor begins nothing new and finishes what is open; {@link Actor.unfinished} says
 * what that is.
 */
export abstract class Actor {
  readonly name: string;
  readonly client: SimClient;
  protected phase: ActorPhase = 'setup';
  protected readonly env: ActorEnv;
  /** Timers of an earlier connection carry an older turn and do nothing. */
  protected turn = 0;

  constructor(
    env: ActorEnv,
    o: {
      clientId: string;
      /** Distinguishes devices of one Client Identifier. */
      name?: string;
      persistent: boolean;
      version: ProtocolVersion;
      receiveMaximum?: number;
      sessionExpirySeconds?: number;
      reuseId?: boolean;
      ackDelayMs?: number;
    },
  ) {
    this.env = env;
    this.name = o.name ?? o.clientId;
    const random = env.client.random.fork(this.name);
    this.client = new SimClient(
      { ...env.client, random },
      {
        clientId: o.clientId,
        version: o.version,
        persistent: o.persistent,
        ackDelayMs: o.ackDelayMs ?? env.workload.ackDelayMs,
        patienceMs: env.workload.patienceMs,
        keepAliveSeconds: random.pick([0, 2, 5]),
        receiveMaximum: o.receiveMaximum ?? 0,
        reuseId: o.reuseId ?? false,
        repeats: o.version === 4 && o.reuseId !== true && this.does('repeat'),
        ...(o.sessionExpirySeconds === undefined
          ? {}
          : { sessionExpirySeconds: o.sessionExpirySeconds }),
      },
      {
        onConnected: (present) => {
          this.turn++;
          this.onConnected(present);
        },
        onClosed: () => {
          this.turn++;
          this.onClosed();
        },
        onSubscribed: () => this.onSubscribed(),
        onCompleted: () => this.onCompleted(),
      },
    );
  }

  protected does(behaviour: BehaviourName): boolean {
    return this.env.workload.behaviours.includes(behaviour);
  }

  /** Begins; called once. */
  start(): void {
    this.reconnectAfter(this.random.next() * 100);
  }

  enter(phase: ActorPhase): void {
    this.phase = phase;
    if (phase === 'settle') this.client.inbox.prompt = true;
    this.onPhase();
  }

  /** What it waits for, in words; undefined if nothing. */
  abstract unfinished(): string | undefined;

  protected abstract onConnected(sessionPresent: boolean): void;
  protected onSubscribed(): void {}
  protected onCompleted(): void {}
  protected onPhase(): void {}

  protected onClosed(): void {
    this.reconnectAfter(this.random.next() * 300);
  }

  protected get random() {
    return this.client.env.random;
  }

  protected get nowMs(): number {
    return this.client.nowMs;
  }

  protected pickNode(): string {
    return this.random.pick(this.env.nodes());
  }

  /** A node other than that of the last connection, if there is one. */
  protected pickOther(): string {
    const others = this.env.nodes().filter((node) => node !== this.client.connection?.node);
    return others.length === 0 ? this.pickNode() : this.random.pick(others);
  }

  /** Runs `fn` unless the connection changed meanwhile. */
  protected afterTurn(delayMs: number, fn: () => void): void {
    const { turn } = this;
    this.client.env.scheduler.after(delayMs, () => {
      if (this.turn === turn) fn();
    });
  }

  protected reconnectAfter(delayMs: number): void {
    this.afterTurn(RECONNECT_MIN_MS + delayMs, () => this.connect());
  }

  protected connect(): void {
    this.turn++;
    this.client.connect(this.pickNode());
  }

  /** Exponential with this mean, at most ten times it. */
  protected around(meanMs: number): number {
    return Math.min(10, -Math.log(1 - this.random.next())) * meanMs;
  }
}
