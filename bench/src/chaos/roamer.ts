import { setTimeout as pause } from 'node:timers/promises';
import type { Prng } from '@shoal/swim/sim';
import type { ChaosClient } from './client.ts';
import type { Endpoint } from './wire.ts';

export interface RoamerOptions {
  readonly client: ChaosClient;
  readonly random: Prng;
  /** Nodes that may be tried, dead ones among them: a client does not know which are. */
  readonly endpoints: () => readonly Endpoint[];
  /** Each connection begins a new session; default false. */
  readonly cleanStart?: boolean;
  /** Runs after each CONNACK; `present` is its session present. */
  readonly onConnected?: (present: boolean) => void | Promise<void>;
}

/** With DISCONNECT, by closing, by a TCP reset, or leaving the connection open without a peer. */
export type LeaveHow = 'graceful' | 'abrupt' | 'reset' | 'abandon';

/**
 * Keeps a client connected to some node: tries another one when a connection breaks or is refused,
 * and hops on request.
 */
export class Roamer {
  readonly client: ChaosClient;
  readonly #options: RoamerOptions;
  #wanted = false;
  #awayUntilMs = 0;
  #lastNode: string | undefined;
  #running: Promise<void> = Promise.resolve();
  /** Ends the pause that the loop is in, if it is in one. */
  #wake = new AbortController();

  constructor(options: RoamerOptions) {
    this.#options = options;
    this.client = options.client;
  }

  /** Begins to connect, and to reconnect whenever a connection ends. */
  start(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#running = this.#run();
  }

  /** Leaves now and returns through another node after `awayMs`. */
  async hop(how: LeaveHow, awayMs: number): Promise<void> {
    this.#awayUntilMs = performance.now() + awayMs;
    if (how === 'abandon') this.client.abandon();
    else await this.client.disconnect(how);
  }

  /** Comes back at once if it is away. */
  hurry(): void {
    this.#awayUntilMs = 0;
    this.#wake.abort();
  }

  /** Leaves and stays away. */
  async stop(): Promise<void> {
    this.#wanted = false;
    this.#wake.abort();
    await this.client.disconnect('graceful');
    await this.#running;
    this.client.destroyAbandoned();
  }

  async #run(): Promise<void> {
    const { client, random, onConnected, cleanStart = false } = this.#options;
    while (this.#wanted) {
      const awayMs = this.#awayUntilMs - performance.now();
      if (awayMs > 0) await this.#pause(awayMs);
      const endpoint = this.#pick();
      if (!this.#wanted) break;
      if (!endpoint) {
        await this.#pause(50);
        continue;
      }
      this.#lastNode = endpoint.node;
      const { promise: over, resolve } = Promise.withResolvers<void>();
      client.onDisconnected = () => resolve();
      const present = await client.connect(endpoint, cleanStart);
      if (present === undefined) {
        await this.#pause(random.between(10, 100));
        continue;
      }
      if (!this.#wanted) await client.disconnect('graceful');
      else await onConnected?.(present);
      await over;
    }
  }

  /** Any node but the one last tried, if there is a choice. */
  #pick(): Endpoint | undefined {
    const all = this.#options.endpoints();
    const others = all.filter((endpoint) => endpoint.node !== this.#lastNode);
    const from = others.length > 0 ? others : all;
    return from.length > 0 ? this.#options.random.pick(from) : undefined;
  }

  async #pause(ms: number): Promise<void> {
    this.#wake = new AbortController();
    await pause(ms, undefined, { signal: this.#wake.signal }).catch(() => {});
  }
}
